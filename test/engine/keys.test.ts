/** Keys of the APIs: what they protect, for how long, and what happens once one is forgotten or spent (R080-R086, D19). */
import { describe, expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, type TestEngine, type TestEngineOptions, testEngine } from '../support/engine.ts'
import type { Reply, SeenRequest } from '../support/scripted-api.ts'

const HOUR_MS = 3_600_000
const KEY = { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 24 * HOUR_MS } as const
const request = { method: 'POST', path: '/charges', body: ({ input }: { input: unknown }) => input } as const

const charge = definePipeline<{ amount: number }>('charge').step('pay', {
  integration: 'crm',
  request,
  idempotency: KEY,
})

const lookedFor = definePipeline<{ amount: number }>('looked-for').step('pay', {
  integration: 'crm',
  request,
  idempotency: KEY,
  reconcile: {
    request: { method: 'GET', path: '/charges' },
    match: ({ data }) => (data as unknown[])[0],
    externalId: (found) => (found as { id: string }).id,
  },
})

/** Who waits for days need not look for work four times a second. */
const DAYS_PASS = { pollMs: 60_000, healthSyncMs: 60_000 }

const LOST: Reply = { lost: 'before_execution' }
const DONE: Reply = { status: 201, body: { id: 'ch_1' } }
const STORED: Reply = {
  status: 500,
  headers: { 'idempotent-replayed': 'true' },
  body: { error: { type: 'api_error' } },
}
const NO_SLOW_LANE = { crm: { ...CRM.crm, retry: { base: '1s', maxAttempts: 2, slowLane: { maxTries: 0 } } } } as const

function keysOf({ api }: TestEngine): (string | undefined)[] {
  return writesOf(api.requests).map(({ headers }) => headers['idempotency-key'])
}

function writesOf(requests: readonly SeenRequest[]): SeenRequest[] {
  return requests.filter(({ method }) => method === 'POST')
}

/** One charge whose first tries are answered so; the rest is done. */
async function charged(
  replies: readonly Reply[],
  pipeline: typeof charge | typeof lookedFor = charge,
  options: TestEngineOptions = {},
): Promise<TestEngine & { itemId: string }> {
  const left = [...replies]
  const engine = await testEngine({
    pipelines: [pipeline],
    reply: ({ method }) => (method === 'GET' ? { status: 200, body: [] } : (left.shift() ?? DONE)),
    settings: DAYS_PASS,
    ...options,
  })
  engine.hf.startWorker()
  const { runId } = await engine.hf.submit(pipeline, { amount: 5 }, { key: 'order-1' })
  await engine.clock.runUntil(engine.hf.drain())
  return { ...engine, itemId: `${runId}.pay` }
}

async function stateOf({ hf, itemId }: Awaited<ReturnType<typeof charged>>) {
  return (await hf.operations.item(itemId))?.state
}

async function replayed(engine: Awaited<ReturnType<typeof charged>>): Promise<void> {
  await engine.hf.operations.replay({ selection: { itemIds: [engine.itemId] }, by: 'test' })
  await engine.clock.runUntil(engine.hf.drain())
}

describe('R086, D19: how long a key protects', () => {
  test('R137: a replay within the lifetime sends the same key again', async () => {
    const engine = await charged([LOST, LOST], charge, { integrations: NO_SLOW_LANE })
    expect(await stateOf(engine)).toBe('dead_lettered')
    await engine.clock.advance(20 * HOUR_MS)
    await replayed(engine)
    expect(await stateOf(engine)).toBe('succeeded')
    expect(new Set(keysOf(engine)).size).toBe(1)
    await engine.finish()
  })

  test('after it, nobody repeats it blindly: a person decides, and "it did not happen" sends it again', async () => {
    const engine = await charged([LOST, LOST], charge, { integrations: NO_SLOW_LANE })
    await engine.clock.advance(25 * HOUR_MS)
    await replayed(engine)
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({
      state: 'unknown_outcome',
      reason: expect.stringContaining('D19'),
    })
    expect(keysOf(engine)).toHaveLength(2)
    await engine.hf.operations.resolve(engine.itemId, { happened: false }, 'test')
    await engine.clock.runUntil(engine.hf.drain())
    expect(await stateOf(engine)).toBe('succeeded')
    expect(keysOf(engine)).toHaveLength(3)
    await engine.finish()
  })

  test('where the step says how, it is looked for instead', async () => {
    const engine = await charged([LOST, LOST], lookedFor, { integrations: NO_SLOW_LANE })
    await engine.clock.advance(25 * HOUR_MS)
    await replayed(engine)
    expect(await stateOf(engine)).toBe('succeeded')
    const looks = engine.api.requests.filter(({ method }) => method === 'GET')
    expect(looks).toHaveLength(2)
    expect(keysOf(engine)).toHaveLength(3)
    await engine.finish()
  })

  test('the slow lane of the dead letters does not outlive it either', async () => {
    const engine = await charged(
      Array.from({ length: 8 }, () => LOST),
      charge,
      {
        integrations: {
          crm: { ...CRM.crm, retry: { base: '1s', maxAttempts: 2, slowLane: { maxTries: 4, span: '3d' } } },
        },
      },
    )
    await engine.clock.advance(3 * 24 * HOUR_MS)
    expect(await stateOf(engine)).toBe('unknown_outcome')
    const times = engine.api.requests.map(({ atMs }) => atMs)
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(24 * HOUR_MS)
    await engine.finish()
  })

  test('what surely never had an effect may be sent at any age', async () => {
    const refused: Reply = { refused: true }
    const engine = await charged([refused, refused], charge, { integrations: NO_SLOW_LANE })
    expect(await stateOf(engine)).toBe('dead_lettered')
    await engine.clock.advance(72 * HOUR_MS)
    await replayed(engine)
    expect(await stateOf(engine)).toBe('succeeded')
    await engine.finish()
  })
})

