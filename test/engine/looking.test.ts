/** What an API says to a look for a lost effect holds for the whole lane, as what it says to a call does (rule 4). */
import { expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipeline.ts'
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
