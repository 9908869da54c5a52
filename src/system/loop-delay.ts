/** How late the event loop is: real time, so it is measured here. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from './system-clock.ts'

export interface LoopDelay {
  /** The 90th percentile of the last whole second, in milliseconds. */
  delayMs(): number
  stop(): void
}

const RESOLUTION_MS = 20
const WINDOW_MS = 1000

export function watchLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  let sinceMs = systemClock.monotonicMs()
  let delayMs = 0
  return {
    delayMs() {
      const nowMs = systemClock.monotonicMs()
      if (nowMs - sinceMs >= WINDOW_MS) {
        delayMs = histogram.count > 0 ? histogram.percentile(90) / 1e6 - RESOLUTION_MS : 0
        histogram.reset()
        sinceMs = nowMs
      }
      return delayMs
    },
    stop: () => void histogram.disable(),
  }
}