describe('R086: the API stores the first answer of a key, failures too (Stripe)', () => {
  test('a stored 500 is not asked for again: it may have happened, and a person decides; then a new key is used', async () => {
    const engine = await charged([{ status: 500 }, STORED])
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({
      state: 'unknown_outcome',
      reason: expect.stringContaining('repeats the failure it stored under this key'),
    })
    expect(new Set(keysOf(engine)).size).toBe(1)
    await engine.hf.operations.resolve(engine.itemId, { happened: false }, 'test')
    await engine.clock.runUntil(engine.hf.drain())
    expect(await stateOf(engine)).toBe('succeeded')
    expect(new Set(keysOf(engine)).size).toBe(2)
    await engine.finish()
  })

  test('looked for and not there: sent under a new key, which its own retries keep', async () => {
    const engine = await charged([{ status: 500 }, STORED, { status: 500 }], lookedFor)
    expect(await stateOf(engine)).toBe('succeeded')
    const [first, second, ...rest] = keysOf(engine)
    expect(second).toBe(first)
    expect(rest).toHaveLength(2)
    expect(new Set(rest).size).toBe(1)
    expect(rest[0]).not.toBe(first)
    await engine.finish()
  })

  test('found: its external id is kept, and nothing is sent', async () => {
    const engine = await charged([{ status: 500 }, STORED], lookedFor, {
      reply: ({ method }, count) =>
        method === 'GET' ? { status: 200, body: [{ id: 'ch_9' }] } : count === 1 ? { status: 500 } : STORED,
    })
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({ state: 'succeeded', externalId: 'ch_9' })
    expect(keysOf(engine)).toHaveLength(2)
    await engine.finish()
  })

  test('a stored refusal does not outlive its cause: replayed by a person, it is sent under a new key', async () => {
    const declined = { status: 402, body: { error: { code: 'card_declined' } } }
    const engine = await charged(
      [declined, { ...declined, headers: { 'Idempotent-Replayed': 'true' } }].map(lowerCased),
    )
    expect(await stateOf(engine)).toBe('dead_lettered')
    await replayed(engine)
    expect(await stateOf(engine)).toBe('succeeded')
    const [first, again, renewed] = keysOf(engine)
    expect(again).toBe(first)
    expect(renewed).not.toBe(first)
    await engine.finish()
  })

  test('"still running" (409) is asked again; "another payload" (422, 400) is permanent', async () => {
    const running = { status: 409, body: { error: { code: 'idempotency_key_in_use' } } }
    const engine = await charged([running, running])
    expect(await stateOf(engine)).toBe('succeeded')
    expect(new Set(keysOf(engine)).size).toBe(1)
    await engine.finish()
    for (const status of [400, 422]) {
      const reused = await charged([{ status, body: { error: { type: 'idempotency_error' } } }])
      expect(await stateOf(reused), String(status)).toBe('dead_lettered')
      expect(keysOf(reused)).toHaveLength(1)
      await reused.finish()
    }
  })
})

/** As a transport hands them over. */
function lowerCased(reply: Reply): Reply {
  if (!('headers' in reply) || !reply.headers) return reply
  const headers = Object.fromEntries(Object.entries(reply.headers).map(([name, value]) => [name.toLowerCase(), value]))
  return { ...reply, headers }
}

