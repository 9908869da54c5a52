import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const lead = z.object({ email: z.string(), company: z.string().optional() })

const onboard = definePipeline('onboard', { input: lead })
  .step('crm', {
    integration: 'crm',
    request: {
      method: 'PUT',
      path: '/contacts/{email}',
      params: ({ input }) => ({ email: input.email }),
      body: ({ input }) => input,
    },
  })
  .step('welcome', { after: ['crm'], safe: true, run: () => 'welcome' })

/** An API that insists on a company. */
function picky(engine: TestEngine): void {
  engine.api.reply = (request) =>
    (request.body as { company?: string }).company
      ? { status: 200, body: { id: '1' } }
      : { status: 422, body: { error: { code: 'field_required', message: 'company is required', field: 'company' } } }
}

async function withDeadLetters(count: number): Promise<TestEngine & { runIds: string[] }> {
  const engine = await testEngine({ pipelines: [onboard] })
  picky(engine)
  engine.hf.startWorker()
  const runIds: string[] = []
  for (let index = 0; index < count; index++) {
    const { runId } = await engine.hf.submit(onboard, { email: `lead-${index}@example.com` })
    runIds.push(runId)
  }
  await engine.clock.runUntil(engine.hf.drain())
  return { ...engine, runIds }
}

describe('dead letters', () => {
  test('R113, R130-R132: at once, without a retry, with everything a person needs', async () => {
    const engine = await withDeadLetters(1)
    expect(engine.api.requests).toHaveLength(1)
    const item = await engine.hf.operations.item(`${engine.runIds[0]}.crm`)
    expect(item).toMatchObject({
      state: 'dead_lettered',
      input: { email: 'lead-0@example.com' },
      dependents: ['welcome'],
      counters: { attempts: 1 },
    })
    expect(item?.deadLetter?.summary).toContain('company')
    expect(item?.deadLetter?.hint).toContain('company')
    expect(item?.attempts[0]?.failure).toMatchObject({
      class: 'validation',
      status: 422,
      certainty: 'not_sent',
      subject: 'company',
    })
    expect(item?.firstAttemptAtMs).toBeTypeOf('number')
    const explanation = await engine.hf.operations.explain(`${engine.runIds[0]}.crm`)
    expect(explanation?.headline).toContain('is a dead letter after 1 attempt')
    await engine.finish()
  })

  test('R134: the same cause is one group, whatever the values', async () => {
    const engine = await withDeadLetters(10)
    const groups = await engine.hf.operations.groups()
    expect(groups).toHaveLength(1)
    expect(groups[0]).toMatchObject({ count: 10, cause: 'data', pipelines: ['onboard'] })
    await engine.finish()
  })

  test('R136, R137: replay with an edited payload; the original stays beside it; what waited goes on', async () => {
    const engine = await withDeadLetters(3)
    const [group] = await engine.hf.operations.groups()
    const selection = { fingerprint: group?.fingerprint ?? '' }
    const patch = { company: 'Acme' }
    const plan = await engine.hf.operations.replay({ selection, by: 'test', patch, dryRun: true })
    expect(plan).toMatchObject({ selected: 3, replayed: 0, dryRun: true })
    expect(plan.samples[0]).toMatchObject({ after: { company: 'Acme' } })
    expect(engine.api.requests).toHaveLength(3)

    const report = await engine.clock.runUntil(engine.hf.operations.replay({ selection, by: 'test', patch }))
    expect(report).toMatchObject({ selected: 3, replayed: 3, refused: [] })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(6)
    const item = await engine.hf.operations.item(`${engine.runIds[0]}.crm`)
    expect(item).toMatchObject({ input: { email: 'lead-0@example.com' }, counters: { attempts: 2, replays: 1 } })
    expect(item?.edits).toMatchObject([{ input: { email: 'lead-0@example.com', company: 'Acme' }, by: 'test' }])
    await engine.finish()
  })

  test('R135: a canary that fails stops the replay before the rest is touched', async () => {
    const engine = await withDeadLetters(20)
    const [group] = await engine.hf.operations.groups()
    const report = await engine.clock.runUntil(
      engine.hf.operations.replay({ selection: { fingerprint: group?.fingerprint ?? '' }, by: 'test', canary: 2 }),
    )
    expect(report.stopped?.why).toContain('dead_lettered')
    expect(report.replayed).toBe(2)
    expect(engine.api.requests).toHaveLength(22)
    await engine.finish()
  })

  test('R135: a canary that holds lets the rest go', async () => {
    const engine = await withDeadLetters(20)
    const [group] = await engine.hf.operations.groups()
    const report = await engine.clock.runUntil(
      engine.hf.operations.replay({
        selection: { fingerprint: group?.fingerprint ?? '' },
        by: 'test',
        canary: 2,
        patch: { company: 'Acme' },
      }),
    )
    expect(report).toMatchObject({ replayed: 20, stopped: undefined })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(40)
    await engine.finish()
  })

  test('discarding needs a reason, ends the item and what only waited for it', async () => {
    const engine = await withDeadLetters(2)
    const selection = { itemIds: [`${engine.runIds[0]}.crm`] }
    await expect(engine.hf.operations.discard(selection, ' ', 'test')).rejects.toMatchObject({ code: 'reason_missing' })
    await engine.hf.operations.discard(selection, 'a test lead', 'test')
    const run = await engine.hf.operations.run(engine.runIds[0] ?? '')
    expect(run?.items.map((item) => item.state)).toEqual(['discarded', 'discarded'])
    expect((await engine.hf.operations.item(`${engine.runIds[0]}.crm`))?.operations.at(-1)).toMatchObject({
      by: 'test',
      note: expect.stringContaining('a test lead'),
    })
    await engine.finish()
  })

  test('R110: which items failed, why, and what was done about each can be asked for, to the end and after it', async () => {
    const engine = await withDeadLetters(3)
    const [first = '', second = ''] = engine.runIds.map((runId) => `${runId}.crm`)
    const { operations } = engine.hf
    await operations.replay({ selection: { itemIds: [first] }, by: 'ada', patch: { company: 'Acme' } })
    await operations.replay({ selection: { itemIds: [second] }, by: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    await operations.discard({ itemIds: [second] }, 'a test lead', 'grace')

    const outcomesOf = async (itemId: string) => {
      const item = await operations.item(itemId)
      return item?.attempts.map(({ outcome, failure }) => [outcome, failure?.class, failure?.subject])
    }
    const refused = ['failed', 'validation', 'company']
    expect(await outcomesOf(first)).toEqual([refused, ['succeeded', undefined, undefined]])
    expect(await outcomesOf(second)).toEqual([refused, refused])
    expect((await operations.item(first))?.operations).toMatchObject([{ by: 'ada' }])
    expect((await operations.item(second))?.operations).toMatchObject([
      { by: 'ada' },
      { by: 'grace', note: expect.stringContaining('a test lead') },
    ])
    const left = await operations.items({ states: ['dead_lettered'] })
    expect(left.rows.map(({ itemId }) => itemId)).toEqual([`${engine.runIds[2]}.crm`])
    await engine.finish()
  })

  test('R057: a replay keeps the counters; only the budget begins anew', async () => {
    const engine = await withDeadLetters(1)
    const selection = { itemIds: [`${engine.runIds[0]}.crm`] }
    for (let round = 0; round < 3; round++) {
      await engine.hf.operations.replay({ selection, by: 'test' })
      await engine.clock.runUntil(engine.hf.drain())
    }
    expect(await engine.hf.operations.item(`${engine.runIds[0]}.crm`)).toMatchObject({
      state: 'dead_lettered',
      counters: { attempts: 4, replays: 3 },
    })
    await engine.finish()
  })

  test('cancelling ends what waits and what is queued', async () => {
    const engine = await testEngine({ pipelines: [onboard], reply: () => ({ status: 503 }) })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(onboard, { email: 'ada', company: 'Acme' })
    await engine.clock.advance(100)
    await engine.hf.operations.cancel({ itemIds: [`${runId}.crm`, `${runId}.welcome`] }, 'not wanted', 'test')
    await engine.clock.runUntil(engine.hf.drain())
    const run = await engine.hf.operations.run(runId)
    expect(run?.items.map((item) => item.state)).toEqual(['cancelled', 'cancelled'])
    await engine.finish()
  })
})
