/**
 * One row of an error map (R022): what it matches, what that means, where the fact comes from. The same rows stand in profiles
 * and in the `errors` of an integration; `policy/classify/classify-rules.ts` matches both.
 */
import type { Certainty, FailureClass } from '../core/failure.ts'
import type { Json } from '../core/json.ts'
import type { WrittenDuration } from './schema-parts.ts'

export const STATUS_FAMILIES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
export type StatusCondition = number | (typeof STATUS_FAMILIES)[number]

/** A condition on the body: the value at a path is there (not null), or equals one of the values given. */
export interface BodyCondition {
  /** `ok`, `errors[].extensions.code`, `data.*.userErrors[]`, `error.**.code`: see `policy/classify/json-path.ts`. */
  readonly path: string
  readonly equals?: string | number | boolean | readonly (string | number | boolean)[]
}

/** All that is given must hold. A rule without `status`, `code` or `body` never turns a good answer into a failure. */
export interface RuleConditions {
  readonly status?: StatusCondition | readonly StatusCondition[]
  /** One of the machine codes of the body, found at the error paths (R024): equal, or matching a `/pattern/`. */
  readonly code?: string | number | readonly (string | number)[]
  /** Look for `code` here only. */
  readonly codePath?: string
  /** Found anywhere in the human message, without regard to case; `/.../` is a regular expression. */
  readonly message?: string
  readonly header?: { readonly name: string; readonly value?: string }
  /** One condition, or several that must all hold. */
  readonly body?: BodyCondition | readonly BodyCondition[]
  readonly method?: string | readonly string[]
  /** `POST /contacts/{id}`, without a method for all, with `*` at the end for everything below. */
  readonly endpoint?: string
}

export const WAIT_UNITS = [
  'seconds',
  'milliseconds',
  'epoch_seconds',
  'epoch_milliseconds',
  'duration',
  'timestamp',
] as const
export type WaitUnit = (typeof WAIT_UNITS)[number]

export const BOUNDARIES = ['next_minute', 'next_hour', 'midnight', 'next_month'] as const
export type Boundary = (typeof BOUNDARIES)[number]

/**
 * When to come back. The first that is known counts: `path`, then what the answer says by itself (Retry-After, reset headers),
 * then `until`, then `otherwise`; never less than `atLeast`.
 */
export interface RuleWait {
  /** Where the body says it. */
  readonly path?: string
  /** Default `seconds`. `duration`: "3.5s", "6m0s"; `timestamp`: RFC 3339 or an HTTP date. */
  readonly unit?: WaitUnit
  readonly until?: Boundary
  /** Whose midnight, such as "America/New_York"; months are those of UTC. Default UTC. */
  readonly timeZone?: string
  readonly otherwise?: WrittenDuration
  readonly atLeast?: WrittenDuration
  /** True: reset headers tell of another limit than the one that was hit; only Retry-After counts. Default false. */
  readonly ignoreLimits?: boolean
}

export interface RuleVerdict {
  readonly class: FailureClass | 'success'
  /** Of a write. Default by class and status. */
  readonly certainty?: Certainty
  /** A stable code of ours in place of the vendor's, such as `already_exists`. */
  readonly reportAs?: string
  /** What to do about it, for the person on call. */
  readonly hint?: string
  /** Safe to show to an end user. */
  readonly userMessage?: string
  /** The most retries that it is worth; the policy's own limit holds too. */
  readonly maxRetries?: number
  readonly retryAfter?: RuleWait
  /** Default: for `transient` and `malformed_response` only (D12). */
  readonly countsAgainstBreaker?: boolean
}

/** How sure a fact is: read in the vendor's own documentation or code, in somebody else's, or not checked. */
export const SOURCE_CERTAINTIES = ['vendor', 'second_hand', 'unverified'] as const

export interface FactSource {
  readonly url: string
  /** The day on which it was read: `2026-11-22`. */
  readonly read: string
  readonly certainty: (typeof SOURCE_CERTAINTIES)[number]
}

/** A row of an integration's error map, as policies work on it. The first that matches wins, before any default row. */
export interface ErrorRule extends RuleConditions, RuleVerdict {
  readonly id?: string
  readonly source?: string | FactSource
  /** What `explain` calls it. Set on loading. */
  readonly label?: string
}

/** As people write it: with the `id` of a rule of the profile, it changes what it names of that rule, in its place. */
export type WrittenErrorRule = Omit<ErrorRule, 'class' | 'label'> & Partial<Pick<ErrorRule, 'class'>>

/** A row of a profile. */
export interface ProfileRule extends RuleConditions, RuleVerdict {
  /** Stable: users override by it. Letters, digits and hyphens. */
  readonly id: string
  readonly hint: string
  readonly source: FactSource
}

/** An answer in the vendor's true shape that its rule must decide. */
export interface RuleSample {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** JSON, or for a text (HTML, XML, nothing) a string. */
  readonly body?: Json
  /** Default POST. */
  readonly method?: string
  /** The path template that was called. Default `/`. */
  readonly path?: string
  readonly note?: string
}
