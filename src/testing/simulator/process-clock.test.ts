import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../virtual-clock.ts'
import { createProcessClock, type MachineTime } from './process-clock.ts'
import { createProcessGate } from './process-gate.ts'

function processClock(aheadMs = 0) {
  const trueClock = createVirtualClock()
  const time: MachineTime = { aheadMs }
  const gate = createProcessGate(() => clock.stop())
  const clock = createProcessClock(trueClock, time, gate)
  const log: string[] = []
  return { trueClock, time, gate, clock, log, note: (name: string) => () => void log.push(name) }
}

describe('time as one process sees it', () => {
  it("the wall clock is its machine's, whole milliseconds; monotonic time is the true one", async () => {
    const { trueClock, time, clock } = processClock(1500.5)
    expect(clock.wallMs()).toBe(trueClock.wallMs() + 1500)
    time.aheadMs = -3_600_000
    await trueClock.advance(10)
    expect(clock.wallMs()).toBe(trueClock.wallMs() - 3_600_000)
    expect(clock.monotonicMs()).toBe(trueClock.monotonicMs())
  })

  it('frozen: its timers, sleeps and turns wait until it wakes, and come in their order', async () => {
    const { trueClock, gate, clock, log, note } = processClock()
    clock.setTimer(20, note('timer'))
    void clock.sleep(10).then(note('sleep'))
    gate.freeze()
    clock.nextTurn(note('turn'))
    await trueClock.advance(1000)
    expect(log).toEqual([])
    gate.wake()
    await trueClock.settle()
    // The sleeper hears of it a promise later.
    expect(log).toEqual(['turn', 'timer', 'sleep'])
  })

  it('a timer that is cancelled while its call is held back does not run', async () => {
    const { trueClock, gate, clock, log, note } = processClock()
    const timer = clock.setTimer(20, note('cancelled'))
    gate.freeze()
    await trueClock.advance(20)
    timer.cancel()
    gate.wake()
    expect(log).toEqual([])
  })

  it('a sleep ends with the reason of its signal, before or while it sleeps, and leaves no timer', async () => {
    const { trueClock, clock } = processClock()
    const reason = new Error('enough')
    await expect(clock.sleep(10, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const sleeping = clock.sleep(10, controller.signal)
    controller.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
    expect(trueClock.pending()).toBe(0)
  })

  it('dead: its timers are gone with it, and no turn comes any more', async () => {
    const { trueClock, gate, clock, log, note } = processClock()
    clock.setTimer(20, note('timer'))
    void clock.sleep(10).then(note('sleep'))
    clock.nextTurn(note('turn'))
    gate.die()
    expect(trueClock.pending()).toBe(0)
    await trueClock.advance(1000)
    expect(log).toEqual([])
  })
})
