/**
 * Slowing down before the 429 (R050): what an API says is left has to last until it renews. Several limits hold at once; each is
 * kept as told, and the strictest rules.
 *
 * While plenty is left, calls go freely, but never more at once than are left. When little is left, they are spread over the time until
 * the limit renews. When nothing is left, they wait for that; then one call per process finds out, and its answer frees the others.
 */
import { type RateLimitState, renewsInMs } from './rate-limits.ts'

/** One limit of a lane, as far as it is known. Plain data. */
export interface PacedLimit {
  readonly state: RateLimitState
  readonly readAtMs: number
  /** How many points a call takes; 1 where calls are counted. */
  readonly costPerCall: number
  /** The longest that was ever told until a renewal: about the window, where it is not told itself. */
  readonly longestMs: number
  /** It renews little by little: the reset moves on while not much more is left. */
  readonly slides: boolean
}

export interface SlowBelow {
  readonly share: number
  readonly calls: number
}

export interface PaceFacts {
  readonly nowMs: number
  /** Calls of this process under way: it is not known whether what is left counts them. */
  readonly inFlight: number
  /** Processes that use up what is left. */
  readonly users: number
  readonly lastStartMs: number
  readonly slowBelow: SlowBelow
  /** The most calls that all processes may have under way. */
  readonly concurrency: number
}

export type Pace =
  | {
      readonly kind: 'free' | 'slow'
      readonly room: number
      readonly nextAtMs: number
      /** Between two calls of this process; 0: none. */
      readonly spacingMs: number
      readonly reason: string
    }
  /** Nothing is left; `nextAtMs` is when it renews. */
  | {
      readonly kind: 'spent'
      readonly room: 0
      readonly nextAtMs: number
      readonly spacingMs: 0
      /** How far apart processes should come back: only so much comes back where the window slides. */
      readonly apartMs: number
      readonly reason: string
    }

export const DEFAULT_SLOW_BELOW: SlowBelow = { share: 0.1, calls: 10 }

/** R050: between two calls, where it is not known when the limit renews. */
const SPACING_MS = 500
/** Who waits for an answer asks again after this; mostly the end of a call comes first. */
const ASK_AGAIN_MS = 50
/** Resets come in whole seconds, and deltas are counted from each answer anew. */
const SAME_WINDOW_MS = 1500
/** What an API said longer ago, without a window, is of no use. */
const FORGET_MS = 60_000
/** One call finds out what is left after a renewal; where none of its answers tells, all go on after this. */
const MOST_FINDING_MS = 5000
/** Nobody knows when a long window without a reset gives back: ask now and then. */
const LONGEST_BLIND_WAIT_MS = 3_600_000
const LONGEST_BLIND_SHARE = 24
/** Where less is left just after a renewal, it was none. */
const FULL_SHARE = 0.5
const WHOLE_WINDOW = 0.8
/**
 * A window that slides is kept to its own pace, or so much slower, or quicker: what is taken in a burst comes back in a burst a window
 * later, and only an even pace never runs dry.
 */
const SLOWEST = 2
const QUICKEST = 0.95
const IN_HAND_SHARE = 0.02
const LEAST_IN_HAND = 2
/** Of what one call takes: the latest counts most. */
const COST_WEIGHT = 0.2

/**
 * What is known after an answer. Answers overtake each other: one whose call began before the last word was heard can only make it worse,
 * or tell of a later window.
 */
export function learnLimit(
  before: PacedLimit | undefined,
  told: RateLimitState,
  { startedAtMs, nowMs }: { readonly startedAtMs: number; readonly nowMs: number },
): PacedLimit {
  const learned = {
    costPerCall: costOf(before, told),
    longestMs: Math.max(before?.longestMs ?? 0, told.windowMs ?? (told.resetAtMs ?? nowMs) - nowMs),
    slides: doesSlide(before, told),
  }
  const isNews = !before || startedAtMs >= before.readAtMs || isLaterWindow(before.state, told)
  if (isNews) return { state: told, readAtMs: nowMs, ...learned }
  if (isLaterWindow(told, before.state) || told.remaining >= before.state.remaining) return { ...before, ...learned }
  return { state: told, readAtMs: nowMs, ...learned }
}

