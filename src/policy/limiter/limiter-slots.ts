/**
 * One limit shared by several processes, exactly and without a question per call.
 *
 * A limit of 100 per 10 s is 100 *slots*: each may begin a call, and another one a window later. A process holds some of the
 * slots for a short lease and starts calls on them by itself; only the slots change hands, by compare-and-swap on the record
 * that all share, and each takes its latest start along. So whoever holds what: never more than the limit in any window.
 *
 * The slots of a process that is gone come back when its lease is over. Those it may have used since it last told count as
 * used at the very end of the lease.
 */
import type { RateSettings } from '../../config/settings.ts'
import { countStarts, EMPTY_RATE, mergeStarts, type RateState, rateAvailable, rateInWindow } from './limiter.ts'

/** Plain data: what the processes share. All times are of the clock that they share (client/wire/shared-time.ts). */
export interface SharedLimit {
  /** Latest starts of slots that nobody holds. */
  readonly free: RateState
  readonly holders: Readonly<Record<string, SlotHolder>>
}

export interface SlotHolder {
  readonly slots: number
  /** Starts on its slots, as told at its last exchange, from when they count. */
  readonly starts: RateState
  /** The end of its lease: it starts nothing from then on. */
  readonly untilMs: number
  /** How many slots it could use. */
  readonly wanted: number
  /** Its latest start ever; 0 for none. Who has waited longest goes first. */
  readonly lastMs: number
  /** Which of its exchanges this is, by its own count: what it started before is told, or counted elsewhere. */
  readonly exchange: number
}

/** What a process tells at an exchange. */
export interface SlotRequest extends Omit<SlotHolder, 'slots'> {
  readonly holder: string
  readonly nowMs: number
  /** Of its starts, those after the end of its lease, while the store was away: they are counted nowhere else. Default none. */
  readonly beyondLease?: RateState
}

export const NOBODY_HOLDS: SharedLimit = { free: EMPTY_RATE, holders: {} }

const DELAY_SHARE = 12
const LEAST_DELAY_MS = 100
const LEAST_DELAY_SHARE = 5
const MOST_DELAY_MS = 1000
/** Clocks show whole milliseconds, and two processes round differently. */
const RESOLUTION_MS = 2

/** The window that is counted. */
export function countedRate({ perMs, ...rate }: RateSettings): RateSettings {
  return { ...rate, perMs: perMs + RESOLUTION_MS }
}

/**
 * How long a call may be on its way until it counts at the API: a start counts from its answer, which is after its arrival, or from
 * this long after it began where the answer takes longer. So the limit is exact for networks that deliver within a twelfth of the window,
 * at least 100 ms (for windows under half a second, a fifth of it), at most a second.
 */
export function deliveryMs({ perMs }: RateSettings): number {
  const leastMs = Math.min(LEAST_DELAY_MS, perMs / LEAST_DELAY_SHARE)
  return Math.ceil(Math.min(MOST_DELAY_MS, Math.max(leastMs, perMs / DELAY_SHARE)))
}

/**
 * A process tells what it has started and wants, takes back what is over, gives what is more than its fair share, and takes
 * what is free up to it. Only its own slots become fewer: nobody takes from the living.
 * @param rate with the window that is counted, see {@link countedRate}
 */
export function exchangeSlots(shared: SharedLimit, request: SlotRequest, rate: RateSettings): SharedLimit {
  const { holder, nowMs, untilMs, wanted, lastMs, exchange } = request
  const known = withoutExpired(shared, holder, nowMs, rate)
  const mine = known.holders[holder]
  // Without an entry its slots went to the others, and what it started on them is counted there.
  const starts = rateInWindow(mine ? request.starts : (request.beyondLease ?? EMPTY_RATE), nowMs, rate)
  const entry: SlotHolder = { slots: mine?.slots ?? 0, starts, untilMs, wanted, lastMs, exchange }
  const holders = { ...known.holders, [holder]: entry }
  const change = fairShare(holders, holder, Math.floor(rate.limit)) - entry.slots
  if (change === 0) return { free: known.free, holders }
  return change < 0 ? give(known.free, holders, holder, -change, rate) : take(known.free, holders, holder, change, rate)
}

/** A process that stops using the limit gives everything back. */
export function leaveSlots(
  shared: SharedLimit,
  { holder, starts, nowMs }: Pick<SlotRequest, 'holder' | 'starts' | 'nowMs'>,
  rate: RateSettings,
): SharedLimit {
  const { free, holders } = withoutExpired(shared, holder, nowMs, rate)
  const { [holder]: mine, ...others } = holders
  if (!mine) return { free, holders }
  return { free: mergeStarts(free, rateInWindow(starts, nowMs, rate), rate), holders: others }
}

/** When a slot that `holder` does not hold can begin a call; infinite where there is no other slot. */
export function slotsElsewhere(
  shared: SharedLimit,
  holder: string,
  nowMs: number,
  rate: RateSettings,
): { readonly free: number; readonly held: number } {
  const others = Object.entries(shared.holders).filter(([id]) => id !== holder)
  const held = others.map(([, { slots, starts }]) => readyAt(starts, slots, nowMs, rate))
  return {
    free: readyAt(shared.free, freeSlots(shared.holders, rate), nowMs, rate),
    held: Math.min(Number.POSITIVE_INFINITY, ...held),
  }
}

