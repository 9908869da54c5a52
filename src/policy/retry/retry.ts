/**
 * What to do about a failure: the disposition table of design.md (section 4) with D01-D11 and D14. Pure: the classification has
 * said what the failure means, the budgets say how much may still be spent on it.
 */
import type { RetrySettings } from '../../config/settings.ts'
import { formatDuration } from '../../core/duration.ts'
import type { Failure, FailureClass } from '../../core/failure.ts'
import type { Random } from '../../core/random.ts'
import { backoffDelayMs, withRetryAfter } from './backoff.ts'

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
  /** `reason` starts with a stable word: {@link DEAD_LETTER_REASONS}. */
  | { readonly kind: 'dead_letter'; readonly reason: string }

/** The words that the reason of a dead letter starts with, before a colon. */
export const DEAD_LETTER_REASONS = [
  /** Not worth a retry by its class: validation, schema, authorization, ... */
  'not_retryable',
  /** All attempts of the budget are used (D08). */
  'attempts_exhausted',
  /** This kind of failure is worth fewer retries than the policy's (D05-D07, R005), and they are used. */
  'retries_of_this_kind_exhausted',
  /** The next try would come after the age limit (D09). */
  'max_age',
  /** The server wants us back only after the age limit (D11). */
  'retry_after_too_long',
  'cancelled',
] as const

type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number]

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

/** Retries that unknown and malformed failures, and conflicts nobody explained, are worth (R005, D05, D07). */
const DOUBTFUL_RETRIES = 2
/** A version conflict is read afresh and retried this often (D05). */
const VERSION_CONFLICT_RETRIES = 3
/** First wait for a quota, migration or spend limit whose end nobody stated; doubles up to the longest. */
const PARK_MS = 15 * 60_000
const LONGEST_PARK_MS = 2 * 3_600_000

/**
 * Decides about one failed try. A `maybe_applied` or `applied` failure of a call that is not repeatable is always
 * `unknown_outcome`, whatever its class (rule 3); so is one that the API repeats from its memory, since the same key gets the
 * same failure for ever, and another key could double what was done. No wait ends beyond `maxAgeMs`, but that for a quota,
 * migration or spend limit whose end the API stated: that one may last as long as the slow lane.
 */
export function decideRetry(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, repeatable } = facts
  if (failure.certainty !== 'not_sent' && (!repeatable || failure.keySpent)) return unknownOutcome(failure)
  return DECISIONS[failure.class](facts, settings, random)
}

type Decision = (facts: RetryFacts, settings: RetrySettings, random: Random) => Disposition

const DECISIONS: Record<FailureClass, Decision> = {
  transient: (facts, settings, random) => retryUpTo(Number.POSITIVE_INFINITY, facts, settings, random),
  unknown: (facts, settings, random) => retryUpTo(DOUBTFUL_RETRIES, facts, settings, random),
  malformed_response: (facts, settings, random) =>
    facts.repeatable ? retryUpTo(DOUBTFUL_RETRIES, facts, settings, random) : unknownOutcome(facts.failure),
  conflict: decideConflict,
  rate_limited: closeGate,
  wait_long: parkLong,
  held: parkHeld,
  authentication: ({ failure }) => ({
    kind: 'suspend_lane',
    reason: `the credential is refused; the lane waits until it is renewed and resumed; ${cause(failure)}`,
  }),
  authorization: notRetryable,
  not_found: notRetryable,
  validation: notRetryable,
  schema: notRetryable,
  too_large: notRetryable,
  configuration: notRetryable,
  cancelled: ({ failure }) => deadLetter('cancelled', `the caller gave up on it; ${cause(failure)}`),
}

function retryUpTo(retriesOfClass: number, facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, attempts, sameClassInARow } = facts
  const progress = `attempt ${attempts} of ${settings.maxAttempts}`
  if (attempts >= settings.maxAttempts) {
    return deadLetter('attempts_exhausted', `${progress} failed; ${cause(failure)}`)
  }
  const retriesWorth = Math.min(retriesOfClass, failure.maxRetries ?? Number.POSITIVE_INFINITY)
  if (sameClassInARow > retriesWorth) {
    const detail = `${failure.class} is worth ${countOf(retriesWorth, 'retry', 'retries')}, and ${sameClassInARow} tries in a row ended so`
    return deadLetter('retries_of_this_kind_exhausted', `${detail}; ${progress}; ${cause(failure)}`)
  }
  const ownDelayMs = backoffDelayMs(settings, attempts, random, facts.previousDelayMs)
  const delayMs = withRetryAfter(ownDelayMs, failure.retryAfterMs, random)
  const reason = `${progress}; next in ${formatDuration(delayMs)}; ${cause(failure)}`
  return withinAge({ kind: 'retry', delayMs, reason }, delayMs > ownDelayMs, facts, settings)
}