/** A window of the clock begins full, a whole window later. */
function doesSlide(before: PacedLimit | undefined, told: RateLimitState): boolean {
  if (!before || told.limit === undefined || !isLaterWindow(before.state, told)) return before?.slides ?? false
  const laterMs = (told.resetAtMs ?? 0) - (before.state.resetAtMs ?? 0)
  if (laterMs >= before.longestMs * WHOLE_WINDOW) return false
  return before.slides || told.remaining < told.limit * FULL_SHARE
}

function isLaterWindow(one: RateLimitState, other: RateLimitState): boolean {
  if (one.resetAtMs === undefined || other.resetAtMs === undefined) return false
  return other.resetAtMs - one.resetAtMs > SAME_WINDOW_MS
}

/** As told, else by how much less is left than at the answer before. */
function costOf(before: PacedLimit | undefined, { unit, cost, remaining }: RateLimitState): number {
  if (unit === 'calls') return 1
  const known = before?.costPerCall ?? 1
  const seen = cost ?? (before ? before.state.remaining - remaining : 0)
  return seen > 0 ? Math.max(1, known + (seen - known) * (before ? COST_WEIGHT : 1)) : known
}

/**
 * Is it of no more use? Not every answer tells of every limit: one that has renewed and is not heard of again holds nothing up. Nor does one
 * that was read later than now: the clock was set back since, and its times are of the clock before.
 */
export function isForgotten({ state, readAtMs }: PacedLimit, nowMs: number): boolean {
  const { resetAtMs, windowMs = FORGET_MS } = state
  if (readAtMs - nowMs > SAME_WINDOW_MS) return true
  if (resetAtMs === undefined) return nowMs - readAtMs > windowMs
  return nowMs - resetAtMs > Math.min(windowMs, MOST_FINDING_MS)
}

/** How many calls may start now under one limit, and when the next ones may. */
export function paceOf(limit: PacedLimit, facts: PaceFacts): Pace {
  const { nowMs, inFlight, users } = facts
  const { state } = limit
  const hasRenewed = state.resetAtMs !== undefined && state.resetAtMs <= nowMs
  // Where the window slides, only a little has come back.
  if (hasRenewed && !(limit.slides && state.remaining >= limit.costPerCall)) return finding(facts, state)
  const told = leftNow(limit, nowMs) / limit.costPerCall
  const isPlenty = !limit.slides && told >= threshold(limit, facts)
  const left = Math.floor(isPlenty ? told : withoutOthers(limit, told, facts))
  if (left < 1) return spent(limit, facts)
  const mine = Math.floor(left / users) - inFlight
  if (isPlenty) {
    const reason = `all ${left} calls that are left of "${state.name}" are under way`
    return {
      kind: 'free',
      room: Math.max(0, mine),
      nextAtMs: mine > 0 ? nowMs : nowMs + ASK_AGAIN_MS,
      spacingMs: 0,
      reason,
    }
  }
  const spacingMs = spacingOf(limit, left, facts)
  const nextAtMs = facts.lastStartMs + spacingMs
  const reason = `only ${left} calls are left of "${state.name}" (${state.source}): one each ${Math.ceil(spacingMs)} ms (R050)`
  // Fewer calls than processes: each takes its turn by time.
  const isTurn = nextAtMs <= nowMs && (mine > 0 || inFlight === 0)
  return {
    kind: 'slow',
    room: isTurn ? 1 : 0,
    nextAtMs: isTurn ? nowMs : Math.max(nextAtMs, nowMs + 1),
    spacingMs,
    reason,
  }
}

/** The other processes have gone on since it was told: they spread their part over the time until it renews, as this one does. */
function withoutOthers({ state, readAtMs, slides }: PacedLimit, left: number, { nowMs, users }: PaceFacts): number {
  const { resetAtMs } = state
  if (resetAtMs === undefined || resetAtMs <= readAtMs || slides) return left
  const passed = Math.min(1, Math.max(0, nowMs - readAtMs) / (resetAtMs - readAtMs))
  return left * (1 - (passed * (users - 1)) / users)
}

