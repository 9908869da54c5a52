import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../testing/virtual-clock.ts'
import { followServer } from './store-clock.ts'

const START_MS = Date.UTC(2026, 10, 22)

describe("design.md section 6: machines on one store go by the server's clock", () => {
  it('within half of the quickest round trip, whatever the own clock says', async () => {
    const clock = createVirtualClock({ startMs: START_MS })
    const aheadMs = 90_000
    const trips = [80, 4, 300]
    const serverTimeMs = async (): Promise<number> => {
      const tripMs = trips.shift() ?? 50
      // The worst case: all of the trip is on the way there, and none on the way back.
      await clock.sleep(tripMs)
      return clock.wallMs() + aheadMs
    }
    const following = await clock.runUntil(followServer(clock, serverTimeMs))
    expect(Math.abs(following.wallMs() - (clock.wallMs() + aheadMs))).toBeLessThanOrEqual(2)
    expect(following.monotonicMs()).toBe(clock.monotonicMs())
    following.stop()
  })

  it('measures again, also after a server that could not be asked', async () => {
    const clock = createVirtualClock({ startMs: START_MS })
    let aheadMs = 1000
    let isReachable = true
    let asked = 0
    const serverTimeMs = async (): Promise<number> => {
      asked += 1
      if (!isReachable) throw new Error('unreachable')
      return clock.wallMs() + aheadMs
    }
    const following = await clock.runUntil(followServer(clock, serverTimeMs))
    isReachable = false
    aheadMs = -5000
    await clock.runUntil(clock.sleep(61_000))
    expect(following.wallMs() - clock.wallMs()).toBe(1000)
    isReachable = true
    await clock.runUntil(clock.sleep(61_000))
    expect(following.wallMs() - clock.wallMs()).toBe(-5000)
    following.stop()
    const askedBefore = asked
    await clock.runUntil(clock.sleep(600_000))
    expect(asked).toBe(askedBefore)
  })

  it('a machine whose clock is set by hours changes nothing; that the machine slept is noticed at once (decision 010)', async () => {
    const clock = createVirtualClock({ startMs: START_MS })
    let serverAheadMs = 1000
    let asked = 0
    const serverTimeMs = async (): Promise<number> => {
      asked += 1
      await clock.sleep(10)
      return START_MS + clock.monotonicMs() + serverAheadMs
    }
    const following = await clock.runUntil(followServer(clock, serverTimeMs))
    const offMs = () => following.wallMs() - (START_MS + clock.monotonicMs() + serverAheadMs)
    for (const byMs of [15 * HOUR_MS, -20 * HOUR_MS]) {
      clock.jump(clock.wallMs() + byMs)
      expect(Math.abs(offMs())).toBeLessThanOrEqual(5)
      await clock.advance(5000)
      expect(Math.abs(offMs())).toBeLessThanOrEqual(5)
    }
    // Asleep, monotonic time stands still; everybody else's goes on.
    const askedBefore = asked
    clock.jump(clock.wallMs() + HOUR_MS)
    serverAheadMs += HOUR_MS
    following.wallMs()
    await clock.advance(30)
    expect(Math.abs(offMs())).toBeLessThanOrEqual(5)
    await clock.advance(10_000)
    expect(asked - askedBefore).toBe(3)
    following.stop()
  })
})

const HOUR_MS = 3_600_000