/** D05. "In progress" for an idempotency key is classified as transient, and never comes here. */
function decideConflict(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, repeatable } = facts
  if (failure.code === 'already_exists') {
    return deadLetter(
      'not_retryable',
      `the record is already there, and nothing shows that this operation made it; ${cause(failure)}`,
    )
  }
  if (failure.code === 'version_conflict') return retryUpTo(VERSION_CONFLICT_RETRIES, facts, settings, random)
  return repeatable ? retryUpTo(DOUBTFUL_RETRIES, facts, settings, random) : unknownOutcome(failure)
}

/** A 429 slows the whole lane; it was refused before anything was done, so it uses no attempt (R020, D09). */
function closeGate(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, sameClassInARow } = facts
  // "Come back in 0 seconds", said again and again, must not become a busy loop: our own backoff paces it.
  const askedMs = failure.retryAfterMs || undefined
  const delayMs =
    askedMs === undefined
      ? backoffDelayMs(settings, sameClassInARow, random, facts.previousDelayMs)
      : withRetryAfter(0, askedMs, random)
  const why = askedMs === undefined ? 'by our own backoff' : `the API asked for ${formatDuration(askedMs)}`
  const reason = `lane closed for ${formatDuration(delayMs)} (${why}); no attempt used; ${cause(failure)}`
  return withinAge({ kind: 'close_gate', delayMs, reason }, askedMs !== undefined, facts, settings)
}

function parkLong(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, sameClassInARow } = facts
  const stated = failure.retryAfterMs !== undefined
  const growingMs = Math.min(PARK_MS * 2 ** Math.min(sameClassInARow - 1, 10), LONGEST_PARK_MS)
  const delayMs = withRetryAfter(0, failure.retryAfterMs ?? growingMs, random)
  const why = stated ? 'as the API stated' : 'the API did not say until when'
  const reason = `parked for ${formatDuration(delayMs)} (${why}); no attempt used; ${cause(failure)}`
  // A quota that renews at midnight is worth the wait, however long the tries of an outage may go on.
  const longestMs = stated ? Math.max(settings.maxAgeMs, settings.slowLane.spanMs) : settings.maxAgeMs
  return withinAge({ kind: 'park', delayMs, reason }, stated, facts, { maxAgeMs: longestMs })
}

/** Refused by ourselves before anything was sent: an open breaker, a closed gate, a full limiter (D14). */
function parkHeld(facts: RetryFacts, settings: RetrySettings, random: Random): Disposition {
  const { failure, sameClassInARow } = facts
  const delayMs = failure.retryAfterMs ?? backoffDelayMs(settings, sameClassInARow, random, facts.previousDelayMs)
  const reason = `held for ${formatDuration(delayMs)}; no attempt used; ${cause(failure)}`
  return withinAge({ kind: 'park', delayMs, reason }, false, facts, settings)
}

function notRetryable({ failure }: RetryFacts): Disposition {
  return deadLetter('not_retryable', `${failure.class} does not go away by itself; ${cause(failure)}`)
}

function withinAge<Wait extends Disposition & { readonly delayMs: number }>(
  wait: Wait,
  serverAsked: boolean,
  { failure, ageMs }: RetryFacts,
  { maxAgeMs }: Pick<RetrySettings, 'maxAgeMs'>,
): Disposition {
  if (ageMs + wait.delayMs <= maxAgeMs) return wait
  const who = serverAsked ? 'the API wants us back' : 'the next try would be'
  const detail = `${who} in ${formatDuration(wait.delayMs)}, at age ${formatDuration(ageMs + wait.delayMs)}, beyond the limit of ${formatDuration(maxAgeMs)}`
  return deadLetter(serverAsked ? 'retry_after_too_long' : 'max_age', `${detail}; ${cause(failure)}`)
}

