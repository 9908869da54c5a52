import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createVirtualClock } from '../../testing/virtual-clock.ts'
import { type Bucket, createDeadlines, type Expirable } from './deadlines.ts'

class Probe implements Expirable {
  deadlineBucket: Bucket | undefined = undefined
  deadlineIndex = 0
  readonly firedAtMs: number[] = []
  readonly #now: () => number
  constructor(now: () => number) {
    this.#now = now
  }
  expire(): void {
    this.firedAtMs.push(this.#now())
  }
}

test('a deadline fires once, at its time or up to 20 ms later, never earlier; a removed one never', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ delayMs: fc.nat(2000), removed: fc.boolean(), again: fc.option(fc.nat(2000)) }), {
        maxLength: 60,
      }),
      async (plans) => {
        const clock = createVirtualClock()
        const deadlines = createDeadlines(clock)
        const startMs = clock.monotonicMs()
        const probes = plans.map((plan) => {
          const probe = new Probe(() => clock.monotonicMs() - startMs)
          deadlines.add(probe, plan.delayMs)
          return probe
        })
        plans.forEach((plan, index) => {
          const probe = probes[index] as Probe
          if (plan.again !== null) deadlines.add(probe, plan.again)
          if (plan.removed) deadlines.remove(probe)
        })
        await clock.advance(5000)
        plans.forEach((plan, index) => {
          const { firedAtMs } = probes[index] as Probe
          const dueMs = plan.again ?? plan.delayMs
          expect(firedAtMs).toHaveLength(plan.removed ? 0 : 1)
          if (plan.removed) return
          expect(firedAtMs[0]).toBeGreaterThanOrEqual(dueMs)
          expect(firedAtMs[0]).toBeLessThanOrEqual(dueMs + 20)
        })
        expect(clock.pending()).toBe(0)
      },
    ),
  )
})

test('one that another removes while it fires does not fire; one that is postponed fires later', async () => {
  const clock = createVirtualClock()
  const deadlines = createDeadlines(clock)
  const removed = new Probe(() => clock.monotonicMs())
  const postponed = new Probe(() => clock.monotonicMs())
  const first: Expirable = {
    deadlineBucket: undefined,
    deadlineIndex: 0,
    expire() {
      deadlines.remove(removed)
      deadlines.add(postponed, 500)
    },
  }
  deadlines.add(first, 100)
  deadlines.add(removed, 100)
  deadlines.add(postponed, 100)
  await clock.advance(200)
  expect(removed.firedAtMs.length + postponed.firedAtMs.length).toBe(0)
  await clock.advance(1000)
  expect(postponed.firedAtMs).toHaveLength(1)
  expect(removed.firedAtMs).toHaveLength(0)
})

test('ten thousand deadlines use one timer', () => {
  const clock = createVirtualClock()
  const deadlines = createDeadlines(clock)
  for (let index = 0; index < 10_000; index++) deadlines.add(new Probe(() => 0), 60_000 + index)
  expect(clock.pending()).toBe(1)
})
