/**
 * A sliding-window limiter that never lets more than `limit` calls start in any `perMs`, wherever the window is laid. Rates
 * (`100/10s`) and quotas (`250000/day`) are the same thing with windows of different length.
 *
 * Memory is bounded by grouping starts into pieces of a fiftieth of the window. A group counts until its *latest* start leaves
 * the window, so grouping errs on the safe side: it may hold a call back for up to 2 % of the window, and never lets one too
 * many through. Small limits are kept start by start, exactly.
 *
 * The window slides, unless it is the calendar's (`calendarMs`): a vendor that counts by calendar day allows up to twice as much around
 * midnight, which a sliding window does not use.
 */
import type { RateSettings } from '../../config/settings.ts'

/** Plain data: can be stored and shared. */
export interface RateState {
  /** Starts that still count, oldest first, grouped: [time of the group's latest start in ms, number of starts]. */
  readonly starts: readonly (readonly [number, number])[]
}

const GROUPS_PER_WINDOW = 50

export const EMPTY_RATE: RateState = { starts: [] }

/** How many calls may start at `nowMs`; where none, when there is room again. */
export function rateAvailable(
  state: RateState,
  nowMs: number,
  settings: RateSettings,
): { readonly available: number; readonly nextAtMs: number } {
  let used = 0
  let firstToLeaveMs: number | undefined
  for (const [startMs, count] of state.starts) {
    if (!counts(startMs, nowMs, settings)) continue
    firstToLeaveMs ??= startMs
    used += count
  }
  const available = Math.max(0, Math.floor(settings.limit) - used)
  if (available > 0) return { available, nextAtMs: nowMs }
  return { available: 0, nextAtMs: (firstToLeaveMs ?? nowMs) + settings.perMs }
}

/** Takes `count` starts at `nowMs`. The caller asked first. */
export function rateTake(state: RateState, nowMs: number, count: number, settings: RateSettings): RateState {
  const starts = state.starts.filter(([startMs]) => counts(startMs, nowMs, settings))
  const last = starts.at(-1)
  if (last && (last[0] >= nowMs || sameGroup(last[0], nowMs, settings))) {
    starts[starts.length - 1] = [Math.max(last[0], nowMs), last[1] + count]
  } else {
    starts.push([nowMs, count])
  }
  return { starts }
}

/** Both together, grouped the same way. */
export function mergeStarts(one: RateState, other: RateState, settings: RateSettings): RateState {
  const merged: [number, number][] = []
  for (const [atMs, count] of [...one.starts, ...other.starts].sort(([left], [right]) => left - right)) {
    const startMs = countsFrom(atMs, settings)
    const last = merged.at(-1)
    if (last && (last[0] === startMs || sameGroup(last[0], startMs, settings))) {
      merged[merged.length - 1] = [startMs, last[1] + count]
    } else merged.push([startMs, count])
  }
  return { starts: merged }
}

/** What still counts at `nowMs`. */
export function rateInWindow(state: RateState, nowMs: number, settings: RateSettings): RateState {
  return { starts: state.starts.filter(([startMs]) => counts(startMs, nowMs, settings)) }
}

export function countStarts({ starts }: RateState): number {
  let total = 0
  for (const [, count] of starts) total += count
  return total
}

/** Where the window is the calendar's, all calls count from its beginning: so they leave together at its end. */
export function countsFrom(atMs: number, { calendarMs }: RateSettings): number {
  return calendarMs === undefined ? atMs : Math.floor(atMs / calendarMs) * calendarMs
}

function sameGroup(startMs: number, nowMs: number, { limit, perMs }: RateSettings): boolean {
  if (limit <= GROUPS_PER_WINDOW) return false
  const groupMs = perMs / GROUPS_PER_WINDOW
  return Math.floor(startMs / groupMs) === Math.floor(nowMs / groupMs)
}

/** A start further ahead than a whole window was written before the clock was set back: it holds nothing up any more. */
function counts(startMs: number, nowMs: number, { perMs }: RateSettings): boolean {
  return Math.abs(nowMs - startMs) < perMs
}
