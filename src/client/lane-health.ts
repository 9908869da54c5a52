/** What this process knows about one lane: its gate, suspension, concurrency, limiter, quota and retry budget. */
import type { IntegrationSettings, LimitSettings, RateSettings, RetryBudgetSettings } from '../config/settings.ts'
import { formatDuration } from '../core/duration.ts'
import type { HeldBy } from '../core/events.ts'
import { EMPTY_RATE, type RateState, rateAvailable, rateTake } from '../policy/limiter.ts'
import { earn, newRetryBudget, type RetryBudgetState, refund, spend } from '../policy/retry-budget.ts'

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
  budgetSettings: RetryBudgetSettings | undefined
  rate: OwnRate | undefined
  quota: OwnRate | undefined
  others: OtherStarts
  inFlight: number
  /** Callers that wait for a free place, first come first served. */
  readonly waiting: (() => void)[]
  usedAtMs: number
}

/** A limit of the lane, and what this process has started under it. */
export interface OwnRate {
  readonly settings: RateSettings
  starts: RateState
  /** Calls started here, and how many of them the others have been told. */
  taken: number
  told: number
}

/** What the other workers have started, as far as they have told. */
export interface OtherStarts {
  readonly rate: RateState
  readonly quota: RateState
  /** When each last told of a start, and whether it comes before this one where the rest does not divide. */
  readonly workers: readonly { readonly atMs: number; readonly goesFirst: boolean }[]
}

export const ALONE: OtherStarts = { rate: EMPTY_RATE, quota: EMPTY_RATE, workers: [] }

/** When to ask again where an event, not a time, ends the wait. */
const ASK_AGAIN_MS = 100
/** A worker that has started nothing for this long takes no share of what is left. */
const SHARER_MS = 10_000
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
    budgetSettings: undefined,
    rate: undefined,
    quota: undefined,
    others: ALONE,
    inFlight: 0,
    waiting: [],
    usedAtMs: 0,
  }
}

/** Brings the lane in line with its integration's settings. */
export function configureLane(lane: LaneHealth, integration: IntegrationSettings, nowMs: number): void {
  if (lane.limits === integration.limits) return
  lane.limits = integration.limits
  lane.rate = ownRate(lane.rate, integration.limits.rate)
  lane.quota = ownRate(lane.quota, integration.limits.quota)
  lane.budget ??= newRetryBudget(nowMs, integration.retryBudget)
  lane.budgetSettings = integration.retryBudget
}

function ownRate(known: OwnRate | undefined, settings: RateSettings | undefined): OwnRate | undefined {
  if (!settings) return undefined
  return { starts: EMPTY_RATE, taken: 0, told: 0, ...known, settings }
}

/** What holds the lane as a whole, whatever the attempt. */
export function laneRefusal(lane: LaneHealth, nowMs: number): Refusal | undefined {
  if (lane.suspended !== undefined) {
    return { by: 'suspended', untilMs: nowMs + SUSPENDED_ASK_AGAIN_MS, reason: `suspended: ${lane.suspended}` }
  }
  if (lane.gateUntilMs > nowMs) {
    return { by: 'gate', untilMs: lane.gateUntilMs, reason: `the lane's gate is closed: ${lane.gateReason}` }
  }
  return limitRefusal(lane, 'rate', nowMs) ?? limitRefusal(lane, 'quota', nowMs)
}

function limitRefusal(lane: LaneHealth, kind: 'rate' | 'quota', nowMs: number): Refusal | undefined {
  const limit = lane[kind]
  if (!limit) return undefined
  const room = roomIn(lane, limit, lane.others[kind], nowMs)
  if (room.available > 0) return undefined
  const { settings } = limit
  const reason = `the ${kind} of ${settings.limit} calls per ${formatDuration(settings.perMs)} is used up`
  return { by: kind, untilMs: room.nextAtMs, reason }
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
  const rate = lane.rate ? roomIn(lane, lane.rate, lane.others.rate, nowMs).available : Number.POSITIVE_INFINITY
  const quota = lane.quota ? roomIn(lane, lane.quota, lane.others.quota, nowMs).available : Number.POSITIVE_INFINITY
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

/** A retry that succeeded: the budget is there for an API that struggles (docs/decisions/007). */
export function payBack(lane: LaneHealth, nowMs: number): void {
  if (lane.budget && lane.budgetSettings) lane.budget = refund(lane.budget, nowMs, lane.budgetSettings)
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

/**
 * What others started counts against us too; what is left is divided. Alone it is exact. Between two exchanges several
 * workers can overshoot by what they have not told each other yet; the API's 429 then closes the gate for all.
 */
function roomIn(
  { others: { workers } }: LaneHealth,
  { settings, starts }: OwnRate,
  others: RateState,
  nowMs: number,
): { readonly available: number; readonly nextAtMs: number } {
  const own = rateAvailable(starts, nowMs, settings)
  // Counted anew each time: a worker that is gone says nothing any more, and must not keep its share.
  const present = workers.filter(({ atMs }) => Math.abs(nowMs - atMs) < SHARER_MS)
  const sharers = present.length + 1
  const rank = present.filter(({ goesFirst }) => goesFirst).length
  if (others.starts.length === 0 && sharers === 1) return own
  const left = own.available + rateAvailable(others, nowMs, settings).available - Math.floor(settings.limit)
  const share = left > 0 ? Math.floor(left / sharers) + (rank < left % sharers ? 1 : 0) : 0
  if (share > 0) return { available: share, nextAtMs: nowMs }
  const firstMs = Math.min(firstStartMs(starts, nowMs), firstStartMs(others, nowMs))
  return { available: 0, nextAtMs: Math.max(nowMs + ASK_AGAIN_MS, firstMs + settings.perMs) }
}

function firstStartMs(state: RateState, nowMs: number): number {
  return state.starts[0]?.[0] ?? nowMs
}

function takeFrom(rate: OwnRate, nowMs: number): void {
  rate.starts = rateTake(rate.starts, nowMs, 1, rate.settings)
  rate.taken += 1
}
