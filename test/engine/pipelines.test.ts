import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { testEngine } from '../support/engine.ts'

const lead = z.object({ email: z.string(), company: z.string().optional() })

const chain = definePipeline('chain', { input: lead })
  .step('first', { safe: true, run: ({ input }) => ({ upper: input.email.toUpperCase() }) })
  .step('second', { after: ['first'], safe: true, run: ({ outputs }) => ({ length: outputs.first.upper.length }) })
  .step('third', {
    after: ['second'],
    integration: 'crm',
    request: {
      method: 'POST',
      path: '/contacts',
      body: ({ input, outputs }) => ({ ...input, length: outputs.second.length }),
    },
  })

describe('pipelines', () => {
  test('R114: steps run in order, each with what those before it gave', async () => {
    const engine = await testEngine({ pipelines: [chain] })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(chain, { email: 'ada@example.com' }, { key: 'ada' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(3)
    expect(engine.api.effects.map((effect) => effect.body)).toEqual([{ email: 'ada@example.com', length: 15 }])
    const run = await engine.hf.operations.run(runId)
    expect(run?.items.map((item) => [item.step, item.state])).toEqual(
      expect.arrayContaining([
        ['first', 'succeeded'],
        ['second', 'succeeded'],
        ['third', 'succeeded'],
      ]),
    )
    await engine.finish()
  })

  test('R079, R100: the same key twice changes nothing; with other data it is refused', async () => {
    const engine = await testEngine({ pipelines: [chain] })
    engine.hf.startWorker()
    const first = await engine.hf.submit(chain, { email: 'ada@example.com' }, { key: 'ada' })
    const second = await engine.hf.submit(chain, { email: 'ada@example.com' }, { key: 'ada' })
    expect(second).toEqual({ ok: true, runId: first.runId, duplicate: true })
    await expect(engine.hf.submit(chain, { email: 'other@example.com' }, { key: 'ada' })).rejects.toMatchObject({
      code: 'key_conflict',
    })
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.effects).toHaveLength(1)
    await engine.finish()
  })

  test('a record that the schema refuses is refused before anything is stored, and stops no other', async () => {
    const engine = await testEngine({ pipelines: [chain] })
    const receipts = await engine.hf.submitMany(chain, [
      { input: { email: 'good@example.com' } },
      { input: { email: 7 } as never },
      { input: { email: 'x'.repeat(5 * 1024 * 1024) } },
    ])
    expect(receipts.map((receipt) => (receipt.ok ? 'accepted' : receipt.error.code))).toEqual([
      'accepted',
      'invalid_input',
      'payload_too_large',
    ])
    expect((await engine.hf.operations.balance()).accepted).toBe(3)
    await engine.finish()
  })

  test('R107, R108: many records at once are as many items, each with its own end; bad ones stop none of the good', async () => {
    const engine = await testEngine({ pipelines: [chain] })
    const isBad = (email: string) => Number(email) % 10 === 0
    engine.api.reply = ({ body }) => ({ status: isBad((body as { email: string }).email) ? 422 : 201 })
    engine.hf.startWorker()
    const records = Array.from({ length: 100 }, (_, index) => ({ input: { email: String(index) } }))
    await engine.clock.runUntil(engine.hf.submitMany(chain, records))
    const balance = await engine.clock.runUntil(engine.hf.drain({ pipeline: 'chain' }))
    expect(balance).toMatchObject({ accepted: 300, states: { succeeded: 290, dead_lettered: 10 } })
    const { rows } = await engine.hf.operations.items({ states: ['dead_lettered'] })
    const refused = await Promise.all(rows.map(({ itemId }) => engine.hf.operations.item(itemId)))
    expect(refused.map((item) => item?.input)).toEqual(
      expect.arrayContaining(records.map(({ input }) => input).filter(({ email }) => isBad(email))),
    )
    await engine.finish()
  })

  test('R076: a step whose API is down holds up only what depends on it', async () => {
    const fork = definePipeline('fork', { input: lead })
      .step('crm', {
        integration: 'crm',
        request: { method: 'PUT', path: '/contacts/{email}', params: ({ input }) => ({ email: input.email }) },
      })
      .step('local', { safe: true, run: () => 'done' })
      .step('after-crm', { after: ['crm'], safe: true, run: () => 'done' })
    const engine = await testEngine({ pipelines: [fork], reply: () => ({ refused: true }) })
    engine.hf.startWorker()
    for (let index = 0; index < 20; index++) await engine.hf.submit(fork, { email: `${index}@example.com` })
    await engine.clock.advance(2000)
    const { rows } = await engine.hf.operations.items({ pipeline: 'fork', step: 'local' }, { limit: 100 })
    expect(rows.map((row) => row.state)).toEqual(Array.from({ length: 20 }, () => 'succeeded'))
    const waiting = await engine.hf.operations.items({ step: 'after-crm' }, { limit: 100 })
    expect(new Set(waiting.rows.map((row) => row.state))).toEqual(new Set(['waiting']))
    await engine.finish()
  })

  test('optional steps degrade a run instead of stopping it', async () => {
    const degraded = definePipeline('degraded', { input: lead })
      .step('enrich', { integration: 'crm', optional: true, request: { method: 'GET', path: '/enrich' } })
      .step('score', {
        after: ['enrich'],
        safe: true,
        run: ({ outputs }) => ({ enriched: outputs.enrich !== undefined }),
      })
    const engine = await testEngine({ pipelines: [degraded], reply: () => ({ status: 404, body: {} }) })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(degraded, { email: 'ada@example.com' })
    await engine.clock.runUntil(engine.hf.drain())
    const score = await engine.hf.operations.item(`${runId}.score`)
    expect(score).toMatchObject({ state: 'succeeded', output: { enriched: false } })
    await engine.finish()
  })

  test('R089, R092: two runs that name the same operation have the effect once', async () => {
    const greet = definePipeline('greet', { input: lead }).step('mail', {
      integration: 'crm',
      request: { method: 'POST', path: '/mails', body: ({ input }) => ({ to: input.email }) },
      operation: ({ input }) => `welcome ${input.email}`,
    })
    const engine = await testEngine({ pipelines: [greet] })
    engine.hf.startWorker()
    await engine.hf.submit(greet, { email: 'ada@example.com' })
    await engine.hf.submit(greet, { email: 'ada@example.com' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(2)
    expect(engine.api.effects).toHaveLength(1)
    await engine.finish()
  })

  test('a step that throws, hangs or returns rubbish ends as a dead letter with a reason, and stops no other', async () => {
    const odd = definePipeline('odd', { input: lead })
      .step('throws', {
        safe: true,
        run: () => {
          throw new TypeError('undefined is not a function')
        },
      })
      .step('hangs', { safe: true, timeout: '5s', maxAttempts: 2, run: () => new Promise(() => {}) })
      .step('rubbish', { safe: true, run: () => ({ big: 10n }) })
      .step('fine', { safe: true, run: () => 'fine' })
    const engine = await testEngine({ pipelines: [odd] })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(odd, { email: 'ada@example.com' })
    await engine.clock.runUntil(engine.hf.drain())
    const codes = await Promise.all(
      ['throws', 'hangs', 'rubbish', 'fine'].map(async (step) => {
        const item = await engine.hf.operations.item(`${runId}.${step}`)
        return [step, item?.state, item?.attempts.at(-1)?.failure?.code]
      }),
    )
    expect(codes).toEqual([
      ['throws', 'dead_lettered', expect.any(String)],
      ['hangs', 'dead_lettered', 'step_timeout'],
      ['rubbish', 'dead_lettered', 'step_output_invalid'],
      ['fine', 'succeeded', undefined],
    ])
    await engine.finish()
  })

  test('a run is announced once: when it is on disk, and not when it is handed in again', async () => {
    const note = definePipeline<{ id: number }>('note').step('write', { run: () => null })
    const engine = await testEngine({ pipelines: [note] })
    for (let time = 0; time < 2; time++) await engine.hf.submit(note, { id: 1 }, { key: 'one' })
    const accepted = engine.events.filter((event) => event.type === 'run.accepted')
    expect(accepted).toMatchObject([{ pipeline: 'note', tenant: 'default', key: 'one', items: 1 }])
    await engine.finish()
  })
})
