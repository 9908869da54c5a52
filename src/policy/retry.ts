import type { RetrySettings } from '../config/settings.ts'
import type { Failure } from '../core/failure.ts'
import type { Random } from '../core/random.ts'

/** What to do about a failure (design.md, "disposition"). Durable callers obey all; inline callers treat long waits as an end. */
export type Disposition =
  /** Try again after the wait; the failed try used an attempt. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly reason: string }
  /** The lane is closed until then (a 429); the try used no attempt, only age. */
  | { readonly kind: 'close_gate'; readonly delayMs: number; readonly reason: string }
  /** Hold the item itself until then: quota, migration, spend limit (`wait_long`). Uses no attempt. */
  | { readonly kind: 'park'; readonly delayMs: number; readonly reason: string }
  /** Park the credential's lane until someone resumes it (D01). Uses no attempt. */
  | { readonly kind: 'suspend_lane'; readonly reason: string }
  /** It may have happened: look for the effect, or ask a person (rule 3). */
  | { readonly kind: 'unknown_outcome'; readonly reason: string }
  | { readonly kind: 'dead_letter'; readonly reason: string }

export interface RetryFacts {
  readonly failure: Failure
  /** May the call be repeated without looking first? By nature or by key. */
  readonly repeatable: boolean
  /** Attempts used in the present budget, the failed one included. */
  readonly attempts: number
  /** Of these, how many ended with the same class as this one, in a row, this one included. */
  readonly sameClassInARow: number
  /** Age in the present budget, in ms. */
  readonly ageMs: number
  /** The wait before the failed try, for decorrelated jitter. */
  readonly previousDelayMs?: number
}

export declare function decideRetry(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition
