import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePipeline, type PipelineOf } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, type TestEngine, testEngine } from '../support/engine.ts'
import type { Reply, SeenRequest } from '../support/scripted-api.ts'

const lead = z.object({ email: z.string(), text: z.string().optional() })
type Lead = z.infer<typeof lead>

/** An upsert by e-mail: repeating it is safe. */
const upsert = definePipeline('upsert', { input: lead }).step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
  idempotency: { kind: 'safe' },
  batch: { size: 100, linger: '50ms', shape: 'json-array' },
})

/** A plain create, which nothing makes safe to repeat. */
const create = definePipeline('create', { input: lead }).step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
  batch: { size: 100, linger: '50ms', shape: 'json-array' },
})

function leads(count: number): { input: Lead }[] {
  return Array.from({ length: count }, (_, index) => ({ input: { email: `lead-${index}` } }))
}

function recordsOf(request: SeenRequest): Lead[] {
  return request.body as Lead[]
}

function emailsOf(requests: readonly SeenRequest[]): string[][] {
  return requests.map((request) => recordsOf(request).map((record) => record.email))
}

async function submitAndDrain(engine: TestEngine, pipeline: PipelineOf<Lead>, count: number) {
  await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(count)))
  engine.hf.startWorker()
  return engine.clock.runUntil(engine.hf.drain())
}

async function itemOf(engine: TestEngine, index: number) {
  const { rows } = await engine.hf.operations.items({}, { limit: 1000 })
  for (const row of rows) {
    const item = await engine.hf.operations.item(row.itemId)
    if ((item?.input as Lead | undefined)?.email === `lead-${index}`) return item
  }
  return undefined
}

const created = (request: SeenRequest): Reply => ({
  status: 200,
  body: recordsOf(request).map((record) => ({ id: `c-${record.email}`, status: 201 })),
})

