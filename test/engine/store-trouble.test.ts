import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { Ledger } from '../../src/ledger/port.ts'
import { testEngine } from '../support/engine.ts'

const put = definePipeline<{ n: number }>('put').step('crm', {
  integration: 'crm',
  request: { method: 'PUT', path: '/contacts/{n}', params: ({ input }) => ({ n: input.n }) },
})

/** From now on the store takes no settlements. */
function fillUp(ledger: Ledger): { makeRoom(): void } {
  const settle = ledger.settle
  ledger.settle = async () => {
    throw new HoldfastError({ code: 'store_full', class: 'configuration', message: 'no space left' })
  }
  return {
    makeRoom() {
      ledger.settle = settle
    },
  }
}

describe('a store that takes nothing', () => {
  test('what ended waits for room, and is written then: not done again', async () => {
    const engine = await testEngine({ pipelines: [put] })
    const disk = fillUp(engine.ledger)
    engine.hf.startWorker()
    for (let n = 0; n < 5; n++) await engine.hf.submit(put, { n })
    await engine.clock.advance(120_000)
    expect((await engine.hf.operations.balance()).states.processing).toBe(5)
    disk.makeRoom()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(5)
    expect(engine.api.requests).toHaveLength(5)
    expect(engine.events.some((event) => event.type === 'engine.trouble')).toBe(true)
    engine.events.length = 0
    await engine.finish()
  })

  test('it does not hold up the end of the worker; the next one goes on', async () => {
    const engine = await testEngine({ pipelines: [put], settings: { leaseMs: 3000 } })
    const disk = fillUp(engine.ledger)
    const worker = engine.hf.startWorker()
    await engine.hf.submit(put, { n: 1 })
    await engine.clock.advance(1000)
    const startedMs = engine.clock.monotonicMs()
    await engine.clock.runUntil(worker.stop())
    expect(engine.clock.monotonicMs() - startedMs).toBeLessThan(20_000)
    disk.makeRoom()
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(1)
    engine.events.length = 0
    await engine.finish()
  })

  test('one that is damaged ends the waiting with what is wrong, not never', async () => {
    const engine = await testEngine({ pipelines: [put] })
    await engine.hf.submit(put, { n: 1 })
    const claim = engine.ledger.claim
    engine.ledger.claim = async () => {
      throw new HoldfastError({ code: 'store_corrupt', class: 'configuration', message: 'the file is damaged' })
    }
    engine.hf.startWorker()
    await expect(engine.clock.runUntil(engine.hf.drain())).rejects.toMatchObject({ code: 'store_corrupt' })
    engine.ledger.claim = claim
    engine.events.length = 0
    await engine.finish()
  })

  test('a store that is gone is asked ever more rarely, and work goes on when it is back (simulator, seed 2126)', async () => {
    const engine = await testEngine({ pipelines: [put], settings: { pollMs: 60_000 } })
    const { claim } = engine.ledger
    let asked = 0
    engine.ledger.claim = async () => {
      asked += 1
      throw new HoldfastError({ code: 'store_unavailable', class: 'transient', message: 'gone' })
    }
    await engine.hf.submit(put, { n: 1 })
    engine.hf.startWorker()
    await engine.clock.advance(60_000)
    expect(asked).toBeGreaterThan(10)
    expect(asked).toBeLessThan(40)
    engine.ledger.claim = claim
    await engine.clock.advance(10_000)
    expect((await engine.hf.operations.balance()).states.succeeded).toBe(1)
    engine.events.length = 0
    await engine.finish()
  })
})
