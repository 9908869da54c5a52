/**
 * Slowing a lane down before the 429 (R050): what its answers told of limits, and how this process keeps to it. Processes tell each
 * other only while little is left, a few times per window: then each keeps to its part of what is left.
 */
import type { IntegrationSettings } from '../../config/settings.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { type Random, randomBetween } from '../../core/random.ts'
import {
  DEFAULT_SLOW_BELOW,
  isForgotten,
  learnLimit,
  type Pace,
  type PacedLimit,
  type PaceFacts,
  paceOf,
} from '../../policy/rate-limits/rate-limit-pace.ts'
import type { RateLimitState } from '../../policy/rate-limits/rate-limits.ts'

/** What this process knows of the limits of one lane as its API tells them. */
export interface LanePace {
  readonly workerId: string
  readonly limits: Map<string, PacedLimit>
  /** Which limits of scope `endpoint` an endpoint was answered with. */
  readonly endpoints: Map<string, Set<string>>
  /** Until when the others use up what is left, by worker. */
  readonly others: Map<string, number>
  /** When the latest call began, or should have, where it was a little late. */
  lastStartMs: number
  /** Between two calls at present. */
  spacingMs: number
  /** The lane is slow here until then: the others must know. */
  slowUntilMs: number
  /** What of this the others were told: until when it holds. */
  toldUntilMs: number
  /** What people were told. */
  standsUntilMs: number
  /** Of the record that all share. */
  revision: number
  /** Who waited for a renewal comes back a little later, so that not all do in one moment. */
  readonly spreadShare: number
}

export interface Slowness {
  readonly by: 'gate' | 'rate'
  readonly untilMs: number
  readonly reason: string
}

/** How long others count a process among those who share what is left, after it last was slow. */
const USER_LEASE_MS = 15_000
/** They are told again when less than this is left of it. */
const TELL_AGAIN_MS = 5000
const LITTLE_LATE = 0.25
const LONG_STAND_MS = 5000
const MOST_SPREAD_MS = 1000
const SPREAD_OF_WAIT = 0.1
/** An API that names a bucket anew on each answer must not fill the memory. */
const MOST_LIMITS = 50
const MOST_ENDPOINTS = 1000

export function newLanePace(random: Random, workerId: string): LanePace {
  return {
    workerId,
    limits: new Map(),
    endpoints: new Map(),
    others: new Map(),
    lastStartMs: 0,
    spacingMs: 0,
    slowUntilMs: 0,
    toldUntilMs: 0,
    standsUntilMs: 0,
    revision: 0,
    spreadShare: randomBetween(random, 0, 1),
  }
}

/** An answer told of limits. */
export function learnLimits(
  pace: LanePace,
  endpoint: string,
  told: readonly RateLimitState[],
  times: { readonly startedAtMs: number; readonly nowMs: number },
): void {
  for (const state of told) {
    if (pace.limits.size >= MOST_LIMITS && !pace.limits.has(state.name)) forget(pace, times.nowMs)
    pace.limits.set(state.name, learnLimit(pace.limits.get(state.name), state, times))
    if (state.scope === 'endpoint') remember(pace, endpoint, state.name)
  }
}

function remember(pace: LanePace, endpoint: string, name: string): void {
  const names = pace.endpoints.get(endpoint) ?? new Set()
  names.add(name)
  if (pace.endpoints.size > MOST_ENDPOINTS) pace.endpoints.clear()
  pace.endpoints.set(endpoint, names)
}

function forget(pace: LanePace, nowMs: number): void {
  for (const [name, limit] of pace.limits) if (isForgotten(limit, nowMs)) pace.limits.delete(name)
  const [oldest] = pace.limits.keys()
  if (pace.limits.size >= MOST_LIMITS && oldest !== undefined) pace.limits.delete(oldest)
}

export interface LaneLoad {
  readonly endpoint: string
  readonly inFlight: number
  readonly nowMs: number
}

/** How many calls of the endpoint may start now; `slowness` where none may. Costs nothing where the API tells no limits. */
export function paceRoom(
  pace: LanePace,
  settings: IntegrationSettings['limits'] | undefined,
  { endpoint, inFlight, nowMs }: LaneLoad,
): { readonly room: number; readonly slowness?: Slowness } {
  if (pace.limits.size === 0) return { room: Number.POSITIVE_INFINITY }
  const facts: PaceFacts = {
    nowMs,
    inFlight,
    users: usersOf(pace, nowMs),
    // Later than now where the clock was set back.
    lastStartMs: Math.min(pace.lastStartMs, nowMs),
    slowBelow: settings?.slowBelow ?? DEFAULT_SLOW_BELOW,
    concurrency: settings?.concurrency ?? 1,
  }
  let room = Number.POSITIVE_INFINITY
  let strictest: Pace | undefined
  pace.spacingMs = 0
  for (const [name, limit] of pace.limits) {
    if (isForgotten(limit, nowMs)) pace.limits.delete(name)
    else if (limit.state.scope === 'lane' || pace.endpoints.get(endpoint)?.has(name)) {
      const one = paceOf(limit, facts)
      if (one.kind !== 'free') pace.slowUntilMs = nowMs + USER_LEASE_MS
      room = Math.min(room, one.room)
      pace.spacingMs = Math.max(pace.spacingMs, one.spacingMs)
      if (one.room <= 0 && (!strictest || one.nextAtMs > strictest.nextAtMs)) strictest = one
    }
  }
  return strictest ? { room: 0, slowness: slownessOf(strictest, pace, nowMs) } : { room }
}