function readyAt(starts: RateState, slots: number, nowMs: number, { perMs }: RateSettings): number {
  if (slots <= 0) return Number.POSITIVE_INFINITY
  return rateAvailable(starts, nowMs, { limit: slots, perMs }).nextAtMs
}

function freeSlots(holders: SharedLimit['holders'], { limit }: RateSettings): number {
  return Object.values(holders).reduce((left, { slots }) => left - slots, Math.floor(limit))
}

/** A moment longer than the lease: the holder's clock may be a little behind. */
function withoutExpired(shared: SharedLimit, except: string, nowMs: number, rate: RateSettings): SharedLimit {
  let free = rateInWindow(shared.free, nowMs, rate)
  const holders: Record<string, SlotHolder> = {}
  for (const [id, holder] of Object.entries(shared.holders)) {
    if (id === except || nowMs < holder.untilMs + deliveryMs(rate)) holders[id] = holder
    else free = mergeStarts(free, rateInWindow(lastWordOf(holder, rate), nowMs, rate), rate)
  }
  return { free, holders }
}

/** What a process that is gone can have started at most. A slot whose window outlasted the lease was not used again. */
function lastWordOf({ slots, starts, untilMs }: SlotHolder, rate: RateSettings): RateState {
  const certain = { starts: starts.starts.filter(([startMs]) => startMs + rate.perMs > untilMs) }
  const uncertain = slots - countStarts(certain)
  return uncertain > 0 ? mergeStarts(certain, { starts: [[untilMs + deliveryMs(rate), uncertain]] }, rate) : certain
}

/** Small wishes are met whole, the others get equal parts; what does not divide goes to those who waited longest. */
function fairShare(holders: SharedLimit['holders'], holder: string, limit: number): number {
  const waiting = Object.entries(holders).sort(
    ([oneId, one], [otherId, other]) =>
      one.wanted - other.wanted || one.lastMs - other.lastMs || (oneId < otherId ? -1 : 1),
  )
  let left = limit
  for (const [index, [id, { wanted }]] of waiting.entries()) {
    const sharers = waiting.length - index
    if (wanted * sharers > left) return shareOfRest(waiting.slice(index), holder, left)
    if (id === holder) return wanted
    left -= wanted
  }
  return 0
}

function shareOfRest(sharers: readonly (readonly [string, SlotHolder])[], holder: string, left: number): number {
  const inTurn = [...sharers].sort(
    ([oneId, one], [otherId, other]) => one.lastMs - other.lastMs || (oneId < otherId ? -1 : 1),
  )
  const turn = inTurn.findIndex(([id]) => id === holder)
  return Math.floor(left / sharers.length) + (turn < left % sharers.length ? 1 : 0)
}

/** Slots that are ready go first: whoever wants them can use them at once. Then those that will be ready last. */
function give(
  free: RateState,
  holders: SharedLimit['holders'],
  holder: string,
  count: number,
  rate: RateSettings,
): SharedLimit {
  const mine = holders[holder] as SlotHolder
  const ready = Math.max(0, mine.slots - countStarts(mine.starts))
  const newestFirst = { starts: mine.starts.starts.toReversed() }
  const [given, kept] = split(newestFirst, Math.max(0, count - ready))
  const entry = { ...mine, slots: mine.slots - count, starts: { starts: kept.starts.toReversed() } }
  return { free: mergeStarts(free, given, rate), holders: { ...holders, [holder]: entry } }
}

/** Slots that are ready, then those that will be ready first. */
function take(
  free: RateState,
  holders: SharedLimit['holders'],
  holder: string,
  count: number,
  rate: RateSettings,
): SharedLimit {
  const mine = holders[holder] as SlotHolder
  const left = freeSlots(holders, rate)
  const taken = Math.min(count, Math.max(0, left))
  const known = latestOf(free, left)
  const ready = Math.max(0, left - countStarts(known))
  const [along, remaining] = split(known, Math.max(0, taken - ready))
  const entry = { ...mine, slots: mine.slots + taken, starts: mergeStarts(mine.starts, along, rate) }
  return { free: remaining, holders: { ...holders, [holder]: entry } }
}

/**
 * Of more starts than there are slots some are told twice, and nobody knows which: the latest keep all slots from being used as
 * long as all of them together would. An earlier one must not go along with a slot in place of a later one.
 */
function latestOf({ starts }: RateState, slots: number): RateState {
  const [latest] = split({ starts: starts.toReversed() }, Math.max(0, slots))
  return { starts: latest.starts.toReversed() }
}

/** The first `count` starts, and the others. */
function split({ starts }: RateState, count: number): [RateState, RateState] {
  const first: [number, number][] = []
  const rest: [number, number][] = []
  let wanted = count
  for (const [startMs, size] of starts) {
    const part = Math.min(size, wanted)
    wanted -= part
    if (part > 0) first.push([startMs, part])
    if (size > part) rest.push([startMs, size - part])
  }
  return [{ starts: first }, { starts: rest }]
}
