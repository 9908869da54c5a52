/** What an API says to a look for a lost effect holds for the whole lane, as what it says to a call does (rule 4). */
import { describe, expect, test } from 'vitest'
import { definePipeline, newestFirst } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, type TestEngine, type TestEngineOptions, testEngine } from '../support/engine.ts'
import type { Reply } from '../support/scripted-api.ts'

/** Its answers get lost where its input says so, and then it is looked for. */
const create = definePipeline<{ email: string; lost?: boolean }>('create').step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: (answer) => (answer.data as { email: string }[])[0],
  },
})

const THROTTLED: Reply = { status: 429, headers: { 'retry-after': '30' } }

/** One effect got lost, and the first look for it is answered so. Returns right after that look. */
async function afterFirstLook(
  answer: Reply,
  options: TestEngineOptions = {},
): Promise<TestEngine & { lostId: string }> {
  const engine = await testEngine({ pipelines: [create], ...options })
  engine.api.reply = (request, count) => {
    if (request.method === 'GET' && count === 1) return answer
    if (request.method === 'GET') return { status: 200, body: engine.api.effects.map((effect) => effect.body) }
    return (request.body as { lost?: boolean }).lost ? { lost: 'after_execution' } : { status: 201, body: {} }
  }
  engine.hf.startWorker()
  const { runId } = await engine.hf.submit(create, { email: 'ada', lost: true })
  while (!engine.api.requests.some((request) => request.method === 'GET')) await engine.clock.advance(10)
  await engine.clock.advance(10)
  return { ...engine, lostId: `${runId}.crm` }
}

/** Hands in another record, and tells which calls follow and how long after the first look. */
async function callsAfterLook(engine: TestEngine): Promise<{ method: string; afterMs: number }[]> {
  const seen = engine.api.requests.length
  const lookedAtMs = engine.api.requests.at(-1)?.atMs ?? Number.NaN
  await engine.hf.submit(create, { email: 'grace' })
  await engine.clock.runUntil(engine.hf.drain())
  return engine.api.requests.slice(seen).map(({ method, atMs }) => ({ method, afterMs: atMs - lookedAtMs }))
}

async function gateOf(engine: TestEngine) {
  return (await engine.ledger.lanes()).find(({ lane }) => lane === 'crm/default')?.gateUntilMs
}

test('R046, rule 4: a look that is answered 429 closes the lane for all, here and in the store (simulator, seed 11)', async () => {
  const engine = await afterFirstLook(THROTTLED)
  const nowMs = engine.clock.wallMs()
  expect(engine.events.filter((event) => event.type === 'gate.closed')).toMatchObject([{ lane: 'crm/default' }])
  expect(await gateOf(engine)).toBeGreaterThan(nowMs + 29_000)
  const calls = await callsAfterLook(engine)
  expect(calls.map(({ method }) => method).toSorted()).toEqual(['GET', 'POST'])
  expect(Math.min(...calls.map(({ afterMs }) => afterMs))).toBeGreaterThanOrEqual(30_000)
  expect((await engine.hf.operations.balance()).states.succeeded).toBe(2)
  await engine.finish()
})

test('R046, rule 4: so does the last look, after which a person decides (simulator, seed 115)', async () => {
  const integrations = { crm: { ...CRM.crm, retry: { base: '1s', maxAge: '10s' } } } as const
  const engine = await afterFirstLook(THROTTLED, { integrations, settings: { reconcileDelayMs: 11_000 } })
  const nowMs = engine.clock.wallMs()
  const lost = await engine.hf.operations.item(engine.lostId)
  expect(lost).toMatchObject({ state: 'unknown_outcome', reason: expect.stringContaining('could not look for it') })
  expect(lost?.dueAtMs).toBeUndefined()
  expect(engine.events.filter((event) => event.type === 'gate.closed')).toMatchObject([{ lane: 'crm/default' }])
  expect(await gateOf(engine)).toBeGreaterThan(nowMs + 29_000)
  await engine.finish()
})

test('D01: a look that is answered 401 suspends the lane; nothing is sent until it is resumed', async () => {
  const engine = await afterFirstLook({ status: 401 })
  expect(await callsAfterLook(engine)).toEqual([])
  const [lane] = (await engine.hf.operations.lanes()).filter((entry) => entry.suspended)
  expect(lane?.lane).toBe('crm/default')
  await engine.hf.operations.resume('crm')
  const balance = await engine.clock.runUntil(engine.hf.drain())
  expect(balance.states.succeeded).toBe(2)
  await engine.finish()
})

describe('R095: how patiently a lost effect is looked for, and what no look can tell', () => {
  const orders = definePipeline<{ reference: string }>('orders').step('order', {
    integration: 'crm',
    request: { method: 'POST', path: '/orders', body: ({ input }) => input },
    reconcile: {
      request: { method: 'GET', path: '/orders' },
      match: newestFirst({
        records: ({ data }) => data as { reference: string; at: number }[],
        matches: (record, { input }: { input: { reference: string } }) => record.reference === input.reference,
        createdAt: ({ at }) => at,
        within: '1m',
      }),
      looks: 3,
      delay: '1m',
    },
  })

  /** One order whose answer gets lost; looks for it are answered so, in this order. */
  async function lostOrder(lists: readonly ((triedAtMs: number) => { reference: string; at: number }[])[]) {
    const engine = await testEngine({ pipelines: [orders] })
    engine.api.reply = ({ method, atMs }, count) => {
      if (method === 'GET') return { status: 200, body: (lists[count - 1] ?? (() => []))(atMs) }
      return count === 1 ? { lost: 'before_execution' } : { status: 201, body: {} }
    }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(orders, { reference: 'r1' })
    await engine.clock.runUntil(engine.hf.drain())
    const item = await engine.hf.operations.item(`${runId}.order`)
    return { ...engine, item, calls: engine.api.requests.map(({ method }) => method) }
  }

  test('not there yet: it is looked for as often, and at such intervals, as the step says; then sent again', async () => {
    const engine = await lostOrder([])
    expect(engine.calls).toEqual(['POST', 'GET', 'GET', 'GET', 'POST'])
    const [sent = 0, ...later] = engine.api.requests.map(({ atMs }) => atMs)
    expect(later.slice(0, 3).map((atMs) => Math.round((atMs - sent) / 60_000))).toEqual([1, 2, 3])
    await engine.finish()
  })

  test('it shows up late, among newer ones: adopted, not sent again; an old one of the same looks is not ours', async () => {
    const old = (nowMs: number) => ({ reference: 'r1', at: nowMs - 3_600_000 })
    const engine = await lostOrder([
      (nowMs) => [old(nowMs)],
      (nowMs) => [{ reference: 'r2', at: nowMs }, { reference: 'r1', at: nowMs - 60_000 }, old(nowMs)],
    ])
    expect(engine.item).toMatchObject({ state: 'succeeded', output: { reference: 'r1' } })
    expect(engine.calls).toEqual(['POST', 'GET', 'GET'])
    await engine.finish()
  })

  test('a list that does not reach back, or two that may be ours: a person decides, at once', async () => {
    for (const [list, why] of [
      [['r2', 'r3'], 'does not reach back'],
      [['r1', 'r1'], '2 records match'],
    ] as const) {
      const engine = await lostOrder([(nowMs) => list.map((reference) => ({ reference, at: nowMs }))])
      expect(engine.item).toMatchObject({ state: 'unknown_outcome', reason: expect.stringContaining(why) })
      expect(engine.item?.dueAtMs).toBeUndefined()
      expect(engine.calls).toEqual(['POST', 'GET'])
      await engine.finish()
    }
  })
})
