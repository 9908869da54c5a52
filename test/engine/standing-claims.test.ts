/** Decision 035: a worker that waits leaves a claim, and begins what is submitted without asking for it. */
import { describe, expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { StandingClaim } from '../../src/ledger/port.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const note = definePipeline<{ n: number }>('note').step('write', { safe: true, run: ({ input }) => input.n })

const create = definePipeline<{ n: number }>('create').step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ n: String(input.n) }) },
    match: (answer) => (answer.data as unknown[])[0],
  },
})

/** What was asked of the ledger from now on. */
function record({ ledger }: TestEngine) {
  const standing: StandingClaim[] = []
  const asked = { claims: 0, looks: 0 }
  const { standClaim, claim, channels } = ledger
  ledger.standClaim = (left, onLeased) => {
    standing.push(left)
    return standClaim(left, onLeased)
  }
  ledger.claim = (request) => {
    asked.claims++
    return claim(request)
  }
  ledger.channels = () => {
    asked.looks++
    return channels()
  }
  /** The most of all channels at once, of each claim that was left. */
  const limits = () => standing.map(({ channels: left }) => left.reduce((sum, { limit }) => sum + limit, 0))
  return { standing, asked, limits }
}

async function scene(options: Parameters<typeof testEngine>[0]) {
  const engine = await testEngine({ settings: { pollMs: 60_000 }, ...options })
  const recorded = record(engine)
  return { ...engine, ...recorded }
}

const succeeded = async ({ hf }: TestEngine): Promise<number> => (await hf.operations.balance()).states.succeeded

describe('decision 035: a claim that stands', () => {
  test('what is submitted while a worker waits begins without a claim, and without a look', async () => {
    const engine = await scene({ pipelines: [note] })
    engine.hf.startWorker()
    await engine.hf.submit(note, { n: 0 })
    await engine.clock.advance(100)
    const before = { ...engine.asked }
    const claims: number[] = []
    engine.hf.events.on('item.claimed', ({ claim }) => void claims.push(claim))
    for (let n = 1; n <= 20; n++) {
      await engine.hf.submit(note, { n })
      await engine.clock.advance(10)
    }
    expect(await succeeded(engine)).toBe(21)
    expect(engine.asked).toEqual(before)
    expect(claims).toEqual(Array.from({ length: 20 }, () => 1))
    await engine.finish()
  })

  test('what would have to be looked for if its worker were lost is claimed, as ever', async () => {
    const engine = await scene({ pipelines: [create] })
    engine.hf.startWorker()
    for (let n = 0; n < 3; n++) {
      await engine.hf.submit(create, { n })
      await engine.clock.advance(1000)
    }
    expect(await succeeded(engine)).toBe(3)
    expect(engine.standing).toEqual([])
    await engine.finish()
  })

  test('it is for half of the free places; the others are there for what is due anyway', async () => {
    const engine = await scene({ pipelines: [note] })
    engine.hf.startWorker({ concurrency: 8 })
    await engine.hf.submit(note, { n: 0 })
    await engine.clock.advance(100)
    expect(engine.limits()).toEqual([4])
    await engine.finish()
  })

  test('a worker with one place does not wait: it could take nothing else', async () => {
    const engine = await scene({ pipelines: [note] })
    engine.hf.startWorker({ concurrency: 1 })
    for (let n = 0; n < 3; n++) await engine.hf.submit(note, { n })
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.standing).toEqual([])
    await engine.finish()
  })

  test('it is renewed while work comes, and for ten seconds after; then nothing is written any more', async () => {
    const engine = await scene({ pipelines: [note], settings: { pollMs: 250 } })
    engine.hf.startWorker()
    await engine.hf.submit(note, { n: 0 })
    await engine.clock.advance(9000)
    const renewed = engine.standing.length
    expect(renewed).toBeGreaterThan(5)
    expect(renewed).toBeLessThan(12)
    await engine.clock.advance(60_000)
    expect(engine.standing.length - renewed).toBeLessThanOrEqual(3)
    // By then it stands no more.
    const { claims } = engine.asked
    await engine.hf.submit(note, { n: 1 })
    await engine.clock.advance(100)
    expect(engine.asked.claims).toBeGreaterThan(claims)
    expect(await succeeded(engine)).toBe(2)
    await engine.finish()
  })

  test('it is taken back when there is more to do than it waits for: all places are used', async () => {
    const gate = Promise.withResolvers<number>()
    let [running, most] = [0, 0]
    const slow = definePipeline<{ n: number }>('slow').step('wait', {
      safe: true,
      async run({ input }) {
        most = Math.max(most, ++running)
        if (input.n > 0) await gate.promise
        running--
        return input.n
      },
    })
    const engine = await scene({ pipelines: [slow] })
    engine.hf.startWorker({ concurrency: 8 })
    await engine.hf.submit(slow, { n: 0 })
    await engine.clock.advance(100)
    expect(engine.limits()).toEqual([4])
    await engine.hf.submitMany(
      slow,
      Array.from({ length: 30 }, (_, n) => ({ input: { n: n + 1 } })),
    )
    await engine.clock.advance(100)
    expect(most).toBe(8)
    gate.resolve(1)
    await engine.clock.runUntil(engine.hf.drain())
    expect(await succeeded(engine)).toBe(31)
    await engine.finish()
  })

  test('a worker that stops takes it back: what comes then is left to others', async () => {
    const engine = await scene({ pipelines: [note] })
    const worker = engine.hf.startWorker()
    await engine.hf.submit(note, { n: 0 })
    await engine.clock.advance(100)
    const submitting = engine.hf.submit(note, { n: 1 })
    await engine.clock.runUntil(worker.stop())
    await submitting
    await engine.hf.submit(note, { n: 2 })
    const { states } = await engine.hf.operations.balance()
    expect(states.processing).toBe(0)
    expect(states.queued + states.succeeded).toBe(3)
    expect(engine.standing.at(-1)?.channels).toEqual([])
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(await succeeded(engine)).toBe(3)
    await engine.finish()
  })

  test('a store that will not have it is told of, and asked again later; work goes on', async () => {
    const engine = await scene({ pipelines: [note] })
    const troubles: string[] = []
    engine.hf.events.on('engine.trouble', ({ where }) => void troubles.push(where))
    engine.ledger.standClaim = () => Promise.reject(new Error('no'))
    engine.hf.startWorker({ concurrency: 4 })
    await engine.hf.submit(note, { n: 0 })
    await engine.clock.advance(1000)
    await engine.hf.submitMany(
      note,
      Array.from({ length: 20 }, (_, n) => ({ input: { n } })),
    )
    await engine.clock.advance(1000)
    expect(await succeeded(engine)).toBe(21)
    expect(troubles).toEqual(['leave a claim'])
    // This trouble was meant.
    engine.events.splice(0)
    await engine.finish()
  })
})
