import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createVirtualClock } from './virtual-clock.ts'

const delays = fc.integer({ min: 0, max: 50 })

describe('virtual clock', () => {
  test('timers run in the order of time, then of setting, and none is lost, whatever the steps', async () => {
    const property = fc.asyncProperty(
      fc.array(delays, { maxLength: 60 }),
      fc.array(delays, { maxLength: 10 }),
      async (timers, steps) => {
        const clock = createVirtualClock()
        const seen: { delayMs: number; index: number; atMs: number }[] = []
        timers.forEach((delayMs, index) => {
          clock.setTimer(delayMs, () => seen.push({ delayMs, index, atMs: clock.monotonicMs() }))
        })
        expect(clock.pending()).toBe(timers.length)
        for (const step of steps) await clock.advance(step)
        await clock.runUntilIdle()

        const expected = timers
          .map((delayMs, index) => ({ delayMs, index, atMs: delayMs }))
          .sort((left, right) => left.delayMs - right.delayMs || left.index - right.index)
        expect(seen).toEqual(expected)
        expect(clock.pending()).toBe(0)
      },
    )
    await fc.assert(property, { seed: 1, numRuns: 60 })
  })

  test('exactly the timers that were not cancelled run', async () => {
    const property = fc.asyncProperty(fc.array(fc.tuple(delays, fc.boolean()), { maxLength: 60 }), async (timers) => {
      const clock = createVirtualClock()
      const ran = new Set<number>()
      const handles = timers.map(([delayMs], index) => clock.setTimer(delayMs, () => ran.add(index)))
      timers.forEach(([, cancelled], index) => {
        if (!cancelled) return
        handles[index]?.cancel()
        handles[index]?.cancel()
      })
      const kept = timers.flatMap(([, cancelled], index) => (cancelled ? [] : [index]))
      expect(clock.pending()).toBe(kept.length)
      await clock.runUntilIdle()
      expect([...ran].sort((a, b) => a - b)).toEqual(kept)
    })
    await fc.assert(property, { seed: 2, numRuns: 60 })
  })

  test('what a timer wakes up runs to its end, long promise chains and next turns included, before the next timer', async () => {
    const clock = createVirtualClock()
    const order: string[] = []
    clock.setTimer(10, () => {
      clock.nextTurn(() => {
        order.push('turn')
        clock.nextTurn(() => order.push('turn of the turn'))
      })
      void (async () => {
        for (let step = 0; step < 500; step++) await Promise.resolve()
        order.push('chain')
      })()
    })
    clock.setTimer(10, () => order.push('second timer'))
    await clock.advance(10)
    expect(order).toEqual(['chain', 'turn', 'turn of the turn', 'second timer'])
  })

  test('timers set on the way run in the same advance, at their own time', async () => {
    const clock = createVirtualClock({ startMs: 1000 })
    const seen: number[] = []
    const loop = async (): Promise<void> => {
      for (let round = 0; round < 5; round++) {
        await clock.sleep(30)
        seen.push(clock.wallMs())
      }
    }
    const work = loop()
    await clock.advance(100)
    expect(seen).toEqual([1030, 1060, 1090])
    expect(clock.wallMs()).toBe(1100)
    await clock.advanceTo(1150)
    expect(seen).toEqual([1030, 1060, 1090, 1120, 1150])
    await work
  })

  test('an aborted sleep rejects with the reason, at once, and leaves nothing behind', async () => {
    const clock = createVirtualClock()
    const controller = new AbortController()
    const sleeping = clock.sleep(1000, controller.signal)
    controller.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    await expect(clock.sleep(1000, controller.signal)).rejects.toThrow('enough')
    expect(clock.pending()).toBe(0)
  })

  test('a jump moves the wall clock alone', async () => {
    const clock = createVirtualClock({ startMs: 1000 })
    let ran = false
    clock.setTimer(50, () => {
      ran = true
    })
    clock.jump(500_000)
    expect([clock.wallMs(), clock.monotonicMs(), clock.nextDueMs()]).toEqual([500_000, 0, 500_050])
    await clock.advance(49)
    expect(ran).toBe(false)
    await clock.advance(1)
    expect([ran, clock.wallMs()]).toEqual([true, 500_050])
  })

  test('runUntil moves on exactly as far as the work needs, and says when nothing can wake it', async () => {
    const clock = createVirtualClock()
    clock.setTimer(10_000, () => {})
    const result = await clock.runUntil(clock.sleep(700).then(() => clock.monotonicMs()))
    expect([result, clock.monotonicMs()]).toEqual([700, 700])
    await expect(clock.runUntil(Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(clock.runUntil(new Promise(() => {}))).rejects.toMatchObject({ code: 'virtual_clock_stuck' })
  })

  test('whenPending waits for as many timers as asked', async () => {
    const clock = createVirtualClock()
    let two = false
    const waiting = clock.whenPending(2).then(() => {
      two = true
    })
    clock.setTimer(5, () => {})
    await clock.whenPending()
    await clock.settle()
    expect(two).toBe(false)
    clock.setTimer(5, () => {})
    await waiting
    expect([two, clock.monotonicMs()]).toEqual([true, 0])
  })

  test('alone, timers, promises and turns come in the same order, without a turn of the real event loop', async () => {
    const tell = async (alone: boolean): Promise<string[]> => {
      const clock = createVirtualClock({ alone })
      const told: string[] = []
      const chain = async (name: string, length: number): Promise<void> => {
        for (let link = 0; link < length; link++) await undefined
        told.push(`${name} at ${clock.monotonicMs()}`)
      }
      for (const delayMs of [5, 1, 5]) {
        clock.setTimer(delayMs, () => {
          clock.nextTurn(() => {
            void chain(`turn of ${delayMs}`, 20)
            clock.nextTurn(() => void chain(`next turn of ${delayMs}`, 1))
          })
          clock.nextTurn(() => told.push(`another turn of ${delayMs}`))
          void chain(`timer ${delayMs}`, 1000).then(() => clock.setTimer(0, () => told.push('set on the way')))
        })
      }
      await clock.advance(10)
      return told
    }
    const told = await tell(true)
    expect(told).toHaveLength(15)
    expect(told).toEqual(await tell(false))
    let eventLoopTurned = false
    createVirtualClock().nextTurn(() => {
      eventLoopTurned = true
    })
    await tell(true)
    expect(eventLoopTurned).toBe(false)
  })

  test('a program that sets timers for ever, or without time moving on, is reported instead of hanging', async () => {
    const clock = createVirtualClock()
    const poll = (): void => void clock.setTimer(1000, poll)
    poll()
    await expect(clock.runUntilIdle(60_000)).rejects.toMatchObject({ code: 'virtual_clock_never_idle' })
    await expect(Promise.all([clock.advance(1), clock.advance(1)])).rejects.toMatchObject({
      code: 'virtual_clock_moving',
    })
    expect(() => clock.setTimer(Number.NaN, poll)).toThrow('not a number')
  })

  test('an error of a timer reaches the one who advances, and the clock goes on', async () => {
    const clock = createVirtualClock()
    clock.setTimer(1, () => {
      throw new Error('broken timer')
    })
    await expect(clock.advance(1)).rejects.toThrow('broken timer')
    await clock.runUntil(clock.sleep(5))
    expect(clock.monotonicMs()).toBe(6)
  })
})
