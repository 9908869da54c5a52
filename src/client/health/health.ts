/**
 * What this process knows about the health of the APIs: breakers (endpoint, tenant, whole API), lane gates, limiters and
 * retry budgets. Decisions are made locally, without a query per request, and synced with the ledger in batches.
 */
import type { BreakerSettings, IntegrationSettings } from '../../config/settings.ts'
import type { BreakerPhase, HeldBy } from '../../core/events.ts'
import type { RateLimitState } from '../../policy/rate-limits/rate-limits.ts'
import type { OutboundCall } from '../call/call.ts'

export interface Health {
  /**
   * How many calls may start now on a channel, for claiming: breakers, gate and limiter together. `retryAtMs` says when to
   * ask again where the answer is 0.
   */
  allowance(channel: HealthChannel, wanted: number): Allowance
  /** Asked right before sending; takes what has to be taken (probe lease, rate token, retry token). */
  admit(call: Pick<OutboundCall, 'integration' | 'endpoint' | 'lane' | 'tenant' | 'attempt' | 'pipeline'>): Admission
  /** How the call ended, for the breakers. Each permit is reported exactly once. */
  report(permit: Permit, end: CallEnd): void
  /** What an answer told of limits: the lane slows down before they are reached (R050). */
  learnLimits(permit: Permit, told: readonly RateLimitState[]): void
  /** A 429: this process stops at once; the caller writes the gate to the ledger. */
  closeGate(lane: string, untilMs: number, reason: string): void
  /** Takes over what other processes know and tells them what changed here. Never throws; trouble becomes an event. */
  sync(): Promise<void>
  /** The last exchange: what is known here is told, shares of limits are given back. No limited call starts after it. Never throws. */
  leave(): Promise<void>
  breakers(): BreakerView[]
  resetBreaker(key: string): Promise<boolean>
}

export interface HealthChannel {
  readonly integration: IntegrationSettings
  readonly endpoint: string
  readonly breaker: BreakerSettings
  readonly lane: string
  readonly tenant: string
}

export interface Allowance {
  readonly limit: number
  readonly retryAtMs: number
  readonly by: HeldBy | undefined
  readonly reason: string
}

export type Admission =
  | { readonly admitted: true; readonly permit: Permit }
  | { readonly admitted: false; readonly by: HeldBy; readonly untilMs: number; readonly reason: string }

/** Opaque to callers. */
export interface Permit {
  readonly breakerKeys: readonly string[]
  readonly probeId: string | undefined
  readonly tenant: string
  readonly settings: BreakerSettings
}

export type CallEnd =
  | { readonly type: 'succeeded' }
  | { readonly type: 'failed'; readonly code: string }
  /** The API said that a limit is reached. */
  | { readonly type: 'throttled' }
  | { readonly type: 'neutral' }

export interface BreakerView {
  /** `hubspot:POST /contacts`, `hubspot:POST /contacts@acme`, `hubspot`. */
  readonly key: string
  readonly phase: BreakerPhase
  readonly reason: string
  readonly openUntilMs: number
  readonly changedAtMs: number
  readonly failures: number
  readonly calls: number
}
