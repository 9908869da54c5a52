/**
 * One clock for all who share a store: that of its server. Each process measures by how much its own machine differs, and
 * goes by the server's time from then on, to within half of the quickest round trip. So leases and gates mean the same
 * everywhere, whatever the machines' clocks say; and no statement has to ask for the time.
 */
import type { Clock, Timer } from '../core/clock.ts'

export interface StoreClock extends Clock {
  /** How far the machine's clock is behind the server's, in milliseconds. */
  readonly offsetMs: number
  stop(): void
}

const SAMPLES = 3
/** Clocks drift by milliseconds in this time; a failover may bring another server's clock. */
const MEASURE_EVERY_MS = 30_000

export async function followServer(clock: Clock, serverTimeMs: () => Promise<number>): Promise<StoreClock> {
  let offsetMs = await measureOffset(clock, serverTimeMs)
  let timer: Timer = clock.setTimer(MEASURE_EVERY_MS, measureAgain)
  let stopped = false

  function measureAgain(): void {
    measureOffset(clock, serverTimeMs)
      .then((measured) => {
        offsetMs = measured
      })
      // A server that cannot be asked now is asked later: the last offset is the best that is known.
      .catch(() => {})
      .finally(() => {
        if (!stopped) timer = clock.setTimer(MEASURE_EVERY_MS, measureAgain)
      })
  }

  return {
    get offsetMs() {
      return offsetMs
    },
    wallMs: () => Math.round(clock.wallMs() + offsetMs),
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
async function measureOffset(clock: Clock, serverTimeMs: () => Promise<number>): Promise<number> {
  let best = { tripMs: Number.POSITIVE_INFINITY, offsetMs: 0 }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const askedMs = clock.monotonicMs()
    const serverMs = await serverTimeMs()
    const tripMs = clock.monotonicMs() - askedMs
    if (tripMs < best.tripMs) best = { tripMs, offsetMs: serverMs + tripMs / 2 - clock.wallMs() }
  }
  return best.offsetMs
}
