import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { resolveConfig } from '../../src/config/resolve.ts'
import { createCatalog } from '../../src/engine/pipelines/catalog.ts'
import {
  type AnyPipeline,
  definePipeline,
  type StepBatch,
  type StepContext,
} from '../../src/engine/pipelines/pipeline.ts'
import { CRM, testEngine } from '../support/engine.ts'

const lead = z.object({ email: z.string() })
type Lead = z.infer<typeof lead>

const request = {
  method: 'POST',
  path: '/contacts/batch',
  body: ({ input }: { input: Lead }) => input,
} as const

const leads = (count: number) => Array.from({ length: count }, (_, no) => ({ input: { email: `lead-${no}` } }))

function emails(body: unknown): string[] {
  return (body as Lead[]).map(({ email }) => email)
}

function withBatch(batch: StepBatch<StepContext<Lead, Pick<Record<never, never>, never>>>, more: object = {}) {
  return definePipeline('batched', { input: lead }).step('crm', { integration: 'crm', request, batch, ...more })
}

describe('batch steps', () => {
  test('`build` and `split` stand for a shape: other bodies, other answers', async () => {
    const pipeline = withBatch({
      size: 10,
      build: (members) => ({ all: members.map(({ context }) => context.input.email).join(',') }),
      split: (answer, members) =>
        members.map((_, place) => {
          if (place === 1) return { outcome: 'failed', status: 422, code: 'bad', field: 'email' }
          if (place === 2) return { outcome: 'unknown' }
          return { outcome: 'succeeded', data: (answer.data as string[])[place] }
        }),
    })
    const engine = await testEngine({
      pipelines: [pipeline],
      reply: () => ({ status: 200, body: ['a', 'b', 'c', 'd'] }),
    })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(4)))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.requests.map((seen) => seen.body)).toEqual([{ all: 'lead-0,lead-1,lead-2,lead-3' }])
    expect(balance.states).toMatchObject({ succeeded: 2, dead_lettered: 1, unknown_outcome: 1 })
    await engine.finish()
  })

  test.for([
    ['throws', () => JSON.parse('{')],
    ['miscounts', () => [{ outcome: 'succeeded' }]],
  ] as const)('rule 3: a `split` that %s tells nothing: nobody succeeds', async ([_what, split]) => {
    const pipeline = withBatch({ size: 10, shape: 'json-array', split: split as never })
    const engine = await testEngine({ pipelines: [pipeline] })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(3)))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance).toMatchObject({ states: { unknown_outcome: 3 }, needsPerson: 3 })
    expect(engine.api.requests).toHaveLength(1)
    await engine.finish()
  })

  test('R108: a record whose request cannot be built, or put into the body, keeps no other out', async () => {
    const pipeline = definePipeline('fragile', { input: lead }).step('crm', {
      integration: 'crm',
      request: {
        ...request,
        body: ({ input }) => {
          if (input.email === 'lead-2') throw new Error('no such lead')
          return input
        },
      },
      batch: {
        size: 10,
        shape: 'json-array',
        build: (members) => {
          if (members.some(({ context }) => context.input.email === 'lead-4')) throw new Error('cannot be joined')
          return members.map(({ record }) => record)
        },
      },
    })
    const engine = await testEngine({ pipelines: [pipeline] })
    engine.api.reply = ({ body }) => ({ status: 200, body: emails(body).map(() => ({ status: 200 })) })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(6)))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 4, dead_lettered: 2 })
    await engine.finish()
  })

  test('D05: a record that is there already, under the same natural key, is done', async () => {
    const pipeline = withBatch({ size: 10, shape: 'json-array' }, { idempotency: { kind: 'natural', field: 'email' } })
    const engine = await testEngine({ pipelines: [pipeline] })
    engine.api.reply = ({ body }) => ({
      status: 200,
      body: emails(body).map((email) =>
        email === 'lead-1' ? { status: 409, error: { code: 'already_exists', message: 'exists' } } : { status: 201 },
      ),
    })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(3)))
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(3)
    await engine.finish()
  })

  test("R022: the integration's rules judge each record, and do not mistake the code of one for that of the call", async () => {
    const pipeline = withBatch({ size: 10, shape: 'json-array' }, { idempotency: { kind: 'safe' } })
    const engine = await testEngine({
      pipelines: [pipeline],
      integrations: { crm: { ...CRM.crm, errors: [{ code: 'LOCKED', class: 'transient', hint: 'wait' }] } },
    })
    engine.api.reply = ({ body }, count) => ({
      status: 200,
      body: emails(body).map((email) =>
        email === 'lead-1' && count === 1 ? { status: 400, error: { code: 'LOCKED' } } : { status: 200 },
      ),
    })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(3)))
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(3)
    expect(engine.api.requests.map((seen) => emails(seen.body))).toEqual([['lead-0', 'lead-1', 'lead-2'], ['lead-1']])
    await engine.finish()
  })

  test('R027: `response` holds for the part of each record: what does not fit is not a success', async () => {
    const pipeline = withBatch({ size: 10, shape: 'json-array' }, { response: z.object({ id: z.string() }) })
    const engine = await testEngine({ pipelines: [pipeline] })
    engine.api.reply = ({ body }) => ({
      status: 200,
      body: emails(body).map((email) => (email === 'lead-1' ? { status: 201 } : { status: 201, id: email })),
    })
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(3)))
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states).toMatchObject({ succeeded: 2, unknown_outcome: 1 })
    await engine.finish()
  })

  test('one call counts once at the limiter; records of tenants never share one', async () => {
    const pipeline = withBatch({ size: 20, shape: 'json-array' })
    const engine = await testEngine({
      pipelines: [pipeline],
      integrations: { crm: { ...CRM.crm, limits: { concurrency: 10, rate: '5/10s' } } },
    })
    engine.api.reply = ({ body }) => ({ status: 200, body: emails(body).map(() => ({ status: 200 })) })
    const records = leads(100).map((record, no) => ({
      ...record,
      options: { tenant: no % 2 === 0 ? 'acme' : 'zenith' },
    }))
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, records))
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(100)
    for (const { body } of engine.api.requests) {
      expect(new Set(emails(body).map((email) => Number(email.slice(5)) % 2)).size).toBe(1)
    }
    // 50 records each: three calls, which all fit into the first window of the limit.
    expect(engine.api.requests).toHaveLength(6)
    expect(engine.clock.monotonicMs()).toBeLessThan(10_000)
    await engine.finish()
  })

  test('R058: single calls of the same credential are not starved by batches', async () => {
    const single = definePipeline('single', { input: lead }).step('read', {
      integration: 'crm',
      request: { method: 'GET', path: '/one' },
    })
    const pipeline = withBatch({ size: 50, linger: 0, shape: 'json-array' })
    const engine = await testEngine({
      pipelines: [pipeline, single],
      integrations: { crm: { ...CRM.crm, limits: { concurrency: 2 } } },
    })
    engine.api.reply = ({ method, body }) =>
      method === 'GET'
        ? { status: 200, body: {} }
        : { status: 200, delayMs: 1000, body: emails(body).map(() => ({ status: 200 })) }
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(2000)))
    engine.hf.startWorker()
    await engine.clock.advance(1500)
    await engine.clock.runUntil(engine.hf.submitMany(single, leads(10)))
    await engine.clock.runUntil(engine.hf.drain({ pipeline: 'single' }))
    expect((await engine.hf.operations.balance({ pipeline: 'batched' })).states.queued).toBeGreaterThan(500)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('a search that is held up half-way goes on where it was', async () => {
    const pipeline = withBatch({ size: 32, shape: 'json-array' })
    const engine = await testEngine({ pipelines: [pipeline] })
    let calls = 0
    engine.api.reply = ({ body }) => {
      calls += 1
      if (calls === 3) return { status: 429, headers: { 'retry-after': '60' } }
      if (emails(body).includes('lead-0')) return { status: 400, body: { code: 'bad' } }
      return { status: 200, body: emails(body).map(() => ({ status: 200 })) }
    }
    await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(32)))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 31, dead_lettered: 1 })
    // 32, 16 refused, 8 throttled: none of them shares a larger call again.
    for (const { body } of engine.api.requests.slice(2)) expect(emails(body).length).toBeLessThanOrEqual(16)
    await engine.finish()
  })

  test.for([
    ['says how', { size: 10 }, {}, 'does not say how the API takes'],
    [
      'has records',
      { size: 10, shape: 'json-array' },
      { request: { method: 'POST', path: '/x' } },
      '"request.body" is missing',
    ],
    [
      'has no key for the whole call',
      { size: 10, shape: 'json-array' },
      { idempotency: { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 1000 } },
      'a batch has many operations',
    ],
  ] as const)('R081: a batch step %s, else it is refused at start', ([_what, batch, more, message]) => {
    const { integrations } = resolveConfig({ integrations: CRM }, { env: {}, baseDirectory: '/' })
    const pipeline = withBatch(batch, more) as AnyPipeline
    expect(() => createCatalog(integrations, [pipeline])).toThrow(message)
  })
})
