/** The calls a breaker remembers, and when they are reason enough to trip (D12). */
import type { BreakerSettings } from '../../config/settings.ts'
import type { BreakerCall } from './breaker.ts'

/** A second opinion on tripping, from the calls that the first opinion rests on. */
export type MayTrip = (calls: readonly BreakerCall[]) => boolean

/** The calls with one more at the end; the oldest gives way. A new array: those who hold the old one keep it. */
export function appendCall(calls: readonly BreakerCall[], call: BreakerCall, windowCalls: number): BreakerCall[] {
  const next = calls.length < windowCalls ? calls.slice() : calls.slice(calls.length - windowCalls + 1)
  next.push(call)
  return next
}

/**
 * The calls that count for the failure rate at `nowMs`: none older than `windowMs`, however long nobody called (a window that
 * moves only when calls come would still hold an outage of last night against the first call of the morning). Calls as far
 * ahead of now come from before the clock was set back.
 */
export function callsInWindow(
  calls: readonly BreakerCall[],
  nowMs: number,
  { windowMs }: Pick<BreakerSettings, 'windowMs'>,
): readonly BreakerCall[] {
  return calls.filter(({ atMs }) => Math.abs(nowMs - atMs) <= windowMs)
}

export function countFailures(calls: readonly BreakerCall[]): number {
  let failures = 0
  for (const call of calls) if (call.failed) failures++
  return failures
}

/**
 * Why to trip, after a failure at `nowMs`; `undefined`: no reason. Asked after failures only: an API that has just answered
 * well is not cut off. Failures in a row count without time limit, for endpoints that are called once in a while.
 */
export function tripReason(
  calls: readonly BreakerCall[],
  consecutiveFailures: number,
  nowMs: number,
  settings: BreakerSettings,
  mayTrip: MayTrip = () => true,
): string | undefined {
  if (consecutiveFailures >= settings.consecutiveFailures && mayTrip(calls)) {
    return `${consecutiveFailures} calls in a row failed`
  }
  const recent = callsInWindow(calls, nowMs, settings)
  if (recent.length < settings.minimumCalls) return undefined
  const failures = countFailures(recent)
  if (failures / recent.length < settings.failureRate || !mayTrip(recent)) return undefined
  return `${failures} of ${recent.length} calls failed`
}

/** How many groups of calls there are, and how many are failing: at least half of their calls failed. */
export function failingGroups(
  calls: readonly BreakerCall[],
  groupOf: (call: BreakerCall) => string | undefined,
): { readonly active: number; readonly failing: number } {
  const groups = new Map<string | undefined, { calls: number; failures: number }>()
  for (const call of calls) {
    const group = groups.get(groupOf(call)) ?? { calls: 0, failures: 0 }
    group.calls++
    if (call.failed) group.failures++
    groups.set(groupOf(call), group)
  }
  let failing = 0
  for (const group of groups.values()) if (group.failures * 2 >= group.calls) failing++
  return { active: groups.size, failing }
}
