/** What this process may start under one limit of a lane: its slots, until its lease ends (policy/limiter/limiter-slots.ts). */
import type { RateSettings } from '../../config/settings.ts'
import {
  countStarts,
  countsFrom,
  EMPTY_RATE,
  mergeStarts,
  type RateState,
  rateAvailable,
  rateInWindow,
} from '../../policy/limiter/limiter.ts'
import {
  countedRate,
  deliveryMs,
  exchangeSlots,
  leaveSlots,
  type SharedLimit,
  type SlotHolder,
  slotsElsewhere,
} from '../../policy/limiter/limiter-slots.ts'

export interface OwnLimit {
  readonly settings: RateSettings
  /** With the window that is counted. */
  readonly rate: RateSettings
  slots: number
  untilMs: number
  /** From when they count. */
  starts: RateState
  /** How many exchanges were begun here. */
  exchange: number
  /** Added since an exchange began, which does not know of them: by its number, only those since the last one that was surely written. */
  since: readonly (readonly [number, RateState])[]
  /** When calls began that are under way and that no exchange has told of. */
  readonly underWay: Map<number, number>
  underWayCount: number
  /** How many slots that are ready it keeps for calls to come. */
  reserve: number
  startedSinceExchange: number
  lastMs: number
  /** Until when somebody here waits for more. */
  hungryUntilMs: number
  /** More may be asked for out of turn: the last exchange gave more, or was not about more. */
  mayAskAtOnce: boolean
  /** When slots that nobody holds, and those of others, can begin a call, as far as is known. */
  elsewhere: { readonly free: number; readonly held: number }
}

/** A process that is gone takes no more ready slots with it than this, or as many as it was going to use. */
const LEAST_RESERVE = 16
const LEAST_RESERVE_SHARE = 10

/** @param before what was held under earlier settings */
export function newLimit(settings: RateSettings, before: OwnLimit | undefined): OwnLimit {
  return {
    slots: 0,
    untilMs: 0,
    starts: EMPTY_RATE,
    exchange: 0,
    since: [],
    underWay: new Map(),
    underWayCount: 0,
    reserve: 0,
    startedSinceExchange: 0,
    lastMs: 0,
    hungryUntilMs: 0,
    mayAskAtOnce: true,
    elsewhere: { free: 0, held: Number.POSITIVE_INFINITY },
    ...before,
    settings,
    rate: countedRate(settings),
  }
}

/** How many calls may start now; where none, when one of the slots held here is ready, or infinite. */
export function ownRoom(
  { rate, slots, untilMs, starts, underWay, underWayCount }: OwnLimit,
  nowMs: number,
  storeIsAway: boolean,
): { readonly available: number; readonly nextAtMs: number } {
  // While the store cannot be asked, a share that has run out is still better than standing still, or than no limit.
  if (slots <= 0 || (nowMs >= untilMs && !storeIsAway)) return { available: 0, nextAtMs: Number.POSITIVE_INFINITY }
  const room = rateAvailable(starts, nowMs, { limit: slots - underWayCount, perMs: rate.perMs })
  if (room.available > 0 || underWayCount === 0) return room
  const [firstMs = nowMs] = underWay.keys()
  const returnsMs = countsFrom(firstMs + deliveryMs(rate), rate) + rate.perMs
  return { available: 0, nextAtMs: starts.starts.length > 0 ? Math.min(room.nextAtMs, returnsMs) : returnsMs }
}

export function takeStart(limit: OwnLimit, nowMs: number): void {
  addUnderWay(limit, nowMs, 1)
  limit.startedSinceExchange += 1
  limit.lastMs = nowMs
}

/** The API has surely counted the call by now: it need not count from later. */
export function startAnswered(limit: OwnLimit, startedMs: number, nowMs: number): void {
  if (!limit.underWay.has(startedMs)) return
  addUnderWay(limit, startedMs, -1)
  settleStarts(limit, Math.min(nowMs, startedMs + deliveryMs(limit.rate)), 1)
}

/** The time that is counted by has moved on, and they with it. */
export function moveStarts(limit: OwnLimit, byMs: number): void {
  settleUnderWay(limit)
  const moved = ({ starts }: RateState): RateState => ({ starts: starts.map(([atMs, count]) => [atMs + byMs, count]) })
  limit.starts = moved(limit.starts)
  limit.since = limit.since.map(([exchange, starts]) => [exchange, moved(starts)])
}

function addUnderWay(limit: OwnLimit, startedMs: number, change: number): void {
  const count = (limit.underWay.get(startedMs) ?? 0) + change
  if (count > 0) limit.underWay.set(startedMs, count)
  else limit.underWay.delete(startedMs)
  limit.underWayCount += change
}

function settleStarts(limit: OwnLimit, countsFromMs: number, count: number): void {
  const settled: RateState = { starts: [[countsFromMs, count]] }
  limit.starts = mergeStarts(limit.starts, settled, limit.rate)
  const [number, starts] = limit.since.at(-1) ?? [limit.exchange, EMPTY_RATE]
  if (number === limit.exchange)
    limit.since = [...limit.since.slice(0, -1), [number, mergeStarts(starts, settled, limit.rate)]]
  else limit.since = [...limit.since, [limit.exchange, settled]]
}

