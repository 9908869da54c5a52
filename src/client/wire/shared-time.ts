/**
 * The time that all processes on one store count their limits by: never set back, and not moved by jumps of the wall clock. It
 * begins as the wall clock, goes on with monotonic time, and follows the foremost of the processes, whose records tell.
 *
 * Machines whose clocks differ by D agree from their first exchange on; at that exchange, once, what the slower one had told before counts
 * as older by D.
 */
import type { Clock } from '../../core/clock.ts'

export interface SharedTime {
  /** Whole milliseconds. */
  nowMs(): number
  /** Another process wrote at this time. @returns by how much time moves on for this one, to catch up */
  learn(atMs: number): number
}

export function createSharedTime(clock: Clock): SharedTime {
  let aheadMs = clock.wallMs() - clock.monotonicMs()
  return {
    nowMs: () => Math.floor(clock.monotonicMs() + aheadMs),
    learn(atMs) {
      const movedMs = Math.max(0, atMs - clock.monotonicMs() - aheadMs)
      aheadMs += movedMs
      return movedMs
    },
  }
}