/** A call starts. One that is a little late, since timers are, does not move those after it; one after a pause does. */
export function startPaced(pace: LanePace, nowMs: number): void {
  const plannedMs = pace.lastStartMs + pace.spacingMs
  const isLittleLate = nowMs - plannedMs <= pace.spacingMs * LITTLE_LATE
  pace.lastStartMs = Math.min(nowMs, isLittleLate ? plannedMs : nowMs)
}

function slownessOf(strictest: Pace, pace: LanePace, nowMs: number): Slowness {
  const { kind, nextAtMs, reason } = strictest
  if (kind !== 'spent') return { by: 'rate', untilMs: Math.ceil(nextAtMs), reason }
  const apartMs = Math.min(MOST_SPREAD_MS, (turnOf(pace) + pace.spreadShare) * strictest.apartMs)
  const spreadMs = pace.spreadShare * Math.min(MOST_SPREAD_MS, (nextAtMs - nowMs) * SPREAD_OF_WAIT)
  return { by: 'gate', untilMs: Math.ceil(nextAtMs + Math.max(apartMs, spreadMs)), reason }
}

/** Processes come back one after the other. */
function turnOf({ others, workerId }: LanePace): number {
  let turn = 0
  for (const worker of others.keys()) if (worker < workerId) turn += 1
  return turn
}

function usersOf({ others }: LanePace, nowMs: number): number {
  let users = 1
  for (const [worker, untilMs] of others) {
    if (untilMs > nowMs) users += 1
    else others.delete(worker)
  }
  return users
}

/** People are told once that a lane stands still, where that is for more than a moment. */
export function isWorthTelling(
  pace: LanePace,
  { by, untilMs }: Pick<Slowness, 'untilMs'> & { by: string },
  nowMs: number,
): boolean {
  if (by !== 'gate' || untilMs - nowMs < LONG_STAND_MS || untilMs <= pace.standsUntilMs + LONG_STAND_MS) return false
  pace.standsUntilMs = untilMs
  return true
}

// --- What processes tell each other ---

export const PACE_PREFIX = 'pace:'

/** Plain data: one record per lane. */
interface SharedPace {
  readonly users: Readonly<Record<string, number>>
  readonly limits: Readonly<Record<string, PacedLimit>>
}

/** Is there something that the others must know? */
export function hasPaceNews({ slowUntilMs, toldUntilMs }: LanePace, nowMs: number): boolean {
  return slowUntilMs > nowMs && toldUntilMs < nowMs + TELL_AGAIN_MS
}

export function paceToJson(pace: LanePace, nowMs: number): Json {
  const users: Record<string, number> = { [pace.workerId]: pace.slowUntilMs }
  for (const [worker, untilMs] of pace.others) if (untilMs > nowMs) users[worker] = untilMs
  const shared: SharedPace = { users, limits: Object.fromEntries(pace.limits) }
  return shared as unknown as Json
}

/**
 * Another process's word. Its answers count like our own that are under way: they can only make things worse, or newer. What was read later
 * than now was read by a clock that is ahead, or was before it was set back: it counts as read now, and renews that much earlier.
 */
export function learnPace(
  pace: LanePace,
  value: Json,
  { revision, nowMs }: { readonly revision: number; readonly nowMs: number },
): void {
  pace.revision = Math.max(pace.revision, revision)
  const shared = sharedPace(value)
  if (!shared) return
  for (const [worker, untilMs] of Object.entries(shared.users)) {
    const known = pace.others.get(worker) ?? 0
    if (worker !== pace.workerId && untilMs > Math.max(known, nowMs))
      pace.others.set(worker, Math.min(untilMs, nowMs + USER_LEASE_MS))
  }
  for (const [name, { state, readAtMs }] of Object.entries(shared.limits)) {
    if (pace.limits.size >= MOST_LIMITS && !pace.limits.has(name)) continue
    const times = { startedAtMs: readAtMs, nowMs: Math.min(readAtMs, nowMs) }
    pace.limits.set(name, learnLimit(pace.limits.get(name), movedBack(state, readAtMs - times.nowMs), times))
  }
}

function movedBack(state: RateLimitState, byMs: number): RateLimitState {
  return state.resetAtMs === undefined || byMs === 0 ? state : { ...state, resetAtMs: state.resetAtMs - byMs }
}

/** `undefined` for a record that is not of this version. */
function sharedPace(value: Json): SharedPace | undefined {
  if (!isJsonObject(value) || !isJsonObject(value.users) || !isJsonObject(value.limits)) return undefined
  const areUsers = Object.values(value.users).every((untilMs) => typeof untilMs === 'number')
  const areLimits = Object.values(value.limits).every(
    (limit) =>
      isJsonObject(limit) &&
      typeof limit.readAtMs === 'number' &&
      isJsonObject(limit.state) &&
      typeof limit.state.remaining === 'number' &&
      typeof limit.state.name === 'string',
  )
  return areUsers && areLimits ? (value as unknown as SharedPace) : undefined
}
