import type { RetryBudgetSettings } from '../config/settings.ts'

/** A per-lane token bucket that keeps retries from multiplying load (trap 2, C29). Plain data: can be stored and shared. */
export interface RetryBudgetState {
  readonly tokens: number
  readonly updatedAtMs: number
}

export declare function newRetryBudget(nowMs: number, settings: RetryBudgetSettings): RetryBudgetState
/** A first try earns `ratio` tokens. */
export declare function earn(state: RetryBudgetState, nowMs: number, settings: RetryBudgetSettings): RetryBudgetState
/** A retry costs one. Refused: `availableAtMs` says when there is one again. */
export declare function spend(
  state: RetryBudgetState,
  nowMs: number,
  settings: RetryBudgetSettings,
): { readonly allowed: boolean; readonly state: RetryBudgetState; readonly availableAtMs: number }
