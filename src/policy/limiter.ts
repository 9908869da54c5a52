import type { RateSettings } from '../config/settings.ts'

/**
 * A sliding-window limiter that never lets more than `limit` calls start in any `perMs`, wherever the window is laid.
 * Plain data.
 */
export interface RateState {
  /** Start times of the calls that still count, oldest first, grouped: [timeMs, count]. */
  readonly starts: readonly (readonly [number, number])[]
}

export declare const EMPTY_RATE: RateState
export declare function rateAvailable(
  state: RateState,
  nowMs: number,
  settings: RateSettings,
): { readonly available: number; readonly nextAtMs: number }
/** Takes `count` starts at `nowMs`. The caller asked first. */
export declare function rateTake(state: RateState, nowMs: number, count: number, settings: RateSettings): RateState
