/** PostgreSQL's errors as ours: a stable code, what was wrong and where, and what to do about it. */
import { HoldfastError, isHoldfastError } from '../../../core/errors.ts'
import type { Certainty } from '../../../core/failure.ts'
import { type Explanation, explained, illegalTransition } from '../../store-errors.ts'
import { QueryFailed } from './connection.ts'

export { storeClosed } from '../../store-errors.ts'

/** What the trigger of `transitions.ts` raises. */
export const ILLEGAL_TRANSITION_STATE = 'HF001'
/** What the triggers of `moving.ts` raise. */
export const MOVING_STATE = 'HF002'

const UNAVAILABLE: Explanation = {
  code: 'store_unavailable',
  what: 'cannot be reached',
  hint: 'Check that the server runs and that the address is right; work goes on by itself as soon as it answers.',
}
const BUSY: Explanation = {
  code: 'store_busy',
  what: 'did not get to it in time',
  hint: 'Look for long transactions and locks (pg_stat_activity), or for a pool or server with too few connections.',
}
const DENIED: Explanation = {
  code: 'store_access_denied',
  what: 'refuses this user',
  hint: 'Check user, password and rights. Holdfast needs a schema of its own: its owner, or CREATE on the database.',
}
const MISSING: Explanation = {
  code: 'store_missing',
  what: 'is not there',
  hint: 'Make the database (createdb), or correct "store" in the configuration. Holdfast makes its schema by itself.',
}
const READ_ONLY: Explanation = {
  code: 'store_read_only',
  what: 'takes no writes',
  hint: 'It is a replica, or set to read only: use the address of the primary. After a failover this passes.',
}
const FULL: Explanation = {
  code: 'store_full',
  what: 'has no space left',
  hint: 'Free some disk space on the server: nothing was changed, and work goes on as soon as there is room.',
}
const TOO_LONG: Explanation = {
  code: 'store_value_too_long',
  what: 'cannot index a value this long',
  hint: 'Keys, steps, lanes and endpoints are indexed: keep each under 2,000 bytes, e.g. by using a hash as the key.',
}

const MOVING: Explanation = {
  code: 'store_moving',
  what: 'is being filled by `holdfast migrate` and is not open for work yet',
  hint: 'Wait for its end, or run it again where it was interrupted; `--abort` gives it up. Nothing was changed.',
}

/** By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  '08': UNAVAILABLE,
  '57P01': UNAVAILABLE,
  '57P02': UNAVAILABLE,
  '57P03': UNAVAILABLE,
  '57P05': UNAVAILABLE,
  '25P03': UNAVAILABLE,
  '40': BUSY,
  '55P03': BUSY,
  '57014': BUSY,
  '53300': BUSY,
  '53': BUSY,
  '53100': FULL,
  '58030': UNAVAILABLE,
  '25006': READ_ONLY,
  '28': DENIED,
  '42501': DENIED,
  '3D000': MISSING,
  '3F000': MISSING,
  '42P01': MISSING,
  '54000': TOO_LONG,
  [MOVING_STATE]: MOVING,
}

/** Trying again later may help, and nothing was changed. */
const PASSING: ReadonlySet<Explanation> = new Set([UNAVAILABLE, BUSY, READ_ONLY])

export function isPassing(error: unknown): boolean {
  return error instanceof QueryFailed && PASSING.has(explain(error) ?? DENIED)
}

/** The connection is gone or unusable: it must not go back to the pool. */
export function isConnectionLost(error: unknown): boolean {
  return error instanceof QueryFailed && explain(error) === UNAVAILABLE
}

/** Any error of the store, understood. Errors that are ours already pass through. */
export function storeError(error: unknown, store: string, certainty: Certainty = 'not_sent'): HoldfastError {
  if (isHoldfastError(error)) return error
  if (!(error instanceof QueryFailed)) return explained(undefined, { store, cause: error, certainty })
  const { state } = error
  if (state === ILLEGAL_TRANSITION_STATE) return illegalTransition(store, error)
  const details = state === undefined ? {} : { sqlState: state }
  return explained(explain(error), { store, cause: error, certainty, details })
}

/** Whether an error of the store is what the server calls so. */
export function hasState(error: unknown, state: string): boolean {
  return (error as { details?: { sqlState?: unknown } }).details?.sqlState === state
}

/** The connection was lost while a transaction was being committed, and nobody could be asked what became of it. */
export function outcomeUnknown(store: string, waitedMs: number, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'store_unavailable',
    class: 'configuration',
    certainty: 'maybe_applied',
    message: `The store ${store} was lost during a commit and did not come back within ${Math.round(waitedMs)} ms`,
    hint: 'The last write may be there or not: the same submit again is safe, and a lease that was lost is taken over.',
    details: { store, waitedMs },
    cause,
  })
}

function explain({ state, message }: QueryFailed): Explanation | undefined {
  if (state !== undefined) return EXPLANATIONS[state] ?? EXPLANATIONS[state.slice(0, 2)]
  // The words of pg-pool where no connection became free.
  return message.startsWith('timeout exceeded when trying to connect') ? BUSY : UNAVAILABLE
}
