/** What this process knows about one lane: its gate, suspension, concurrency, limiter, quota and retry budget. */
import type { IntegrationSettings, LimitSettings, RateSettings } from '../config/settings.ts'
import type { HeldBy } from '../core/events.ts'
import { EMPTY_RATE, type RateState, rateAvailable, rateTake } from '../policy/limiter.ts'
import { earn, newRetryBudget, type RetryBudgetState, spend } from '../policy/retry-budget.ts'

export interface Refusal {
  readonly by: HeldBy
  readonly untilMs: number
  readonly reason: string
}

export interface LaneHealth {
  readonly lane: string
  /** Absent on lanes known only from the ledger. */
  limits: LimitSettings | undefined
  gateUntilMs: number
  gateReason: string
  /** When this process closed the gate: until the ledger has surely heard of it, its word does not count. */
  gateClosedHereAtMs: number
  suspended: string | undefined
  budget: RetryBudgetState | undefined
  rate: SharedRate | undefined
  quota: SharedRate | undefined
  inFlight: number
  /** Callers that wait for a free place, first come first served. */
  readonly waiting: (() => void)[]
  usedAtMs: number
}

/** Starts of this process, and of the others as far as they have told. */
export interface SharedRate {
  readonly settings: RateSettings
  own: RateState
  others: RateState
  /** Workers that use the lane, this one included: between two syncs each takes its share of what is left. */
  sharers: number
  changed: boolean
}

/** When to ask again where an event, not a time, ends the wait. */
const ASK_AGAIN_MS = 100
const SUSPENDED_ASK_AGAIN_MS = 5000

export function newLane(lane: string): LaneHealth {
  return {
    lane,
    limits: undefined,
    gateUntilMs: 0,
    gateReason: '',
    gateClosedHereAtMs: Number.NEGATIVE_INFINITY,
    suspended: undefined,
    budget: undefined,
    rate: undefined,
    quota: undefined,
    inFlight: 0,
    waiting: [],
    usedAtMs: 0,
  }
}

/** Brings the lane in line with its integration's settings. */
export function configureLane(lane: LaneHealth, integration: IntegrationSettings, nowMs: number): void {
  if (lane.limits === integration.limits) return
  lane.limits = integration.limits
  lane.rate = shareRate(lane.rate, integration.limits.rate)
  lane.quota = shareRate(lane.quota, integration.limits.quota)
  lane.budget ??= newRetryBudget(nowMs, integration.retryBudget)
}

function shareRate(known: SharedRate | undefined, settings: RateSettings | undefined): SharedRate | undefined {
  if (!settings) return undefined
  if (known) return { ...known, settings }
  return { settings, own: EMPTY_RATE, others: EMPTY_RATE, sharers: 1, changed: false }
}

/** What holds the lane as a whole, whatever the attempt. */
export function laneRefusal(lane: LaneHealth, nowMs: number): Refusal | undefined {
  if (lane.suspended !== undefined) {
    return { by: 'suspended', untilMs: nowMs + SUSPENDED_ASK_AGAIN_MS, reason: `suspended: ${lane.suspended}` }
  }
  if (lane.gateUntilMs > nowMs) {
    return { by: 'gate', untilMs: lane.gateUntilMs, reason: `the lane's gate is closed: ${lane.gateReason}` }
  }
  if (lane.rate) {
    const room = roomIn(lane.rate, nowMs)
    if (room.available < 1) return { by: 'rate', untilMs: room.nextAtMs, reason: `limit of ${describe(lane.rate)}` }
  }
  if (lane.quota) {
    const room = roomIn(lane.quota, nowMs)
    if (room.available < 1)
      return { by: 'quota', untilMs: room.nextAtMs, reason: `quota of ${describe(lane.quota)} is spent` }
  }
  return undefined
}

export function concurrencyRefusal(lane: LaneHealth, nowMs: number): Refusal | undefined {
  const limit = lane.limits?.concurrency ?? Number.POSITIVE_INFINITY
  if (lane.inFlight < limit) return undefined
  return {
    by: 'concurrency',
    untilMs: nowMs + ASK_AGAIN_MS,
    reason: `${lane.inFlight} of ${limit} calls are under way`,
  }
}

/** How many calls could start, all limits of the lane together. */
export function laneRoom(lane: LaneHealth, nowMs: number): number {
  const free = (lane.limits?.concurrency ?? Number.POSITIVE_INFINITY) - lane.inFlight
  const rate = lane.rate ? roomIn(lane.rate, nowMs).available : Number.POSITIVE_INFINITY
  const quota = lane.quota ? roomIn(lane.quota, nowMs).available : Number.POSITIVE_INFINITY
  return Math.max(0, Math.min(free, rate, quota))
}

/** A first try earns, a retry pays (trap 2). The last thing asked: it takes at once. */
export function payForAttempt(
  lane: LaneHealth,
  integration: IntegrationSettings,
  isRetry: boolean,
  nowMs: number,
): Refusal | undefined {
  const budget = lane.budget ?? newRetryBudget(nowMs, integration.retryBudget)
  if (!isRetry) {
    lane.budget = earn(budget, nowMs, integration.retryBudget)
    return undefined
  }
  const paid = spend(budget, nowMs, integration.retryBudget)
  lane.budget = paid.state
  if (paid.allowed) return undefined
  const share = Math.round(integration.retryBudget.ratio * 100)
  return { by: 'retry_budget', untilMs: paid.availableAtMs, reason: `retries are limited to ${share} % of the traffic` }
}

/** A call starts: its place and its tokens are taken. */
export function takePlace(lane: LaneHealth, nowMs: number): void {
  lane.inFlight += 1
  lane.usedAtMs = nowMs
  if (lane.rate) takeFrom(lane.rate, nowMs)
  if (lane.quota) takeFrom(lane.quota, nowMs)
}

export function freePlace(lane: LaneHealth): void {
  lane.inFlight -= 1
  lane.waiting.shift()?.()
}

/** What others started counts against us too; what is left is shared by all who use the lane. */
function roomIn(rate: SharedRate, nowMs: number): { available: number; nextAtMs: number } {
  const own = rateAvailable(rate.own, nowMs, rate.settings)
  if (rate.others.starts.length === 0 && rate.sharers === 1) return own
  const others = rateAvailable(rate.others, nowMs, rate.settings)
  const left = own.available + others.available - Math.floor(rate.settings.limit)
  if (left > 0) return { available: Math.max(1, Math.floor(left / rate.sharers)), nextAtMs: nowMs }
  const firstMs = Math.min(firstStartMs(rate.own, nowMs), firstStartMs(rate.others, nowMs))
  return { available: 0, nextAtMs: Math.max(nowMs + 1, firstMs + rate.settings.perMs) }
}

function firstStartMs(state: RateState, nowMs: number): number {
  return state.starts[0]?.[0] ?? nowMs
}

function takeFrom(rate: SharedRate, nowMs: number): void {
  rate.own = rateTake(rate.own, nowMs, 1, rate.settings)
  rate.changed = true
}

function describe(rate: SharedRate): string {
  return `${rate.settings.limit} calls per ${rate.settings.perMs / 1000} s`
}