describe('which key', () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  test('R080: by default bare; as a structured-field string where the API wants it', async () => {
    const quoted = definePipeline<{ amount: number }>('charge').step('pay', {
      integration: 'crm',
      request,
      idempotency: { ...KEY, quoted: true },
    })
    const bare = await charged([])
    const wrapped = await charged([], quoted)
    expect(keysOf(wrapped)).toEqual(keysOf(bare).map((key) => `"${key}"`))
    await bare.finish()
    await wrapped.finish()
  })

  test("R082, R101: named after the sender's event, five deliveries of it are one operation with one key", async () => {
    const engine = await testEngine({ pipelines: [charge], reply: () => DONE })
    engine.hf.startWorker()
    for (let delivery = 0; delivery < 5; delivery++) {
      await engine.hf.submit(charge, { amount: 5 }, { key: 'evt_1' })
      await engine.clock.runUntil(engine.hf.drain())
    }
    await engine.hf.submit(charge, { amount: 5 }, { key: 'evt_2' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(keysOf(engine)).toHaveLength(2)
    expect(new Set(keysOf(engine)).size).toBe(2)
    await engine.finish()
  })

  test('R099: each step has a key of its own and is done by itself; a replay repeats only the step that failed', async () => {
    const twoSteps = definePipeline<{ amount: number }>('two-steps')
      .step('reserve', { integration: 'crm', request: { ...request, path: '/reservations' }, idempotency: KEY })
      .step('pay', { after: ['reserve'], integration: 'crm', request, idempotency: KEY })
    const engine = await testEngine({ pipelines: [twoSteps], settings: DAYS_PASS })
    engine.api.reply = ({ path }, count) =>
      path === '/reservations' && count === 1 ? LOST : path === '/charges' && count === 1 ? { status: 422 } : DONE
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(twoSteps, { amount: 5 }, { key: 'order-1' })
    await engine.clock.runUntil(engine.hf.drain())
    const states = async () => (await engine.hf.operations.run(runId))?.items.map(({ state }) => state)
    expect(await states()).toEqual(['succeeded', 'dead_lettered'])
    await replayed({ ...engine, itemId: `${runId}.pay` })
    expect(await states()).toEqual(['succeeded', 'succeeded'])

    expect(engine.api.requests.map(({ path }) => path)).toEqual([
      '/reservations',
      '/reservations',
      '/charges',
      '/charges',
    ])
    const [reserve, reserveAgain, pay, payAgain] = keysOf(engine)
    expect(reserveAgain).toBe(reserve)
    expect(payAgain).toBe(pay)
    expect(pay).not.toBe(reserve)
    await engine.finish()
  })

  test('R083, R084: derived from the names of pipeline, record and step: a UUID that any process would derive', async () => {
    const [one, other] = [await charged([]), await charged([], charge, { seed: 'another process' })]
    expect(keysOf(one)).toEqual(keysOf(other))
    expect(keysOf(one)[0]).toMatch(UUID)
    await one.finish()
    await other.finish()
  })
})

describe('R087, R088: natural keys', () => {
  const unique = definePipeline<{ email: string }>('unique').step('create', {
    integration: 'crm',
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    idempotency: { kind: 'natural', field: 'email' },
  })

  test('a lost answer is asked again; "already there" is then success, and the record is there once', async () => {
    const engine = await testEngine({
      pipelines: [unique],
      reply: (_request, count) =>
        count === 1 ? { lost: 'after_execution' } : { status: 409, body: { message: 'Contact already exists' } },
    })
    engine.hf.startWorker()
    await engine.hf.submit(unique, { email: 'ada@example.com' })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(1)
    expect(engine.api.effects).toHaveLength(1)
    await engine.finish()
  })

  test('a PUT to an id of ours is an upsert: repeated without a look', async () => {
    const put = definePipeline<{ id: string }>('put').step('save', {
      integration: 'crm',
      request: {
        method: 'PUT',
        path: '/contacts/{id}',
        params: ({ input }) => ({ id: input.id }),
        body: ({ input }) => input,
      },
    })
    const engine = await testEngine({
      pipelines: [put],
      reply: (_request, count) => (count === 1 ? { lost: 'after_execution' } : { status: 200 }),
    })
    engine.hf.startWorker()
    await engine.hf.submit(put, { id: '7' })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(1)
    expect(engine.api.requests.map(({ method }) => method)).toEqual(['PUT', 'PUT'])
    await engine.finish()
  })
})
