/** What this process knows about one lane: its gate, suspension, concurrency, limits and retry budget. */
import type { IntegrationSettings, LimitSettings, RetryBudgetSettings } from '../../config/settings.ts'
import type { HeldBy } from '../../core/events.ts'
import type { Random } from '../../core/random.ts'
import { earn, newRetryBudget, type RetryBudgetState, refund, spend } from '../../policy/retry/retry-budget.ts'
import { type LanePace, newLanePace, paceRoom, startPaced } from './backpressure.ts'
import {
  adaptedConcurrency,
  adaptedRoom,
  type LaneAdaptive,
  newLaneAdaptive,
  startAdapted,
} from './lane-limits-adaptive.ts'
import { type LaneLimits, newLaneLimits } from './lane-rhythm.ts'

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
  /** Its rate and quota, where it has one; ruled by `SharedRates`. */
  shared: LaneLimits | undefined
  /** What its answers told of limits. */
  readonly pace: LanePace
  /** Where it finds out by itself how much the API takes. */
  adaptive: LaneAdaptive | undefined
  inFlight: number
  /** Callers that wait for a free place, first come first served. */
  readonly waiting: (() => void)[]
  usedAtMs: number
}

/** When to ask again where an event, not a time, ends the wait. */
const ASK_AGAIN_MS = 100
const SUSPENDED_ASK_AGAIN_MS = 5000

export function newLane(lane: string, random: Random, workerId: string): LaneHealth {
  return {
    lane,
    limits: undefined,
    gateUntilMs: 0,
    gateReason: '',
    gateClosedHereAtMs: Number.NEGATIVE_INFINITY,
    suspended: undefined,
    budget: undefined,
    budgetSettings: undefined,
    shared: undefined,
    pace: newLanePace(random, workerId),
    adaptive: undefined,
    inFlight: 0,
    waiting: [],
    usedAtMs: 0,
  }
}

/** Brings the lane in line with its integration's settings. */
export function configureLane(lane: LaneHealth, integration: IntegrationSettings, nowMs: number): void {
  if (lane.limits === integration.limits) return
  lane.limits = integration.limits
  lane.shared = newLaneLimits(integration.limits, lane.shared)
  lane.adaptive = newLaneAdaptive(integration.limits, lane.adaptive, nowMs)
  lane.budget ??= newRetryBudget(nowMs, integration.retryBudget)
  lane.budgetSettings = integration.retryBudget
}

/** What an operator or the API said holds the lane as a whole. */
export function gateRefusal(lane: LaneHealth, nowMs: number): Refusal | undefined {
  if (lane.suspended !== undefined) {
    return { by: 'suspended', untilMs: nowMs + SUSPENDED_ASK_AGAIN_MS, reason: `suspended: ${lane.suspended}` }
  }
  if (lane.gateUntilMs > nowMs) {
    return { by: 'gate', untilMs: lane.gateUntilMs, reason: `the lane's gate is closed: ${lane.gateReason}` }
  }
  return undefined
}

export function concurrencyRefusal(lane: LaneHealth, nowMs: number): Refusal | undefined {
  const limit = concurrencyOf(lane)
  if (lane.inFlight < limit) return undefined
  return {
    by: 'concurrency',
    untilMs: nowMs + ASK_AGAIN_MS,
    reason: `${lane.inFlight} of ${limit} calls are under way`,
  }
}

/** How many more calls may be under way. */
export function placesLeft(lane: LaneHealth): number {
  return Math.max(0, concurrencyOf(lane) - lane.inFlight)
}

function concurrencyOf({ limits, adaptive }: LaneHealth): number {
  return adaptive ? adaptedConcurrency(adaptive) : (limits?.concurrency ?? Number.POSITIVE_INFINITY)
}

/** How many calls of the endpoint may start, by what the API tells of its limits, or where it tells none, by what it took. */
export function paceOfLane(
  lane: LaneHealth,
  endpoint: string,
  nowMs: number,
): { readonly room: number; readonly slowness?: Refusal } {
  const told = paceRoom(lane.pace, lane.limits, { endpoint, inFlight: lane.inFlight, nowMs })
  // An API that tells its limits is not guessed at.
  if (told.room !== Number.POSITIVE_INFINITY || !lane.adaptive || lane.pace.limits.size > 0) return told
  return adaptedRoom(lane.adaptive, nowMs)
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

/** A call starts. */
export function takePlace(lane: LaneHealth, nowMs: number): void {
  lane.inFlight += 1
  lane.usedAtMs = nowMs
  startPaced(lane.pace, nowMs)
  if (lane.adaptive) startAdapted(lane.adaptive, nowMs)
}

export function freePlace(lane: LaneHealth): void {
  lane.inFlight -= 1
  lane.waiting.shift()?.()
}
