/** Operations that have a name of their own, across runs: done once, and by nobody else while it may have been done (R089-R092, R097). */
import { describe, expect, test } from 'vitest'
import type { EndpointSettings } from '../../src/config/settings.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { ItemRecord } from '../../src/ledger/port.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'
import type { Reply } from '../support/scripted-api.ts'

type Idempotency = EndpointSettings['idempotency']
const KEYED: Idempotency = { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 }

function pay(idempotency: Idempotency = KEYED, more: object = {}) {
  return definePipeline<{ order: string }>('pay').step('charge', {
    integration: 'crm',
    idempotency,
    operation: ({ input }) => `charge ${input.order}`,
    request: { method: 'POST', path: '/charges', body: ({ input }) => input },
    ...more,
  })
}

const LOST = { status: 504, body: {} }
const NOT_NOW = { status: 503, body: {} }
const REFUSED = { status: 422, body: {} }
const ORDER = { order: '7' }

interface Bench extends TestEngine {
  /** Submits the operation; gives its item. */
  submit(): Promise<string>
  itemOf(itemId: string): Promise<ItemRecord>
  charges(): number
}

/** The API answers so, one after the other; then it succeeds. */
async function answering(replies: Reply[], pipeline = pay()): Promise<Bench> {
  const left = [...replies]
  const engine = await testEngine({
    pipelines: [pipeline],
    integrations: { crm: { baseUrl: 'https://crm.test', retry: { base: '1s', maxAttempts: 3 } } },
    reply: ({ method }) => (method === 'GET' ? { status: 200, body: [] } : (left.shift() ?? { status: 200, body: {} })),
  })
  engine.hf.startWorker()
  return {
    ...engine,
    submit: async () => `${(await engine.hf.submit(pipeline, ORDER)).runId}.charge`,
    itemOf: async (itemId) => (await engine.hf.operations.item(itemId)) ?? expect.fail('there is no such item'),
    charges: () => engine.api.requests.filter(({ method }) => method === 'POST').length,
  }
}

/** Its answer was lost, and then a person gave it up: nobody will ever say what became of it. */
async function givenUpInDoubt(pipeline = pay()): Promise<Bench & { first: string }> {
  const bench = await answering([LOST], pipeline)
  const first = await bench.submit()
  while (bench.charges() < 1) await bench.clock.advance(50)
  await bench.clock.advance(50)
  await bench.hf.operations.discard({ itemIds: [first] }, 'wrong order', 'cli:ada')
  return { ...bench, first }
}

describe('an operation that is named', () => {
  test('R097: is not begun by another run while a try of the first may have done it, whatever later tries ended with', async () => {
    const bench = await answering([LOST, NOT_NOW])
    const first = await bench.submit()
    while (bench.charges() < 2) await bench.clock.advance(50)
    const second = await bench.submit()
    await bench.clock.advance(100)
    expect((await bench.itemOf(second)).reason).toContain(`in the hands of ${first}`)
    await bench.clock.runUntil(bench.hf.drain())
    expect(new Set(bench.api.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
    expect((await bench.itemOf(second)).state).toBe('succeeded')
    await bench.finish()
  })

  test('is free as soon as the run that began it is known to have done nothing, and is given up', async () => {
    const bench = await answering([NOT_NOW, REFUSED])
    const first = await bench.submit()
    await bench.clock.runUntil(bench.hf.drain())
    expect((await bench.itemOf(first)).state).toBe('dead_lettered')
    await bench.hf.operations.discard({ itemIds: [first] }, 'wrong order', 'cli:ada')
    const second = await bench.submit()
    await bench.clock.runUntil(bench.hf.drain())
    expect(await bench.itemOf(second)).toMatchObject({ state: 'succeeded', counters: { deferrals: 0 } })
    await bench.finish()
  })

  test('R092 R097: given up while it may have been done, it is for a person to say before another run does it', async () => {
    const bench = await givenUpInDoubt()
    const second = await bench.submit()
    const balance = await bench.clock.runUntil(bench.hf.drain())
    expect(balance.needsPerson).toBe(1)
    expect(bench.charges()).toBe(1)
    const { state, reason, deadLetter } = await bench.itemOf(second)
    expect(state).toBe('unknown_outcome')
    expect(reason).toContain(`${bench.first}, which was discarded, may have done operation "pay.charge:charge 7"`)
    expect(deadLetter?.hint).toContain('--did-not-happen')
    await bench.clock.advance(1000)
    await bench.hf.operations.resolve(second, { happened: false }, 'cli:ada')
    await bench.clock.runUntil(bench.hf.drain())
    expect((await bench.itemOf(second)).state).toBe('succeeded')
    expect(bench.charges()).toBe(2)
    const third = await bench.submit()
    await bench.clock.runUntil(bench.hf.drain())
    expect((await bench.itemOf(third)).state).toBe('succeeded')
    expect(bench.charges()).toBe(2)
    await bench.finish()
  })

  test('a step that knows how looks for it first', async () => {
    const reconcile = { request: { method: 'GET', path: '/charges' }, match: () => undefined }
    const bench = await givenUpInDoubt(pay(KEYED, { reconcile }))
    const second = await bench.submit()
    await bench.clock.runUntil(bench.hf.drain())
    const { state, attempts } = await bench.itemOf(second)
    expect(state).toBe('succeeded')
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['not_found', 'not_found', 'succeeded'])
    await bench.finish()
  })

  test('where doing it again does no harm, nobody is asked', async () => {
    const bench = await givenUpInDoubt(pay({ kind: 'safe' }))
    const second = await bench.submit()
    await bench.clock.runUntil(bench.hf.drain())
    expect((await bench.itemOf(second)).state).toBe('succeeded')
    await bench.finish()
  })
})
