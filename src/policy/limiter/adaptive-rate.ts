/**
 * How many calls per second an API takes that answers 429 and tells no limit. The number under way cannot find it: a quick API takes
 * one call after the other, and too many in a second. What got through between two throttlings, pauses included, is what the API gives; a
 * little less than that is kept to, and slowly more is tried: about one call in some hundreds finds the edge again.
 */

/** Plain data. */
export interface AdaptiveRate {
  /** Calls per second; absent until the API throttles for the first time. */
  readonly perSecond?: number
  /** Good answers since the last throttling. */
  readonly calls: number
  readonly sinceMs: number
  /** Calls that may start now, as of `atMs`; not whole. */
  readonly tokens: number
  readonly atMs: number
}

export interface RateEvent {
  readonly type: 'succeeded' | 'throttled'
  readonly startedAtMs: number
  readonly atMs: number
  /** More would have been called than was allowed. */
  readonly atFullUse: boolean
}

const BELOW_MEASURED = 0.95
/** With each call, and ever more the longer all goes well: some hundreds of calls between two throttlings. */
const GROWTH = 0.0003
const GROWTH_CALLS = 300
const MOST_GROWTH = 0.01
const LEAST_PER_SECOND = 1 / 60
/** Saved up at most for this long, so that a pause is not followed by a burst. */
const BURST_SECONDS = 0.1

export function newAdaptiveRate(nowMs: number): AdaptiveRate {
  return { calls: 0, sinceMs: nowMs, tokens: 1, atMs: nowMs }
}

export function adaptRate(state: AdaptiveRate, event: RateEvent): AdaptiveRate {
  return event.type === 'succeeded' ? grown(state, event) : lowered(state, event)
}

function grown(state: AdaptiveRate, { atFullUse }: RateEvent): AdaptiveRate {
  const calls = state.calls + 1
  if (state.perSecond === undefined || !atFullUse) return { ...state, calls }
  const growth = Math.min(MOST_GROWTH, GROWTH * (1 + calls / GROWTH_CALLS))
  return { ...state, calls, perSecond: state.perSecond * (1 + growth) }
}

function lowered(state: AdaptiveRate, { startedAtMs, atMs }: RateEvent): AdaptiveRate {
  // Those that were under way together are one throttling.
  if (state.perSecond !== undefined && startedAtMs < state.sinceMs) return state
  const seconds = Math.max(1, atMs - state.sinceMs) / 1000
  const measured = Math.max(1, state.calls) / seconds
  const perSecond = Math.max(LEAST_PER_SECOND, Math.min(measured, state.perSecond ?? measured) * BELOW_MEASURED)
  return { perSecond, calls: 0, sinceMs: atMs, tokens: 0, atMs }
}

/** How many calls may start, and when the next one may. */
export function adaptiveRoom(state: AdaptiveRate, nowMs: number): { readonly room: number; readonly nextAtMs: number } {
  if (state.perSecond === undefined) return { room: Number.POSITIVE_INFINITY, nextAtMs: nowMs }
  const tokens = tokensAt(state, nowMs)
  if (tokens >= 1) return { room: Math.floor(tokens), nextAtMs: nowMs }
  return { room: 0, nextAtMs: nowMs + Math.ceil(((1 - tokens) / state.perSecond) * 1000) }
}

/** A call starts. */
export function takeAdaptive(state: AdaptiveRate, nowMs: number): AdaptiveRate {
  if (state.perSecond === undefined) return state
  return { ...state, tokens: tokensAt(state, nowMs) - 1, atMs: Math.max(state.atMs, nowMs) }
}

function tokensAt({ tokens, atMs, perSecond = 0 }: AdaptiveRate, nowMs: number): number {
  const most = Math.max(1, perSecond * BURST_SECONDS)
  return Math.min(most, tokens + (Math.max(0, nowMs - atMs) / 1000) * perSecond)
}
