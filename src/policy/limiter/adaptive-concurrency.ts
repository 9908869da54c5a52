/**
 * How many calls at once an API takes that does not tell: a little more with each good answer while all of it is used, much less where
 * it throttles, times out or answers ever more slowly (additive increase, multiplicative decrease). Processes that share an API come
 * to fair parts by this without telling each other anything, so each keeps its own.
 */

/** Plain data. */
export interface AdaptiveConcurrency {
  /** Not whole: what is allowed is its floor. */
  readonly limit: number
  /** When it last was made smaller: what began before is of the old size, and says nothing of the new one. */
  readonly reducedAtMs: number
  /** What an answer usually takes when nothing is wrong; 0: not known. */
  readonly usualMs: number
  /** What the latest answers took. */
  readonly recentMs: number
}

export interface AdaptiveBounds {
  readonly min: number
  readonly max: number
}

export interface AdaptiveEvent {
  readonly type: 'succeeded' | 'throttled' | 'timed_out'
  readonly startedAtMs: number
  readonly atMs: number
  /** Under way when it ended, itself included. */
  readonly inFlight: number
}

/** Where it begins, so that a first burst does no harm. */
const FIRST_LIMIT = 4
const AFTER_TROUBLE = 0.7
const AFTER_SLOWNESS = 0.9
/** So much slower than usual, and by so many milliseconds, is more than chance. */
const SLOW_FACTOR = 2
const SLOW_LEAST_MS = 20
/** Calls end in bunches: with half of them still under way, all of it was used. */
const USED_SHARE = 0.5
const RECENT_WEIGHT = 0.2
/** What is usual becomes less at once, and more only slowly: an API that is slow for good is not held down for ever. */
const USUAL_WEIGHT = 0.01

export function newAdaptiveConcurrency({ min, max }: AdaptiveBounds): AdaptiveConcurrency {
  const limit = Math.min(max, Math.max(min, FIRST_LIMIT))
  return { limit, reducedAtMs: Number.NEGATIVE_INFINITY, usualMs: 0, recentMs: 0 }
}

/** How many calls may be under way. */
export function adaptiveLimit(state: AdaptiveConcurrency, { min, max }: AdaptiveBounds): number {
  return Math.min(max, Math.max(min, Math.floor(state.limit)))
}

export function adaptConcurrency(
  state: AdaptiveConcurrency,
  event: AdaptiveEvent,
  bounds: AdaptiveBounds,
): AdaptiveConcurrency {
  if (event.type !== 'succeeded') return reduced(state, AFTER_TROUBLE, event, bounds)
  const tookMs = Math.max(0, event.atMs - event.startedAtMs)
  const usualMs =
    state.usualMs === 0 ? tookMs : Math.min(tookMs, state.usualMs + (tookMs - state.usualMs) * USUAL_WEIGHT)
  const recentMs = state.recentMs === 0 ? tookMs : state.recentMs + (tookMs - state.recentMs) * RECENT_WEIGHT
  const seen = { ...state, usualMs, recentMs }
  const isSlow = recentMs > usualMs * SLOW_FACTOR && recentMs - usualMs > SLOW_LEAST_MS
  // Slowness that our own calls do not make is none of their number's business.
  if (isSlow && event.inFlight > bounds.min) return reduced(seen, AFTER_SLOWNESS, event, bounds)
  if (isSlow || event.inFlight < adaptiveLimit(state, bounds) * USED_SHARE) return seen
  return { ...seen, limit: Math.min(bounds.max, state.limit + 1 / Math.max(1, state.limit)) }
}

/** Once for all that were under way together. */
function reduced(
  state: AdaptiveConcurrency,
  factor: number,
  { startedAtMs, atMs }: AdaptiveEvent,
  { min }: AdaptiveBounds,
): AdaptiveConcurrency {
  if (startedAtMs < state.reducedAtMs) return state
  return { ...state, limit: Math.max(min, state.limit * factor), reducedAtMs: atMs }
}