describe('batches', () => {
  test('records share calls of the size that was asked for, each ends by itself with its own part of the answer', async () => {
    const engine = await testEngine({ pipelines: [upsert], reply: created })
    const balance = await submitAndDrain(engine, upsert, 250)
    expect(balance.states.succeeded).toBe(250)
    expect(engine.api.requests.map((request) => recordsOf(request).length)).toEqual([100, 100, 50])
    const item = await itemOf(engine, 7)
    expect(item).toMatchObject({
      output: { id: 'c-lead-7', status: 201 },
      counters: { attempts: 1 },
      attempts: [{ outcome: 'succeeded', note: 'sent with 99 others in one call' }],
    })
    await engine.finish()
  })

  test('R121, R122: of 100 records, 97 are done, two throttled ones come back by themselves, one that is invalid is alone', async () => {
    const engine = await testEngine({ pipelines: [upsert] })
    engine.api.reply = (request, count) => {
      if (count > 1) return created(request)
      const body = recordsOf(request).map(({ email }) => {
        if (email === 'lead-10' || email === 'lead-60') return { status: 429, error: 'slow down', retryAfter: 30 }
        if (email === 'lead-33')
          return { status: 422, error: { code: 'INVALID_EMAIL', message: 'no e-mail', field: 'email' } }
        return { id: email, status: 201 }
      })
      return { status: 207, body }
    }
    const startMs = engine.clock.wallMs()
    const balance = await submitAndDrain(engine, upsert, 100)
    expect(balance).toMatchObject({ states: { succeeded: 99, dead_lettered: 1 }, needsPerson: 1 })
    expect(emailsOf(engine.api.requests.slice(1)).flat().sort()).toEqual(['lead-10', 'lead-60'])
    for (const request of engine.api.requests.slice(1)) expect(request.atMs - startMs).toBeGreaterThanOrEqual(30_000)
    // R046: the throttled try used no attempt.
    expect(await itemOf(engine, 60)).toMatchObject({ counters: { attempts: 1, deferrals: 1 } })
    expect(await itemOf(engine, 33)).toMatchObject({
      state: 'dead_lettered',
      deadLetter: { cause: 'data', summary: expect.stringContaining('INVALID_EMAIL') },
      attempts: [{ failure: { class: 'validation', subject: 'email', status: 422 } }],
    })
    await engine.finish()
  })

  test('waiting for company costs no worker and no lease, and never takes longer than the linger', async () => {
    const engine = await testEngine({
      pipelines: [upsert],
      reply: created,
      settings: { concurrency: 1 },
    })
    engine.hf.startWorker()
    const startMs = engine.clock.wallMs()
    for (let index = 0; index < 5; index++) {
      await engine.hf.submit(upsert, { email: `lead-${index}` })
      await engine.clock.advance(8)
    }
    expect((await engine.hf.operations.balance()).states).toMatchObject({ queued: 5, processing: 0 })
    await engine.clock.runUntil(engine.hf.drain())
    expect(emailsOf(engine.api.requests)).toEqual([['lead-0', 'lead-1', 'lead-2', 'lead-3', 'lead-4']])
    expect((engine.api.requests[0]?.atMs ?? 0) - startMs).toBeGreaterThanOrEqual(50)
    expect((engine.api.requests[0]?.atMs ?? 0) - startMs).toBeLessThanOrEqual(55)
    await engine.finish()
  })

  test('what fills a call does not wait; the rest does, no longer than the linger', async () => {
    const patient = definePipeline('patient', { input: lead }).step('crm', {
      integration: 'crm',
      request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
      batch: { size: 100, linger: '10s', shape: 'json-array' },
    })
    const engine = await testEngine({ pipelines: [patient], reply: created })
    engine.hf.startWorker()
    const startMs = engine.clock.wallMs()
    await engine.clock.runUntil(engine.hf.submitMany(patient, leads(250)))
    await engine.clock.runUntil(engine.hf.drain())
    const calls = engine.api.requests.map((request) => [recordsOf(request).length, request.atMs - startMs >= 10_000])
    expect(calls).toEqual([
      [100, false],
      [100, false],
      [50, true],
    ])
    expect(engine.clock.monotonicMs()).toBeLessThan(10_500)
    await engine.finish()
  })

  test('one worker place carries one call, however many records it has', async () => {
    let underWay = 0
    let most = 0
    const engine = await testEngine({
      pipelines: [upsert],
      integrations: { crm: { ...CRM.crm, limits: { concurrency: 3 } } },
      settings: { concurrency: 2 },
    })
    engine.api.reply = (request) => {
      underWay += 1
      most = Math.max(most, underWay)
      engine.clock.setTimer(1000, () => {
        underWay -= 1
      })
      return { ...(created(request) as { status: number }), delayMs: 1000 }
    }
    const balance = await submitAndDrain(engine, upsert, 600)
    expect(balance.states.succeeded).toBe(600)
    expect(most).toBe(2)
    await engine.finish()
  })

  test('R010, R127: a call that is too large is sent again in halves; a record that is too large alone is the only one to end', async () => {
    const engine = await testEngine({ pipelines: [create] })
    engine.api.reply = (request) =>
      recordsOf(request).length > 20 || recordsOf(request).some((record) => record.email === 'lead-5')
        ? { status: 413 }
        : created(request)
    const balance = await submitAndDrain(engine, create, 64)
    expect(balance.states).toMatchObject({ succeeded: 63, dead_lettered: 1 })
    expect(await itemOf(engine, 5)).toMatchObject({ state: 'dead_lettered', counters: { attempts: 1 } })
    expect(engine.api.duplicates()).toBe(0)
    await engine.finish()
  })

  test('a call never has more bytes than were asked for; what is larger alone goes alone', async () => {
    const engine = await testEngine({
      pipelines: [
        definePipeline('bytes', { input: lead }).step('crm', {
          integration: 'crm',
          request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
          batch: { size: 100, bytes: '2KB', shape: 'json-array' },
        }),
      ],
      reply: created,
    })
    const records = leads(60).map(({ input }, index) => ({
      input: { ...input, text: 'x'.repeat(index === 30 ? 5000 : 20 * index) },
    }))
    await engine.clock.runUntil(engine.hf.submitMany('bytes', records))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(60)
    const sizes = engine.api.requests.map((request) => JSON.stringify(request.body).length)
    expect(sizes.filter((size) => size > 2000)).toHaveLength(1)
    expect(engine.api.requests.find((request) => JSON.stringify(request.body).length > 2000)?.body).toHaveLength(1)
    expect(engine.api.requests.length).toBeLessThan(40)
    await engine.finish()
  })

  test.for([0, 31, 63])(
    'R108, R121: the record (%i) for which the API refuses a whole call is found in 2 log2 n calls; the others are not held up',
    async (poison) => {
      const engine = await testEngine({ pipelines: [create] })
      engine.api.reply = (request) =>
        recordsOf(request).some((record) => record.email === `lead-${poison}`)
          ? { status: 400, body: { code: 'BAD_RECORD', message: 'one of the records is wrong' } }
          : created(request)
      const balance = await submitAndDrain(engine, create, 64)
      expect(balance.states).toMatchObject({ succeeded: 63, dead_lettered: 1 })
      expect(engine.api.requests.length).toBeLessThanOrEqual(1 + 2 * Math.log2(64))
      expect(engine.api.duplicates()).toBe(0)
      const culprit = await itemOf(engine, poison)
      expect(culprit).toMatchObject({ state: 'dead_lettered', counters: { attempts: 1 } })
      expect(culprit?.attempts[0]?.note).toBe('sent alone, after a larger call with it was refused')
      await engine.finish()
    },
  )

  test('D06: a record that makes the API stumble is found too, where repeating is safe; an outage is not searched', async () => {
    const engine = await testEngine({
      pipelines: [upsert],
      integrations: {
        crm: { ...CRM.crm, breaker: { consecutiveFailures: 100, minimumCalls: 1000, windowCalls: 1000 } },
      },
    })
    engine.api.reply = (request) =>
      recordsOf(request).some((record) => record.email === 'lead-11') ? { status: 500 } : created(request)
    const balance = await submitAndDrain(engine, upsert, 32)
    expect(balance.states).toMatchObject({ succeeded: 31, dead_lettered: 1 })
    const attempts = await Promise.all([0, 20, 31].map((index) => itemOf(engine, index)))
    for (const item of attempts) expect(item?.counters.attempts).toBe(2)
    const down = await testEngine({ pipelines: [upsert], reply: () => ({ status: 500 }) })
    await down.clock.runUntil(down.hf.submitMany(upsert, leads(32)))
    down.hf.startWorker()
    await down.clock.advance(60_000)
    expect(down.api.requests.length).toBeLessThan(20)
    await down.finish()
    await engine.finish()
  })

  test('rule 4: a call that failed is an attempt of each record, where the search that follows is held up too (seed 18)', async () => {
    const engine = await testEngine({
      pipelines: [upsert],
      integrations: {
        crm: { ...CRM.crm, limits: { ...CRM.crm.limits, rate: '2/1h' }, retry: { base: '1s', jitter: 'none' } },
      },
      reply: () => ({ status: 500 }),
    })
    await engine.clock.runUntil(engine.hf.submitMany(upsert, leads(8)))
    engine.hf.startWorker()
    await engine.clock.advance(60_000)
    expect(engine.api.requests).toHaveLength(2)
    for (const index of [0, 7]) {
      const item = await itemOf(engine, index)
      expect(item?.counters.attempts).toBe(2)
      expect(item?.attempts.map(({ status, note }) => [status, note])).toEqual([
        [500, 'sent with 7 others in one call'],
        [500, 'sent with 7 others in one call'],
      ])
    }
    await engine.finish()
  })

  test('rule 3: a lost answer leaves each record with an unknown outcome where a repeat could double it', async () => {
    const looked = definePipeline('looked', { input: lead }).step('crm', {
      integration: 'crm',
      request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
      batch: { size: 10, shape: 'json-array' },
      reconcile: {
        request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
        match: (answer) => (answer.data as Lead[])[0],
      },
    })
    const engine = await testEngine({ pipelines: [looked, create] })
    // Only the first half of the call was carried out before the connection broke.
    const done = new Set(['lead-0', 'lead-1', 'lead-2', 'lead-3', 'lead-4'])
    let lost = false
    engine.api.reply = (request) => {
      if (request.method === 'GET') {
        const email = decodeURIComponent(request.path.split('email=')[1] ?? '')
        return { status: 200, body: done.has(email) ? [{ email }] : [] }
      }
      if (!lost) {
        lost = true
        return { lost: 'before_execution' }
      }
      for (const { email } of recordsOf(request)) {
        expect(done.has(email)).toBe(false)
        done.add(email)
      }
      return created(request)
    }
    const balance = await submitAndDrain(engine, looked, 10)
    expect(balance.states.succeeded).toBe(10)
    expect(done.size).toBe(10)
    lost = false
    await engine.clock.runUntil(engine.hf.submitMany(create, leads(3)))
    const blind = await engine.clock.runUntil(engine.hf.drain())
    expect(blind).toMatchObject({ needsPerson: 3, states: { unknown_outcome: 3, succeeded: 10 } })
    await engine.finish()
  })

  test('rule 3: a record that the answer does not tell of is never a success: sent again where that is safe, else a person looks', async () => {
    const byId = { size: 10, shape: 'json-array-by-id' } as const
    const step = (kind: 'safe' | 'unsafe') =>
      ({
        integration: 'crm',
        request: { method: 'POST', path: `/${kind}`, body: ({ input }: { input: Lead }) => ({ id: input.email }) },
        idempotency: { kind },
        batch: byId,
      }) as const
    const engine = await testEngine({
      pipelines: [
        definePipeline('safe', { input: lead }).step('crm', step('safe')),
        definePipeline('unsafe', { input: lead }).step('crm', step('unsafe')),
      ],
    })
    engine.api.reply = (request, count) => ({
      status: 200,
      body: (request.body as { id: string }[])
        .filter(({ id }) => count > 1 || id !== 'lead-3')
        .map(({ id }) => ({ id, status: 200 }))
        .reverse(),
    })
    for (const pipeline of ['safe', 'unsafe']) await engine.clock.runUntil(engine.hf.submitMany(pipeline, leads(10)))
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance).toMatchObject({ states: { succeeded: 19, unknown_outcome: 1 }, needsPerson: 1 })
    const repeated = engine.api.requests.filter((request) => request.path === '/safe').at(-1)
    expect(repeated?.body).toEqual([{ id: 'lead-3' }])
    expect(engine.api.requests.filter((request) => request.path === '/unsafe')).toHaveLength(1)
    await engine.finish()
  })

  test('innocents whose work was undone because of another record are sent again without it, and use no attempt', async () => {
    const composite = definePipeline('composite', { input: lead }).step('crm', {
      integration: 'crm',
      request: {
        method: 'POST',
        path: '/composite',
        body: ({ input }) => ({ method: 'POST', url: '/sobjects/Lead', body: input }),
      },
      batch: { size: 25, shape: 'salesforce-composite' },
    })
    const engine = await testEngine({ pipelines: [composite] })
    engine.api.reply = (request) => {
      const sent = (request.body as { compositeRequest: { referenceId: string; body: Lead }[] }).compositeRequest
      const spoilt = sent.some(({ body }) => body.email === 'lead-4')
      const compositeResponse = sent.map(({ referenceId, body }) => {
        if (!spoilt) return { referenceId, httpStatusCode: 201, body: { id: body.email, success: true } }
        const errorCode = body.email === 'lead-4' ? 'REQUIRED_FIELD_MISSING' : 'PROCESSING_HALTED'
        return { referenceId, httpStatusCode: 400, body: [{ errorCode, message: errorCode, fields: ['Name'] }] }
      })
      return { status: 200, body: { compositeResponse } }
    }
    const balance = await submitAndDrain(engine, composite, 10)
    expect(balance.states).toMatchObject({ succeeded: 9, dead_lettered: 1 })
    expect(engine.api.requests).toHaveLength(2)
    expect(await itemOf(engine, 0)).toMatchObject({ counters: { attempts: 1 }, output: { id: 'lead-0' } })
    expect(await itemOf(engine, 4)).toMatchObject({
      state: 'dead_lettered',
      attempts: [{ failure: { code: 'REQUIRED_FIELD_MISSING', subject: 'Name' } }],
    })
    await engine.finish()
  })
})
