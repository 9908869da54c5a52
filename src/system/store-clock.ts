/**
 * One clock for all who share a store: that of its server. Each process measures where the server's time stands on its own monotonic
 * time, to within half of the quickest round trip, and goes by that: so leases and gates mean the same everywhere, no statement has to ask
 * for the time, and a machine whose wall clock is set, forward or back, changes nothing (docs/decisions/010).
 */
import type { Clock, Timer } from '../core/clock.ts'

export interface StoreClock extends Clock {
  stop(): void
}

const SAMPLES = 3
/** Clocks drift by milliseconds in this time; a failover may bring another server's clock. */
const MEASURE_EVERY_MS = 30_000
/** Wall clock and monotonic time of the machine went apart by this: it slept, or its clock was set. Only the server can tell. */
const NOTICEABLE_MS = 1000

export async function followServer(clock: Clock, serverTimeMs: () => Promise<number>): Promise<StoreClock> {
  let wallAheadMs = machineAheadMs()
  let serverAheadMs = await measureAhead(clock, serverTimeMs)
  let timer: Timer = clock.setTimer(MEASURE_EVERY_MS, measureAgain)
  let measurements = 0
  let stopped = false

  function machineAheadMs(): number {
    return clock.wallMs() - clock.monotonicMs()
  }

  function measureAgain(): void {
    timer.cancel()
    wallAheadMs = machineAheadMs()
    measurements += 1
    const measurement = measurements
    measureAhead(clock, serverTimeMs)
      .then((measured) => {
        // One that began before the machine slept tells nothing any more.
        if (measurement === measurements) serverAheadMs = measured
      })
      // A server that cannot be asked now is asked later: what was measured last is the best that is known.
      .catch(() => {})
      .finally(() => {
        timer.cancel()
        if (!stopped) timer = clock.setTimer(MEASURE_EVERY_MS, measureAgain)
      })
  }

  return {
    wallMs() {
      if (!stopped && Math.abs(machineAheadMs() - wallAheadMs) > NOTICEABLE_MS) measureAgain()
      return Math.round(clock.monotonicMs() + serverAheadMs)
    },
    monotonicMs: () => clock.monotonicMs(),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    nextTurn: (callback) => clock.nextTurn(callback),
    stop() {
      stopped = true
      timer.cancel()
    },
  }
}

/** The server read its clock somewhere between the question and the answer: in the middle, at best knowledge. */
async function measureAhead(clock: Clock, serverTimeMs: () => Promise<number>): Promise<number> {
  let best = { tripMs: Number.POSITIVE_INFINITY, aheadMs: 0 }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const askedMs = clock.monotonicMs()
    const serverMs = await serverTimeMs()
    const heardMs = clock.monotonicMs()
    const tripMs = heardMs - askedMs
    if (tripMs < best.tripMs) best = { tripMs, aheadMs: serverMs + tripMs / 2 - heardMs }
  }
  return best.aheadMs
}
