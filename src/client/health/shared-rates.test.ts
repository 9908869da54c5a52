/** Limits over a store that is slow, refuses, or writes and is not heard, by processes that die: whatever happens, never too many. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../core/events.ts'
import { type Random, randomBetween, seededRandom } from '../../core/random.ts'
import type { Ledger } from '../../ledger/port.ts'
import { openSqliteLedger } from '../../ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { testEndpoint, testIntegration } from '../test-kit.ts'
import { createHealth } from './health-registry.ts'

interface Story {
  readonly seed: number
  readonly limit: number
  readonly perMs: number
  readonly processes: number
  /** Of writes that are made and not heard of. */
  readonly lossShare: number
  readonly slowMs: number
  readonly deaths: number
  /** Processes rest from time to time, give their share back and ask for it again. */
  readonly rests: boolean
}

const RUN_MS = 40_000
/** A store that is away for long is another story: then processes go on with what they had (decision 013). */
const MOST_LOST_IN_A_ROW = 3
const anyStory: fc.Arbitrary<Story> = fc.record({
  seed: fc.integer(),
  limit: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 20, max: 150 })),
  perMs: fc.integer({ min: 1000, max: 12_000 }),
  processes: fc.integer({ min: 1, max: 5 }),
  lossShare: fc.constantFrom(0, 0.1, 0.3),
  slowMs: fc.constantFrom(1, 30, 200),
  deaths: fc.nat({ max: 3 }),
  rests: fc.boolean(),
})

/** An exchange that was written and not heard of gave a shorter lease than the one before. */
const SHORTER_LEASE: Story = {
  seed: 1,
  limit: 6,
  perMs: 1012,
  processes: 3,
  lossShare: 0.3,
  slowMs: 200,
  deaths: 2,
  rests: false,
}

/** A start that is told twice went along with a slot in place of a later one. */
const TOLD_TWICE: Story = {
  seed: 1811022254,
  limit: 4,
  perMs: 1000,
  processes: 5,
  lossShare: 0.3,
  slowMs: 1,
  deaths: 0,
  rests: false,
}

/** The store as a process far away sees it. */
function farAway(ledger: Ledger, clock: VirtualClock, random: Random, { lossShare, slowMs }: Story) {
  let lostInARow = 0
  return {
    ...ledger,
    async updateHealth(...request: Parameters<Ledger['updateHealth']>) {
      await clock.sleep(randomBetween(random, 0, slowMs))
      const receipts = await ledger.updateHealth(...request)
      await clock.sleep(randomBetween(random, 0, slowMs))
      lostInARow = random.next() < lossShare && lostInARow < MOST_LOST_IN_A_ROW ? lostInARow + 1 : 0
      if (lostInARow > 0) throw new Error('the connection was lost')
      return receipts
    },
  }
}

async function play(story: Story): Promise<{ arrivalsMs: number[] }> {
  const clock = createVirtualClock()
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  const random = seededRandom(story.seed)
  const { limit, perMs } = story
  const integration = testIntegration('http://crm.example', { limits: { concurrency: 1000, rate: { limit, perMs } } })
  const endpoint = testEndpoint('GET /people')
  const arrivalsMs: number[] = []
  const living = new Set<number>()
  let born = 0

  /** Asks again and again; each call arrives within 50 ms and is answered within 50 more, or hangs. */
  async function live(): Promise<void> {
    const id = born++
    living.add(id)
    const health = createHealth({
      ledger: farAway(ledger, clock, random, story),
      clock,
      random,
      events: createEventBus(() => undefined),
      workerId: `process-${id}`,
    })
    while (living.has(id)) {
      const admission = health.admit({ integration, endpoint, lane: 'crm/default', tenant: 'default', attempt: 1 })
      if (!admission.admitted) {
        await clock.sleep(Math.min(300, Math.max(1, admission.untilMs - clock.wallMs())))
        continue
      }
      const thereMs = randomBetween(random, 0, 50)
      clock.setTimer(thereMs, () => arrivalsMs.push(clock.monotonicMs()))
      const answeredMs = thereMs + randomBetween(random, 0, 50) + (random.next() < 0.1 ? 5000 : 0)
      clock.setTimer(answeredMs, () => living.has(id) && health.report(admission.permit, { type: 'succeeded' }))
      if (random.next() < 0.2) await clock.sleep(randomBetween(random, 0, 100))
      if (story.rests && random.next() < 0.1) await clock.sleep(randomBetween(random, 1000, 6000))
    }
  }

  for (let index = 0; index < story.processes; index++) void live()
  for (let death = 1; death <= story.deaths; death++) {
    clock.setTimer((death * RUN_MS) / 5, () => {
      const [oldest] = living
      if (oldest !== undefined) living.delete(oldest)
      void live()
    })
  }
  await clock.advance(RUN_MS)
  living.clear()
  await clock.advance(10_000)
  await clock.runUntil(ledger.close())
  return { arrivalsMs }
}

function fullestWindow(arrivalsMs: readonly number[], perMs: number): number {
  let fullest = 0
  let first = 0
  for (const [index, atMs] of arrivalsMs.entries()) {
    while ((arrivalsMs[first] as number) <= atMs - perMs) first += 1
    fullest = Math.max(fullest, index - first + 1)
  }
  return fullest
}

describe('R053: limits shared over a store with trouble', () => {
  test('never more than the limit arrives in any window', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(anyStory, async (story) => {
        const { arrivalsMs } = await play(story)
        expect(fullestWindow(arrivalsMs, story.perMs)).toBeLessThanOrEqual(story.limit)
        // Liveness: half of what would be possible, with deaths, losses and hanging answers.
        if (story.rests || story.lossShare > 0.1) return
        expect(arrivalsMs.length).toBeGreaterThanOrEqual(Math.floor((story.limit * RUN_MS) / story.perMs) * 0.4)
      }),
      { numRuns: 40, examples: [[SHORTER_LEASE], [TOLD_TWICE]] },
    )
  })

  test('a store that is slow for minutes keeps nobody busy asking', async () => {
    const clock = createVirtualClock()
    const ledger = await openSqliteLedger({ path: ':memory:', clock })
    const slow: Ledger = {
      ...ledger,
      updateHealth: async (...request) => {
        await clock.sleep(300_000)
        return ledger.updateHealth(...request)
      },
    }
    const limits = { concurrency: 10, rate: { limit: 1, perMs: 600_000 } }
    const integration = testIntegration('http://crm.example', { limits })
    const endpoint = testEndpoint('GET /people')
    const events = createEventBus(() => undefined)
    const health = createHealth({ ledger: slow, clock, random: seededRandom(1), events, workerId: 'process-1' })
    let refusals = 0
    const ask = (): void => {
      const admission = health.admit({ integration, endpoint, lane: 'crm/default', tenant: 'default', attempt: 1 })
      if (admission.admitted) return
      refusals += 1
      clock.setTimer(Math.max(1, admission.untilMs - clock.wallMs()), ask)
    }
    ask()
    await clock.advance(299_000)
    expect(refusals).toBeGreaterThan(1)
    expect(refusals).toBeLessThan(1000)
    await clock.runUntil(ledger.close())
  })
})