/** What the exchange of that number, and those before it, did not know of. */
function startedSince({ since, rate }: OwnLimit, exchange: number): RateState {
  return since
    .filter(([number]) => number >= exchange)
    .reduce((all, [, starts]) => mergeStarts(all, starts, rate), EMPTY_RATE)
}

/** The shared record as it is to become; until it is written, what is given away is not used any more. */
export function planExchange(
  limit: OwnLimit,
  shared: SharedLimit,
  about: { readonly holder: string; readonly nowMs: number; readonly leaseMs: number; readonly isUnsure: boolean },
): SharedLimit {
  const { holder, nowMs, leaseMs, isUnsure } = about
  settleUnderWay(limit)
  if (isUnsure) recallStarts(limit, shared.holders[holder])
  limit.exchange += 1
  const { starts, lastMs, rate, exchange, untilMs: leaseEndMs } = limit
  const beyondLease: RateState = { starts: starts.starts.filter(([startMs]) => startMs > leaseEndMs) }
  const wanted = Math.min(Math.floor(rate.limit), countInWindow(limit, nowMs) + reserveOf(limit, nowMs))
  // Never a shorter lease than the one that is gone by here: if this is written and not heard of, the others go by this one.
  const untilMs = Math.max(nowMs + leaseMs, leaseEndMs)
  const next = exchangeSlots(shared, { holder, nowMs, untilMs, starts, beyondLease, wanted, lastMs, exchange }, rate)
  limit.slots = Math.min(limit.slots, next.holders[holder]?.slots ?? 0)
  return next
}

/** Any of the exchanges that failed may have been written, and have moved slots with their starts: the record tells which. */
function recallStarts(limit: OwnLimit, told: SlotHolder | undefined): void {
  if (told) limit.starts = mergeStarts(told.starts, startedSince(limit, told.exchange), limit.rate)
}

/** What others are told is not corrected any more. */
function settleUnderWay(limit: OwnLimit): void {
  for (const [startedMs, count] of limit.underWay) settleStarts(limit, startedMs + deliveryMs(limit.rate), count)
  limit.underWay.clear()
  limit.underWayCount = 0
}

/** It is written: the plan holds. */
export function applyExchange(limit: OwnLimit, next: SharedLimit, holder: string, nowMs: number): void {
  const mine = next.holders[holder]
  limit.mayAskAtOnce = nowMs >= limit.hungryUntilMs || (mine?.slots ?? 0) > limit.slots
  limit.reserve = reserveOf(limit, nowMs)
  limit.slots = mine?.slots ?? 0
  limit.untilMs = mine?.untilMs ?? 0
  limit.since = limit.since.filter(([exchange]) => exchange >= limit.exchange)
  limit.starts = mergeStarts(mine?.starts ?? EMPTY_RATE, startedSince(limit, limit.exchange), limit.rate)
  limit.startedSinceExchange = 0
}

export function planLeaving(
  limit: OwnLimit,
  shared: SharedLimit,
  { holder, nowMs, isUnsure }: { readonly holder: string; readonly nowMs: number; readonly isUnsure: boolean },
): SharedLimit {
  settleUnderWay(limit)
  if (isUnsure) recallStarts(limit, shared.holders[holder])
  limit.exchange += 1
  limit.slots = 0
  return leaveSlots(shared, { holder, starts: limit.starts, nowMs }, limit.rate)
}

/** What others wrote. They never take from what is held here, unless its lease was over. */
export function learnShared(limit: OwnLimit, shared: SharedLimit, holder: string, nowMs: number): void {
  limit.slots = Math.min(limit.slots, shared.holders[holder]?.slots ?? 0)
  limit.elsewhere = slotsElsewhere(shared, holder, nowMs, limit.rate)
}

/** Doubles while calls wait, and follows the calls when none does. */
function reserveOf({ reserve, rate, startedSinceExchange, hungryUntilMs }: OwnLimit, nowMs: number): number {
  const least = Math.min(LEAST_RESERVE, Math.ceil(rate.limit / LEAST_RESERVE_SHARE))
  const wish = nowMs < hungryUntilMs ? reserve * 2 : startedSinceExchange * 2
  return Math.min(Math.max(least, wish), Math.floor(rate.limit))
}

function countInWindow({ starts, rate }: OwnLimit, nowMs: number): number {
  return countStarts({ starts: starts.starts.filter(([startMs]) => nowMs - startMs < rate.perMs) })
}

/** How many calls of the window count: those of the others as they told, and all of our own. */
export function usedCalls(
  own: OwnLimit | undefined,
  shared: SharedLimit | undefined,
  holder: string,
  nowMs: number,
): number {
  if (!own) return 0
  let used = countInWindow(own, nowMs) + own.underWayCount
  if (!shared) return used
  used += countStarts(rateInWindow(shared.free, nowMs, own.rate))
  for (const [id, { starts }] of Object.entries(shared.holders)) {
    if (id !== holder) used += countStarts(rateInWindow(starts, nowMs, own.rate))
  }
  return used
}