/** It has just renewed. One call of each process asks what there is; a crowd would be refused where the window slides. */
function finding({ nowMs, inFlight }: PaceFacts, { name }: RateLimitState): Pace {
  const reason = `"${name}" has just renewed: one call finds out what is left`
  return inFlight === 0
    ? { kind: 'slow', room: 1, nextAtMs: nowMs, spacingMs: 0, reason }
    : { kind: 'slow', room: 0, nextAtMs: nowMs + ASK_AGAIN_MS, spacingMs: 0, reason }
}

function spent(limit: PacedLimit, { nowMs }: PaceFacts): Pace {
  const { state, readAtMs } = limit
  const nextAtMs = renewalMs(limit) ?? readAtMs + SPACING_MS
  const reason = `nothing is left of "${state.name}", says ${state.source} (R049)`
  if (nextAtMs <= nowMs) return { kind: 'slow', room: 1, nextAtMs: nowMs, spacingMs: 0, reason }
  const apartMs = limit.slides ? comesBackMs(limit) : 0
  return { kind: 'spent', room: 0, nextAtMs, spacingMs: 0, apartMs, reason }
}

function renewalMs({ state, readAtMs, costPerCall }: PacedLimit): number | undefined {
  const inMs = renewsInMs({ ...state, cost: costPerCall }, readAtMs)
  if (inMs === undefined || state.resetAtMs !== undefined || state.restorePerSecond !== undefined) {
    return inMs === undefined ? undefined : readAtMs + inMs
  }
  // A long window that slides gives back before it is over.
  const blindMs = Math.min(inMs, Math.max(FORGET_MS, Math.min(LONGEST_BLIND_WAIT_MS, inMs / LONGEST_BLIND_SHARE)))
  return readAtMs + blindMs
}

/** A leaky bucket has filled meanwhile. */
function leftNow({ state, readAtMs }: PacedLimit, nowMs: number): number {
  const { remaining, restorePerSecond, limit = Number.POSITIVE_INFINITY } = state
  if (restorePerSecond === undefined) return remaining
  return Math.min(limit, remaining + (Math.max(0, nowMs - readAtMs) / 1000) * restorePerSecond)
}

/** Below this many calls they are spread: the share or the number that is larger, and what all processes may have under way. */
function threshold({ state, costPerCall }: PacedLimit, { slowBelow, concurrency }: PaceFacts): number {
  const limit = (state.limit ?? Number.POSITIVE_INFINITY) / costPerCall
  if (!Number.isFinite(limit)) return slowBelow.calls
  return Math.min(limit / 2, Math.max(slowBelow.calls, limit * slowBelow.share, concurrency * 2))
}

/** What is left lasts until it renews; never quicker than it comes back where the window slides. */
function spacingOf(paced: PacedLimit, left: number, { nowMs, users }: PaceFacts): number {
  const { state, costPerCall, slides } = paced
  const { resetAtMs, limit, restorePerSecond } = state
  if (restorePerSecond !== undefined) return ((costPerCall * 1000) / restorePerSecond) * users
  const backMs = comesBackMs(paced)
  // A little is kept in hand: more than that is used up slowly, less is filled up again.
  const inHand = Math.max(LEAST_IN_HAND, users / 2, (IN_HAND_SHARE * (limit ?? 0)) / costPerCall)
  const hand = slides ? Math.min(SLOWEST, Math.max(QUICKEST, inHand / left)) : 1
  const lastsMs = resetAtMs === undefined ? 0 : Math.max(0, resetAtMs - nowMs) / left
  if (slides) return Math.max(backMs * hand * users, left < inHand ? lastsMs : 0)
  return (Math.max(backMs, lastsMs) || SPACING_MS) * users
}

/** A call comes back this often, taken over the whole window; 0: not known. */
function comesBackMs({ state, costPerCall, longestMs }: PacedLimit): number {
  const { windowMs = longestMs, limit } = state
  return limit === undefined ? 0 : (windowMs * costPerCall) / limit
}
