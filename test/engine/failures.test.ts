import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, testEngine } from '../support/engine.ts'

const lead = z.object({ email: z.string(), company: z.string().optional() })

/** Over hours of virtual time the safety net need not be asked four times a second. */
const SLOW_POLL = { pollMs: 60_000, healthSyncMs: 60_000 }

/** A plain create: nothing makes repeating it safe, but it can be looked for. */
const create = definePipeline('create', { input: lead }).step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: (answer) => (answer.data as { email: string }[])[0],
  },
})

const createBlind = definePipeline('blind', { input: lead }).step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
})

const upsert = definePipeline('upsert', { input: lead }).step('crm', {
  integration: 'crm',
  request: {
    method: 'PUT',
    path: '/contacts/{email}',
    params: ({ input }) => ({ email: input.email }),
    body: ({ input }) => input,
  },
})

describe('failures', () => {
  test('R007, R032: a transient failure is tried again, later each time, without holding a worker', async () => {
    const engine = await testEngine({
      pipelines: [upsert],
      reply: (_request, count) => (count < 4 ? { status: 503 } : { status: 200, body: { id: '1' } }),
    })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(upsert, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    const item = await engine.hf.operations.item(`${runId}.crm`)
    expect(item).toMatchObject({ state: 'succeeded', counters: { attempts: 4, deferrals: 0, crashes: 0, replays: 0 } })
    expect(item?.attempts.map((attempt) => attempt.status)).toEqual([503, 503, 503, 200])
    await engine.finish()
  })

  test('R081: all attempts of one operation carry the same key; another record carries another', async () => {
    const keyed = definePipeline('keyed', { input: lead }).step('crm', {
      integration: 'crm',
      request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
      idempotency: { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 },
    })
    const engine = await testEngine({
      pipelines: [keyed],
      reply: (_request, count) => (count <= 2 ? { lost: 'before_execution' } : { status: 200, body: { id: '1' } }),
    })
    engine.hf.startWorker()
    await engine.hf.submit(keyed, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    await engine.hf.submit(keyed, { email: 'grace' })
    await engine.clock.runUntil(engine.hf.drain())
    const keys = engine.api.requests.map((request) => request.headers['idempotency-key'])
    expect(keys).toHaveLength(4)
    expect(new Set(keys.slice(0, 3)).size).toBe(1)
    expect(keys[3]).not.toBe(keys[0])
    await engine.finish()
  })

  test('R090, rule 5: an operation that was found after its answer got lost is done for every other run too', async () => {
    const shared = definePipeline('shared', { input: lead }).step('crm', {
      integration: 'crm',
      operation: ({ input }) => input.email,
      request: { method: 'POST', path: '/contacts', body: ({ input }) => ({ email: input.email }) },
      reconcile: {
        request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
        match: (answer) => (answer.data as { email: string }[])[0],
      },
    })
    const engine = await testEngine({ pipelines: [shared] })
    engine.api.reply = (request) => {
      if (request.method === 'POST') return { lost: 'after_execution' }
      return { status: 200, body: engine.api.effects.map((effect) => effect.body) }
    }
    engine.hf.startWorker()
    for (const company of ['first', 'second']) await engine.hf.submit(shared, { email: 'ada', company })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(2)
    expect(engine.api.requests.map((request) => request.method)).toEqual(['POST', 'GET'])
    await engine.finish()
  })

  test('rule 3, R094: a lost answer of an unsafe write is looked for, not repeated: it had happened', async () => {
    const engine = await testEngine({ pipelines: [create] })
    engine.api.reply = (request) => {
      if (request.method === 'POST') return { lost: 'after_execution' }
      return { status: 200, body: engine.api.effects.map((effect) => effect.body) }
    }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(create, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      state: 'succeeded',
      output: { email: 'ada' },
      counters: { attempts: 1 },
    })
    expect(engine.api.requests.filter((request) => request.method === 'POST')).toHaveLength(1)
    await engine.finish()
  })

  test('rule 3, R095: looked for and not there, twice: then it is sent again, once', async () => {
    const engine = await testEngine({ pipelines: [create] })
    engine.api.reply = (request, count) => {
      if (request.method === 'POST')
        return count === 1 ? { lost: 'before_execution' } : { status: 201, body: { id: '1' } }
      return { status: 200, body: [] }
    }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(create, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.requests.map((request) => request.method)).toEqual(['POST', 'GET', 'GET', 'POST'])
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      state: 'succeeded',
      counters: { attempts: 2 },
    })
    expect(engine.api.effects).toHaveLength(1)
    await engine.finish()
  })

  test('R093: where nothing can look for it, a person decides: it did not happen', async () => {
    const engine = await testEngine({ pipelines: [createBlind], settings: SLOW_POLL })
    engine.api.reply = (_request, count) =>
      count === 1 ? { lost: 'before_execution' } : { status: 201, body: { id: '1' } }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(createBlind, { email: 'ada' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance).toMatchObject({ needsPerson: 1, states: { unknown_outcome: 1 } })
    const explanation = await engine.hf.operations.explain(`${runId}.crm`)
    expect(explanation?.next).toContain('dlq resolve')
    await engine.clock.advance(86_400_000)
    expect(engine.api.requests).toHaveLength(1)
    const refused = await engine.hf.operations.replay({ selection: { itemIds: [`${runId}.crm`] }, by: 'test' })
    expect(refused.refused).toHaveLength(1)
    expect(await engine.hf.operations.resolve(`${runId}.crm`, { happened: false }, 'test')).toMatchObject({
      outcome: 'done',
    })
    await engine.clock.runUntil(engine.hf.drain())
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      state: 'succeeded',
      counters: { replays: 1 },
    })
    expect(engine.api.requests).toHaveLength(2)
    await engine.finish()
  })

  test('R093: a person decides: it happened', async () => {
    const engine = await testEngine({ pipelines: [createBlind], reply: () => ({ lost: 'after_execution' }) })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(createBlind, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    await engine.hf.operations.resolve(
      `${runId}.crm`,
      { happened: true, externalId: 'c-7', output: { id: 'c-7' } },
      'ada',
    )
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({ state: 'succeeded', externalId: 'c-7' })
    expect(engine.api.requests).toHaveLength(1)
    await engine.finish()
  })

  test('R046, rule 4: one 429 closes the lane, not each item in turn, and uses no attempt', async () => {
    const engine = await testEngine({ pipelines: [upsert] })
    let limitedUntilMs = 0
    engine.api.reply = (request, count) => {
      if (count === 1 && request.path.endsWith('/0')) limitedUntilMs = request.atMs + 30_000
      return request.atMs < limitedUntilMs
        ? { status: 429, headers: { 'retry-after': '30' } }
        : { status: 200, body: {} }
    }
    engine.hf.startWorker()
    for (let index = 0; index < 100; index++) await engine.hf.submit(upsert, { email: String(index) })
    await engine.clock.advance(29_000)
    // At most one wave of the lane's concurrency was under way when the first 429 came.
    expect(engine.api.requests.length).toBeLessThanOrEqual(10)
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(100)
    const early = engine.api.requests.slice(10).filter((request) => request.atMs < limitedUntilMs)
    expect(early).toEqual([])
    const { rows } = await engine.hf.operations.items({}, { limit: 200 })
    expect(new Set(rows.map((row) => row.counters.attempts))).toEqual(new Set([1]))
    await engine.finish()
  })

  test.for([
    ['retry_after_too_long', { 'retry-after': '900' }],
    ['max_age', {}],
  ] as const)(
    'R032, rule 4: a dead letter after a 429 used no attempt for it: %s (simulator, seed 13)',
    async ([reason, headers]) => {
      const engine = await testEngine({
        pipelines: [upsert],
        integrations: { crm: { ...CRM.crm, retry: { base: '1s', maxAge: '2m' } } },
        reply: (_request, count) => (count === 1 ? { status: 503 } : { status: 429, headers }),
      })
      engine.hf.startWorker()
      const { runId } = await engine.hf.submit(upsert, { email: 'ada' })
      await engine.clock.runUntil(engine.hf.drain())
      const item = await engine.hf.operations.item(`${runId}.crm`)
      expect(item).toMatchObject({ state: 'dead_lettered', reason: expect.stringMatching(`^${reason}: `) })
      expect(item?.attempts.at(-1)).toMatchObject({ status: 429, counts: false })
      expect(item?.counters.attempts).toBe(1)
      await engine.finish()
    },
  )

  test('R069, R070, D14: an open breaker stops the calls; waiting behind it uses no attempt', async () => {
    const engine = await testEngine({
      pipelines: [upsert],
      integrations: { crm: { ...CRM.crm, breaker: { open: '30s' } } },
    })
    const startMs = engine.clock.wallMs()
    const outageMs = 10 * 60_000
    engine.api.reply = (request) => (request.atMs < startMs + outageMs ? { status: 503 } : { status: 200, body: {} })
    engine.hf.startWorker()
    for (let index = 0; index < 500; index++) await engine.hf.submit(upsert, { email: String(index) })
    await engine.clock.advance(outageMs)
    const callsWhileDown = engine.api.requests.length
    expect(callsWhileDown).toBeLessThan(60)
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(500)
    const { rows } = await engine.hf.operations.items({}, { limit: 500 })
    const attempts = rows.reduce((sum, row) => sum + row.counters.attempts, 0)
    expect(attempts).toBe(engine.api.requests.length)
    expect(attempts - 500).toBe(callsWhileDown)
    await engine.finish()
  })

  test('D01: a refused credential parks the lane, not the items one by one; one command resumes it', async () => {
    const engine = await testEngine({ pipelines: [upsert] })
    let valid = false
    engine.api.reply = () => (valid ? { status: 200, body: {} } : { status: 401 })
    engine.hf.startWorker()
    for (let index = 0; index < 50; index++) await engine.hf.submit(upsert, { email: String(index) })
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.requests.length).toBeLessThanOrEqual(10)
    const [lane] = (await engine.hf.operations.lanes()).filter((entry) => entry.suspended)
    expect(lane?.lane).toBe('crm/default')
    valid = true
    await engine.hf.operations.resume('crm')
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(50)
    await engine.finish()
  })

  test('D23, R138: an outage longer than the age budget ends in the slow lane, and comes back by itself', async () => {
    const engine = await testEngine({ pipelines: [upsert], settings: SLOW_POLL })
    const startMs = engine.clock.wallMs()
    engine.api.reply = (request) =>
      request.atMs < startMs + 30 * 3_600_000 ? { status: 503 } : { status: 200, body: {} }
    engine.hf.startWorker()
    for (let index = 0; index < 20; index++) await engine.hf.submit(upsert, { email: String(index) })
    const down = await engine.clock.runUntil(engine.hf.drain())
    expect(down.states.dead_lettered).toBeGreaterThan(0)
    expect(down.needsPerson).toBe(0)
    await engine.clock.advance(3 * 86_400_000)
    expect((await engine.hf.operations.balance()).states.succeeded).toBe(20)
    await engine.finish()
  })

  test('R014, D04: a record that shows up late is asked for again where the endpoint says so', async () => {
    const engine = await testEngine({
      pipelines: [
        definePipeline('late', { input: lead }).step('read', {
          integration: 'crm',
          request: { method: 'GET', path: '/late' },
        }),
      ],
      integrations: {
        crm: { ...CRM.crm, endpoints: { 'GET /late': { eventuallyConsistent: { retries: 3, delay: '2s' } } } },
      },
      reply: (_request, count) => (count < 3 ? { status: 404 } : { status: 200, body: { ok: true } }),
    })
    engine.hf.startWorker()
    await engine.hf.submit('late', { email: 'ada' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(1)
    await engine.finish()
  })
})
