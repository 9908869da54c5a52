/** A worker whose store answers slowly claims more than it runs, so that it need not stand still. */
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import type { Worker } from '../../src/engine/api.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { Ledger } from '../../src/ledger/port.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const CONCURRENCY = 10

/** Steps that take `callMs`, on a store that takes 20 ms for each claim. */
async function workshop(callMs: { value: number }, shared = 1000, safe = true) {
  const counts = { running: 0, most: 0 }
  const holder: { clock?: Clock } = {}
  const pipeline = definePipeline<{ n: number }>('work').step('work', {
    concurrency: shared,
    safe,
    run: async () => {
      counts.running += 1
      counts.most = Math.max(counts.most, counts.running)
      if (callMs.value > 0) await holder.clock?.sleep(callMs.value)
      counts.running -= 1
    },
  })
  const engine = await testEngine({ pipelines: [pipeline], settings: { concurrency: CONCURRENCY } })
  holder.clock = engine.clock
  slowDown(engine.ledger, engine.clock)
  await engine.hf.submitMany(
    pipeline,
    Array.from({ length: 2000 }, (_, n) => ({ input: { n } })),
  )
  return { engine, counts }
}

function slowDown(ledger: Ledger, clock: Clock): void {
  const claim = ledger.claim.bind(ledger)
  ledger.claim = async (request) => {
    await clock.sleep(20)
    return claim(request)
  }
}

async function mostLeased({ clock }: TestEngine, worker: Worker, forMs: number): Promise<number> {
  let most = 0
  for (let passedMs = 0; passedMs < forMs; passedMs += 1) {
    await clock.advance(1)
    most = Math.max(most, worker.inFlight)
  }
  return most
}

describe('a worker on a store that answers slowly', () => {
  test('R108: claims more than it runs, and never runs more than it may', async () => {
    const { engine, counts } = await workshop({ value: 1 })
    const worker = engine.hf.startWorker()
    expect(await mostLeased(engine, worker, 500)).toBeGreaterThan(4 * CONCURRENCY)
    expect(counts.most).toBe(CONCURRENCY)
    await engine.clock.runUntil(engine.hf.drain())
    expect(counts.most).toBe(CONCURRENCY)
    await engine.finish()
  })

  test('rule 3: nothing is claimed ahead that must be looked for where its worker is lost', async () => {
    const { engine } = await workshop({ value: 1 }, 1000, false)
    const worker = engine.hf.startWorker()
    expect(await mostLeased(engine, worker, 500)).toBe(CONCURRENCY)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('what a lane may have over all workers holds for what is claimed ahead', async () => {
    const { engine } = await workshop({ value: 1 }, 15)
    const worker = engine.hf.startWorker()
    const most = await mostLeased(engine, worker, 500)
    expect(most).toBeGreaterThan(CONCURRENCY)
    expect(most).toBeLessThanOrEqual(15)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('where calls take longer than claims nothing is claimed ahead: others may work on it', async () => {
    const { engine } = await workshop({ value: 2000 })
    const worker = engine.hf.startWorker()
    expect(await mostLeased(engine, worker, 5000)).toBe(CONCURRENCY)
    await engine.clock.runUntil(worker.stop())
    await engine.finish()
  })

  test('where calls become slow, what has not begun within a second or two is given back', async () => {
    const callMs = { value: 1 }
    const { engine } = await workshop(callMs)
    const worker = engine.hf.startWorker()
    await engine.clock.advance(100)
    callMs.value = 10_000
    await engine.clock.advance(100)
    expect(worker.inFlight).toBeGreaterThan(CONCURRENCY)
    await engine.clock.advance(2000)
    const { states } = await engine.hf.operations.balance()
    expect(states.processing).toBe(CONCURRENCY)
    callMs.value = 0
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('a worker that stops gives back what has not begun, and uses no attempt for it', async () => {
    const callMs = { value: 1 }
    const { engine } = await workshop(callMs)
    const worker = engine.hf.startWorker()
    await engine.clock.advance(100)
    callMs.value = 10_000
    await engine.clock.advance(100)
    expect(worker.inFlight).toBeGreaterThan(CONCURRENCY)
    await engine.clock.runUntil(worker.stop({ graceMs: 60_000 }))
    const { states } = await engine.hf.operations.balance()
    expect(states.processing).toBe(0)
    const queued = await engine.hf.operations.items({ states: ['queued'] }, { limit: 1000 })
    expect(queued.rows.every(({ counters }) => counters.attempts === 0 && counters.crashes === 0)).toBe(true)
    callMs.value = 0
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(2000)
    await engine.finish()
  })
})
