/**
 * The time that all processes on one store count their limits by: never set back, and not moved by jumps of the wall clock. It
 * begins as the wall clock, goes on with monotonic time, and follows the foremost of the processes, whose records tell.
 *
 * Machines whose clocks differ by D agree from their first exchange on; at that exchange, once, up to a share D/window of a limit may be
 * used twice.
 */
import type { Clock } from '../core/clock.ts'

export interface SharedTime {
  /** Whole milliseconds. */
  nowMs(): number
  /** Another process wrote at this time. */
  learn(atMs: number): void
}

export function createSharedTime(clock: Clock): SharedTime {
  let aheadMs = clock.wallMs() - clock.monotonicMs()
  return {
    nowMs: () => Math.floor(clock.monotonicMs() + aheadMs),
    learn(atMs) {
      aheadMs = Math.max(aheadMs, atMs - clock.monotonicMs())
    },
  }
}
