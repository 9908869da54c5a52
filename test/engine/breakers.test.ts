/** Breakers as their users meet them: durable items, callers who wait, SDKs through `fetch`, and whoever listens. */
import { describe, expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, type TestEngine, testEngine } from '../support/engine.ts'

const OPEN_MS = 30_000
const ONE_API = { crm: { ...CRM.crm, breaker: { open: '30s', probes: 1 } } } as const

const save = definePipeline<{ id: number }>('save').step('crm', {
  integration: 'crm',
  request: {
    method: 'PUT',
    path: '/contacts/{id}',
    params: ({ input }) => ({ id: String(input.id) }),
    body: ({ input }) => input,
  },
})

/** An API that is down from the start, and records whose failures have opened the breaker. */
async function breakerOpened(): Promise<TestEngine> {
  const engine = await testEngine({ pipelines: [save], integrations: ONE_API, reply: () => ({ refused: true }) })
  const records = Array.from({ length: 10 }, (_, id) => ({ input: { id } }))
  await engine.clock.runUntil(engine.hf.submitMany(save, records))
  engine.hf.startWorker()
  await engine.clock.advance(1)
  return engine
}

function breakerChanges({ events }: TestEngine, key: string) {
  return events.filter((event) => event.type === 'breaker.changed').filter((change) => change.key === key)
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('it should have failed'),
    (error: unknown) => error,
  )

describe('what an open breaker refuses', () => {
  test('R071, D14: goes back to the queue at once, with a due time; it used no attempt and holds no worker', async () => {
    const prepared = Promise.withResolvers<void>()
    const slowlyPrepared = definePipeline<{ id: number }>('slowly-prepared').step('crm', {
      integration: 'crm',
      request: { method: 'PUT', path: '/contacts', body: ({ input }) => input },
      async operation({ input }) {
        if (input.id >= 5) await prepared.promise
        return String(input.id)
      },
    })
    const engine = await testEngine({
      pipelines: [slowlyPrepared],
      integrations: ONE_API,
      reply: () => ({ refused: true }),
    })
    const records = Array.from({ length: 10 }, (_, id) => ({ input: { id } }))
    await engine.clock.runUntil(engine.hf.submitMany(slowlyPrepared, records))
    const worker = engine.hf.startWorker()
    await engine.clock.advance(1)
    expect(breakerChanges(engine, 'crm:PUT /contacts')).toMatchObject([{ to: 'open' }])
    expect(worker.inFlight).toBe(5)
    // The other five are in the hands of the worker already when they are refused.
    const refusedAtMs = engine.clock.wallMs()
    prepared.resolve()
    await engine.clock.advance(1)
    expect(engine.api.requests).toHaveLength(5)
    expect(worker.inFlight).toBe(0)
    const { rows } = await engine.hf.operations.items({ states: ['parked'] })
    expect(rows).toHaveLength(5)
    for (const row of rows) {
      expect(row).toMatchObject({ lease: undefined, counters: { attempts: 0, deferrals: 1 } })
      expect(row.dueAtMs).toBeGreaterThan(refusedAtMs + OPEN_MS - 10)
    }
    engine.api.reply = () => ({ status: 200 })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 10, parked: 0 })
    await engine.finish()
  })

  test('R075, R069: a user who waits, through a client or an SDK, is told at once, and no connection is used', async () => {
    const engine = await breakerOpened()
    const atMs = engine.clock.wallMs()
    const sent = engine.api.requests.length
    const calling = thrownBy(engine.hf.client('crm').put('/contacts/11', { body: {}, deadlineMs: 10_000 }))
    const fetching = thrownBy(engine.hf.fetch('crm')(`${CRM.crm.baseUrl}/contacts/12`, { method: 'PUT' }))
    expect(await engine.clock.runUntil(calling)).toMatchObject({
      code: 'breaker_open',
      class: 'held',
      certainty: 'not_sent',
    })
    expect(await engine.clock.runUntil(fetching)).toMatchObject({ cause: { code: 'breaker_open' } })
    expect(engine.clock.wallMs()).toBe(atMs)
    expect(engine.api.requests).toHaveLength(sent)
    engine.api.reply = () => ({ status: 200 })
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })
})

describe('one breaker for a whole API', () => {
  test('R073, R072, D15: endpoints that fail together open it for those that nobody has asked yet; one alone does not', async () => {
    const engine = await testEngine({ integrations: ONE_API })
    const crm = engine.hf.client('crm')
    const down = new Set(['/contacts'])
    engine.api.reply = ({ path }) => ({ status: down.has(path) ? 503 : 200 })
    const call = (path: string) => engine.clock.runUntil(crm.get(path, { deadlineMs: 1 }).catch((error) => error))

    for (let round = 0; round < 5; round++) await call('/contacts')
    expect(await call('/contacts')).toMatchObject({ code: 'breaker_open' })
    expect(await call('/deals')).toMatchObject({ status: 200 })

    for (const path of ['/deals', '/notes']) {
      down.add(path)
      for (let round = 0; round < 5; round++) await call(path)
    }
    const sent = engine.api.requests.length
    expect(await call('/tickets')).toMatchObject({ code: 'breaker_open' })
    expect(engine.api.requests).toHaveLength(sent)
    const open = (await engine.clock.runUntil(engine.hf.operations.breakers())).filter(({ phase }) => phase === 'open')
    expect(open.map(({ key }) => key)).toContain('crm')
    await engine.finish()
  })
})

describe('whoever listens', () => {
  test('R077: hears each change once, when it happens, with its reason and until when; so can log, count and alert', async () => {
    const engine = await breakerOpened()
    const startMs = engine.clock.wallMs()
    const heard: string[] = []
    engine.hf.events.on('breaker.changed', ({ key, to }) => {
      if (key === 'crm:PUT /contacts/{id}') heard.push(to)
    })
    await engine.clock.advance(OPEN_MS + 1000)
    engine.api.reply = () => ({ status: 200 })
    await engine.clock.runUntil(engine.hf.drain())
    await engine.clock.advance(60_000)

    const changes = breakerChanges(engine, 'crm:PUT /contacts/{id}')
    expect(changes.map(({ from, to }) => `${from} -> ${to}`)).toEqual([
      'closed -> open',
      'open -> half_open',
      'half_open -> open',
      'open -> half_open',
      'half_open -> ramping',
      'ramping -> closed',
    ])
    expect(heard).toEqual(changes.slice(1).map(({ to }) => to))
    const [opened, , reopened] = changes
    expect(opened?.atMs).toBeLessThanOrEqual(startMs)
    expect(opened?.reason).toContain('ECONNREFUSED')
    expect(opened?.untilMs).toBe((opened?.atMs ?? 0) + OPEN_MS)
    expect(reopened?.untilMs).toBe((reopened?.atMs ?? 0) + 2 * OPEN_MS)
    await engine.finish()
  })
})
