import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { systemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

describe('system clock', () => {
  test('sleeps at least as long as asked, and takes its abort listener away', async () => {
    const { signal } = new AbortController()
    const startMs = systemClock.monotonicMs()
    const sleeping = systemClock.sleep(20, signal)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await sleeping
    // Node's timers may fire up to one millisecond early by the finer clock.
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThanOrEqual(19)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('an abort ends a sleep with its reason, before and during it', async () => {
    const controller = new AbortController()
    const sleeping = systemClock.sleep(60_000, controller.signal)
    controller.abort(new Error('stop'))
    await expect(sleeping).rejects.toThrow('stop')
    await expect(systemClock.sleep(60_000, controller.signal)).rejects.toThrow('stop')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  test('a cancelled timer does not run; a delay longer than the platform carries does not run at once', async () => {
    const ran: string[] = []
    systemClock.setTimer(1, () => ran.push('cancelled')).cancel()
    const long = systemClock.setTimer(2 ** 31, () => ran.push('long'))
    await systemClock.sleep(10)
    long.cancel()
    expect(ran).toEqual([])
  })

  test('the next turn comes after everything that is pending in this one', async () => {
    const order: string[] = []
    const turned = new Promise<void>((resolve) => {
      systemClock.nextTurn(() => {
        order.push('turn')
        resolve()
      })
    })
    await Promise.resolve().then(() => order.push('microtask'))
    await turned
    expect(order).toEqual(['microtask', 'turn'])
  })
})

describe('system random', () => {
  test('numbers fill [0, 1) evenly', () => {
    const counts = new Array<number>(10).fill(0)
    for (let draw = 0; draw < 100_000; draw++) {
      const value = systemRandom.next()
      expect(value >= 0 && value < 1).toBe(true)
      counts[Math.floor(value * 10)] = (counts[Math.floor(value * 10)] ?? 0) + 1
    }
    // Twelve standard deviations: fails by chance less than once in 10^30 runs.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(1140)
  })

  test('bytes are never handed out twice, across refills and beyond the size of the pool', () => {
    const keys = new Set<string>()
    for (let draw = 0; draw < 5000; draw++) keys.add(Buffer.from(systemRandom.bytes(16)).toString('hex'))
    expect(keys.size).toBe(5000)
    expect(systemRandom.bytes(20_000).filter((byte) => byte === 0).length).toBeLessThan(400)
    expect(systemRandom.bytes(0)).toHaveLength(0)
  })
})
