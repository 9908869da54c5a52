/**
 * What one response or failure means (design.md, section 2 "classification").
 * The upstream classes are those of the table in design.md, section 4; the last three are ours.
 */
export type FailureClass =
  | 'transient'
  | 'rate_limited'
  | 'wait_long'
  | 'authentication'
  | 'authorization'
  | 'not_found'
  | 'conflict'
  | 'validation'
  | 'schema'
  | 'too_large'
  | 'malformed_response'
  | 'unknown'
  /** Refused by us before anything was sent: an open breaker, a closed gate, a full limiter, a suspended lane. */
  | 'held'
  /** The caller, or an operator, gave up on it. */
  | 'cancelled'
  /** Wrong use or set-up of Holdfast itself; also a store that cannot be used. */
  | 'configuration'

/**
 * What is known about the effect of an attempt that did not succeed.
 * - `not_sent`: surely no effect. It never left, or the API refused it before doing anything (R020).
 * - `maybe_applied`: it may have been executed (R019); repeating it is safe only by nature, by key or after a look.
 * - `applied`: the API did it, although we cannot use its answer.
 */
export type Certainty = 'not_sent' | 'maybe_applied' | 'applied'

/** One failure, understood: the value that policies decide on, the ledger stores and every screen shows. */
export interface Failure {
  readonly class: FailureClass
  /** Stable machine code: `http_503`, `ECONNRESET`, `timeout_headers`, a vendor's own code, ... Part of the fingerprint. */
  readonly code: string
  /** For the log and the person on call; secrets already redacted. */
  readonly message: string
  /** Safe to show to an end user; never contains upstream text (R196). */
  readonly userMessage: string
  readonly certainty: Certainty
  /** What to do about it, in one sentence (R132). */
  readonly hint: string
  /** Which rule decided and where it comes from, e.g. `default:http.429 (R020)`, for `explain` (design.md, rule 9). */
  readonly rule: string
  /** HTTP status, where there was an answer. */
  readonly status?: number
  /** The server asked not to come back earlier than this, counted from the receipt of its answer. A floor (D11). */
  readonly retryAfterMs?: number
  /** The most retries this kind of failure is worth, where smaller than the policy's (D06, D07, R005). */
  readonly maxRetries?: number
  /** The API gave the failure that it had stored under our idempotency key: the same key will never get another answer. */
  readonly keySpent?: true
  /** Whether it says that the endpoint is unhealthy (D12: validation errors and 429s do not). */
  readonly countsAgainstBreaker: boolean
  /** The field, scope or parameter the answer blames, where it names one. */
  readonly subject?: string
  /** The vendor's request or correlation id, for its support desk (R163). */
  readonly vendorRequestId?: string
  /** The first part of the answer's body, redacted, for the person who must understand it (R163). */
  readonly bodyExcerpt?: string
}
