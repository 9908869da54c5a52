import type { BreakerSettings } from '../config/settings.ts'
import type { BreakerPhase } from '../core/events.ts'

/**
 * A breaker as a pure reducer (D12-D16): state and event in, state out. Plain data, so that it can live in the store and be
 * shared, and model-checked.
 */
export interface BreakerState {
  readonly phase: BreakerPhase
  /** The last calls, oldest first: time, failed or not, tenant of failures where known. At most `windowCalls`. */
  readonly calls: readonly BreakerCall[]
  readonly consecutiveFailures: number
  /** In `open`: when probes may begin. */
  readonly openUntilMs: number
  /** The cooldown of the present, or the next, opening. */
  readonly cooldownMs: number
  /** In `half_open`: leases of probes under way. */
  readonly probes: readonly { readonly id: string; readonly untilMs: number }[]
  readonly probeSuccesses: number
  /** In `ramping`: when traffic was let back. */
  readonly rampFromMs: number
  /** In plain words, e.g. `14 of 20 calls failed, last with http_503`. */
  readonly reason: string
  readonly changedAtMs: number
}

export interface BreakerCall {
  readonly atMs: number
  readonly failed: boolean
  readonly tenant?: string
}

export type BreakerEvent =
  | { readonly type: 'succeeded'; readonly atMs: number; readonly tenant?: string; readonly probeId?: string }
  | {
      readonly type: 'failed'
      readonly atMs: number
      readonly tenant?: string
      readonly probeId?: string
      readonly code: string
    }
  /** A call that says nothing about health (4xx, 429, cancelled): frees its probe. */
  | { readonly type: 'neutral'; readonly atMs: number; readonly probeId?: string }
  | { readonly type: 'probe_started'; readonly atMs: number; readonly probeId: string }
  | { readonly type: 'reset'; readonly atMs: number }

export declare const CLOSED_BREAKER: BreakerState

export declare function reduceBreaker(state: BreakerState, event: BreakerEvent, settings: BreakerSettings): BreakerState

export interface BreakerAdmission {
  /** `all`: no limit; `probe`: one probe may start (send `probe_started`); `share`: that share of full concurrency; `none`. */
  readonly admit: 'all' | 'probe' | 'share' | 'none'
  readonly share: number
  /** For `none`: when to ask again. */
  readonly retryAtMs: number
  readonly reason: string
}

/** What the breaker lets through at `nowMs`. Pure: asking changes nothing. */
export declare function admission(state: BreakerState, nowMs: number, settings: BreakerSettings): BreakerAdmission

/**
 * For a parent scope (an API as a whole): trips only when at least 3 distinct tenants, or more than half of the active ones,
 * fail (D15).
 */
export declare function parentMayTrip(calls: readonly BreakerCall[]): boolean
