/** A per-lane token bucket that keeps retries from multiplying load on an API that struggles (trap 2, C29). */
import type { RetryBudgetSettings } from '../../config/settings.ts'

/** Plain data: can be stored and shared. */
export interface RetryBudgetState {
  /** From 0 to `burst`; one is one retry. */
  readonly tokens: number
  readonly updatedAtMs: number
}

/** Sums of ratios are not exact: ten times 0.1 must make one token. */
const ROUNDING = 1e-9
/** Events of several workers may arrive a little out of order; further back means that the clock was set. */
const CLOCK_TOLERANCE_MS = 60_000
/** When to ask again where only first tries, at an unknown rate, earn tokens. */
const ASK_AGAIN_MS = 10_000

/** A full bucket: `burst` retries are saved up. */
export function newRetryBudget(nowMs: number, settings: RetryBudgetSettings): RetryBudgetState {
  return { tokens: settings.burst, updatedAtMs: nowMs }
}

/** A first try earns `ratio` tokens. */
export function earn(state: RetryBudgetState, nowMs: number, settings: RetryBudgetSettings): RetryBudgetState {
  return refill(state, nowMs, settings, settings.ratio)
}

/** A retry costs one. Refused: `availableAtMs` says when there is one again, without counting on first tries. */
export function spend(
  state: RetryBudgetState,
  nowMs: number,
  settings: RetryBudgetSettings,
): { readonly allowed: boolean; readonly state: RetryBudgetState; readonly availableAtMs: number } {
  const refilled = refill(state, nowMs, settings, 0)
  if (refilled.tokens >= 1 - ROUNDING) {
    const spent = { tokens: Math.max(0, refilled.tokens - 1), updatedAtMs: refilled.updatedAtMs }
    return { allowed: true, state: spent, availableAtMs: nowMs }
  }
  return { allowed: false, state: refilled, availableAtMs: refilled.updatedAtMs + untilOneToken(refilled, settings) }
}

/**
 * A retry that succeeds gives its token back (as AWS SDKs do): the budget is there for an API that struggles, not for one
 * that works again.
 */
export function refund(state: RetryBudgetState, nowMs: number, settings: RetryBudgetSettings): RetryBudgetState {
  return refill(state, nowMs, settings, 1)
}

function refill(
  state: RetryBudgetState,
  nowMs: number,
  settings: RetryBudgetSettings,
  earned: number,
): RetryBudgetState {
  const clockWasSetBack = nowMs < state.updatedAtMs - CLOCK_TOLERANCE_MS
  const elapsedMs = Math.max(0, nowMs - state.updatedAtMs)
  const tokens = state.tokens + earned + (elapsedMs / 1000) * settings.minimumPerSecond
  return {
    tokens: Math.min(settings.burst, tokens),
    // Time already counted is not counted again when an older event comes late.
    updatedAtMs: clockWasSetBack ? nowMs : Math.max(nowMs, state.updatedAtMs),
  }
}

function untilOneToken(state: RetryBudgetState, settings: RetryBudgetSettings): number {
  if (settings.minimumPerSecond <= 0 || settings.burst < 1) return ASK_AGAIN_MS
  return Math.ceil(((1 - state.tokens) / settings.minimumPerSecond) * 1000)
}
