/** Answers that lie: a good status, and not what was promised (R027-R029, D07). */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ConfigInput } from '../../src/config/define.ts'
import { type AnyPipeline, definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { FaultKind } from '../../src/testing/faults/fault.ts'
import { createTestbed, type Testbed } from '../../src/testing/testbed/testbed.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { route } from '../../src/testing/twin/route.ts'
import { CRM, testEngine } from '../support/engine.ts'

interface Lead {
  readonly email: string
}

const contact = z.object({ id: z.string(), email: z.string() })
const crm = { baseUrl: 'https://crm.test', limits: { concurrency: 2 } } as const

const read = definePipeline<Lead>('read').step('crm', {
  integration: 'crm',
  request: { method: 'GET', path: '/one' },
  response: contact,
})
const write = definePipeline<Lead>('write').step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  response: contact,
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: ({ data }) => (data as { results: z.infer<typeof contact>[] }).results[0],
  },
})
const routes = [
  route('GET', '/one', { apply: () => ({ status: 200, body: { id: '1', email: 'ada' } }) }),
  ...resource('/contacts'),
]
/** Each arrives with status 200. */
const LIES = ['html_ok', 'empty_body', 'malformed_json', 'truncated_body'] as const satisfies readonly FaultKind[]

async function bedFor(pipelines: readonly AnyPipeline[]): Promise<Testbed<'crm'>> {
  return createTestbed({ integrations: { crm }, pipelines: pipelines as never, apis: { crm: { routes } } })
}

describe('a 200 that is not what was promised', () => {
  test.for(LIES)('R027, D07: a read is asked again: %s', async (lie) => {
    await using bed = await bedFor([read])
    bed.twins.crm.script('GET /one', [lie, lie])
    const { runId } = await bed.hf.submit(read, { email: 'ada' })
    expect((await bed.drain()).states.succeeded).toBe(1)
    expect(await bed.hf.operations.item(`${runId}.crm`)).toMatchObject({
      counters: { attempts: 3 },
      output: { id: '1', email: 'ada' },
    })
  })

  test('R027, R028: a read that goes on lying ends as a dead letter after two retries, and stops nobody else', async () => {
    await using bed = await bedFor([read, write])
    bed.twins.crm.script('GET /one', ['html_ok', 'html_ok', 'html_ok'])
    const { runId } = await bed.hf.submit(read, { email: 'ada' })
    await bed.hf.submit(write, { email: 'grace' })
    expect((await bed.drain()).states).toMatchObject({ succeeded: 1, dead_lettered: 1 })
    const item = await bed.hf.operations.item(`${runId}.crm`)
    expect(item?.attempts.map(({ failure }) => failure?.code)).toEqual(Array(3).fill('html_response'))
  })

  test.for(LIES)('R027, D07, rule 3: a write is never sent again blindly, it is looked for: %s', async (lie) => {
    await using bed = await bedFor([write])
    bed.twins.crm.script('POST /contacts', [{ kind: lie, executed: true }])
    await bed.hf.submit(write, { email: 'ada' })
    expect((await bed.drain()).states.succeeded).toBe(1)
    expect(bed.twins.crm.effects).toHaveLength(1)
    expect(bed.twins.crm.duplicates()).toEqual([])
  })

  test('R027: a body of another shape is no success, and says which field is wrong', async () => {
    const engine = await testEngine({ pipelines: [write], reply: () => ({ status: 201, body: { id: 7 } }) })
    engine.api.reply = ({ method }) =>
      method === 'GET' ? { status: 200, body: { results: [] } } : { status: 201, body: { id: 7 } }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(write, { email: 'ada' })
    await engine.clock.advance(1000)
    const item = await engine.hf.operations.item(`${runId}.crm`)
    expect(item).toMatchObject({ state: 'unknown_outcome' })
    expect(item?.attempts[0]?.failure).toMatchObject({ class: 'malformed_response', certainty: 'applied' })
    expect(item?.attempts[0]?.failure?.message).toContain('id: ')
    await engine.finish()
  })

  test('R028: a `parse` that throws, or a schema that does, ends its item and no worker', async () => {
    const thrower = definePipeline<Lead>('thrower').step('crm', {
      integration: 'crm',
      request: { method: 'GET', path: '/one' },
      parse: ({ data }) => (data as { nobody: { id: string } }).nobody.id,
    })
    const engine = await testEngine({ pipelines: [thrower, read] })
    engine.api.reply = () => ({ status: 200, body: { id: '1', email: 'ada' } })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(thrower, { email: 'ada' })
    await engine.hf.submit(read, { email: 'ada' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 1, dead_lettered: 1 })
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      counters: { attempts: 3, crashes: 0 },
      deadLetter: { summary: expect.stringContaining('malformed_response') },
    })
    await engine.finish()
  })
})

describe('a 200 with an error inside', () => {
  const rules = {
    crm: {
      ...CRM.crm,
      errors: [
        { status: 200, code: 'ratelimited', class: 'rate_limited' },
        { status: 200, code: 'invalid_email', class: 'validation', hint: 'Correct the e-mail.' },
      ],
    },
  } satisfies ConfigInput['integrations']

  test('R029: what the rules name is a failure like any other: throttled and back, or refused with its hint', async () => {
    const engine = await testEngine({ pipelines: [write], integrations: rules })
    engine.api.reply = ({ body, method }, count) => {
      if (method === 'GET') return { status: 200, body: { results: [] } }
      const { email } = body as Lead
      if (email === 'bad') return { status: 200, body: { ok: false, error: 'invalid_email' } }
      if (count === 1)
        return { status: 200, body: { ok: false, error: 'ratelimited' }, headers: { 'retry-after': '20' } }
      return { status: 200, body: { id: '1', email } }
    }
    engine.hf.startWorker()
    await engine.hf.submit(write, { email: 'ada' })
    const { runId } = await engine.hf.submit(write, { email: 'bad' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 1, dead_lettered: 1 })
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      deadLetter: { cause: 'data', hint: 'Correct the e-mail.' },
    })
    await engine.finish()
  })

  test('R029: a part that is missing from a good answer is seen by the schema, each part being a step of its own', async () => {
    // One call that does two things, and may do only one of them.
    const both = definePipeline<Lead>('both', { onFailure: 'compensate' })
      .step('create', {
        integration: 'crm',
        request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
        parse: ({ data }) => data as { id: string; listed?: boolean },
        compensate: {
          request: { method: 'DELETE', path: '/contacts/{id}', params: ({ output }) => ({ id: output.id }) },
        },
      })
      .step('listed', {
        after: ['create'],
        safe: true,
        maxAttempts: 1,
        run: ({ outputs }) => {
          if (!outputs.create.listed) throw new Error('created, but not put on the list')
        },
      })
    const engine = await testEngine({ pipelines: [both] })
    engine.api.reply = ({ method, body }) =>
      method === 'DELETE'
        ? { status: 204 }
        : { status: 200, body: { id: 'c-7', listed: (body as Lead).email === 'ada' } }
    engine.hf.startWorker()
    for (const email of ['ada', 'grace']) await engine.hf.submit(both, { email })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ succeeded: 4, discarded: 1 })
    expect(engine.api.requests.map(({ method }) => method).sort()).toEqual(['DELETE', 'POST', 'POST'])
    await engine.finish()
  })
})