function unknownOutcome(failure: Failure): Disposition {
  if (failure.keySpent) {
    const why = 'the API repeats the failure it stored under this key, and does not tell what was done before it'
    return { kind: 'unknown_outcome', reason: `${why}; ${cause(failure)}` }
  }
  const what = failure.certainty === 'applied' ? 'it happened, but the answer is of no use' : 'it may have happened'
  return { kind: 'unknown_outcome', reason: `${what}, and repeating it could double it; ${cause(failure)}` }
}

function deadLetter(word: DeadLetterReason, detail: string): Disposition {
  return { kind: 'dead_letter', reason: `${word}: ${detail}` }
}

function cause(failure: Failure): string {
  return `${failure.code}; ${failure.rule}`
}

function countOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

export type InlineDecision =
  /** Wait, then try again. `usesAttempt` is false after a 429: the lane was closed, the try does not count. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly usesAttempt: boolean; readonly reason: string }
  /** Answer the caller now. `disposition` is what a durable item would do: for callers that hand over. */
  | { readonly kind: 'give_up'; readonly reason: string; readonly disposition: Disposition }

/**
 * The same decision for a caller who waits: only a retry, or a lane that opens again soon, goes on; and only where the wait
 * ends before the deadline, `remainingMs` from now (D09).
 */
export function decideInline(
  facts: RetryFacts,
  remainingMs: number,
  settings: RetrySettings,
  random: Random,
): InlineDecision {
  const disposition = decideRetry(facts, settings, random)
  const { kind, reason } = disposition
  if (kind !== 'retry' && kind !== 'close_gate') return { kind: 'give_up', reason, disposition }
  const { delayMs } = disposition
  if (delayMs < remainingMs) return { kind: 'retry', delayMs, usesAttempt: kind === 'retry', reason }
  const shortage = `the wait of ${formatDuration(delayMs)} does not end within the ${formatDuration(remainingMs)} left`
  return { kind: 'give_up', reason: `${shortage}; ${reason}`, disposition }
}

export interface CrashFacts {
  readonly repeatable: boolean
  /** How often a worker was lost while it held the item, this time included. */
  readonly crashes: number
  /** Default 5. */
  readonly maxCrashes?: number
  /** Is there a way to look for the effect? */
  readonly reconcilable: boolean
}

export type CrashDecision =
  | { readonly kind: 'retry'; readonly delayMs: number; readonly reason: string }
  /** `reconcile`: look for the effect; else a person decides. */
  | { readonly kind: 'unknown_outcome'; readonly reconcile: boolean; readonly reason: string }
  | { readonly kind: 'dead_letter'; readonly reason: string }

const DEFAULT_MAX_CRASHES = 5
const SECOND_CRASH_DELAY_MS = 1_000
const LONGEST_CRASH_DELAY_MS = 60_000

/**
 * Decides about an item whose worker was lost (R097, D18). An item that keeps crashing its worker is taken out of the way; one
 * that must not be repeated blindly goes to a person even then, never to the dead letters, whose replay would repeat it.
 */
export function decideCrash(facts: CrashFacts): CrashDecision {
  const { repeatable, crashes, reconcilable, maxCrashes = DEFAULT_MAX_CRASHES } = facts
  const poisonous = crashes >= maxCrashes
  const times = `crashed the worker ${countOf(crashes, 'time', 'times')}`
  if (!repeatable) {
    const reconcile = reconcilable && !poisonous
    const next = reconcile ? 'the effect is looked for' : 'a person must decide'
    return { kind: 'unknown_outcome', reconcile, reason: `${times}; it may have happened; ${next}` }
  }
  if (poisonous) return { kind: 'dead_letter', reason: `${times}; the limit is ${maxCrashes}` }
  // The first loss is most likely a deployment or a machine that went away, and not the item's doing.
  const delayMs = crashes <= 1 ? 0 : Math.min(SECOND_CRASH_DELAY_MS * 2 ** (crashes - 2), LONGEST_CRASH_DELAY_MS)
  return { kind: 'retry', delayMs, reason: `${times}, of at most ${maxCrashes}; repeating it is safe` }
}
