/** R018, R031: failures that no rule knows are told of, and collected with the rule that could be written. */
import { describe, expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { testEngine } from '../support/engine.ts'

const sync = definePipeline<{ email: string; status: number; body: object }>('sync').step('crm', {
  integration: 'crm',
  request: {
    method: 'PUT',
    path: '/contacts/{email}',
    params: ({ input }) => ({ email: input.email }),
    body: ({ input }) => input,
  },
})

const integrations = {
  crm: { baseUrl: 'https://crm.test', errors: [{ status: 422, code: 'known', class: 'validation' as const }] },
}

type Sent = { status: number; body: object }

async function engine() {
  return testEngine({
    integrations,
    pipelines: [sync],
    reply: ({ body }) => {
      const { status, body: answer } = body as Sent
      return { status, body: answer }
    },
  })
}

describe('R031: a permanent error of a kind not seen before', () => {
  test('is told of once, and never where a rule knows it', async () => {
    const { hf, clock, events, finish } = await engine()
    hf.startWorker()
    const odd = { status: 422, body: { code: 'odd_thing', message: 'Odd' } }
    const known = { status: 422, body: { code: 'known', message: 'Known' } }
    for (const [index, sent] of [odd, odd, known, odd].entries()) {
      await hf.submit(sync, { email: `a${index}@example.com`, ...sent })
    }
    await clock.runUntil(hf.drain())
    const unseen = events.filter((event) => event.type === 'failure.unseen')
    expect(unseen).toMatchObject([
      { endpoint: 'PUT /contacts/{email}', failure: { code: 'odd_thing', class: 'validation' } },
    ])
    await finish()
  })
})

describe('R018: what APIs answer that nobody has a rule for', () => {
  test('is counted by API, kind and day, 500s that passed by themselves too, with the rule that could be written', async () => {
    let sick = true
    const { hf, clock, finish } = await testEngine({
      integrations,
      pipelines: [sync],
      reply: ({ body }) => {
        const sent = body as Sent
        if (sent.status !== 500 || sick) {
          if (sent.status === 500) sick = false
          return { status: sent.status, body: sent.body }
        }
        return { status: 200, body: {} }
      },
    })
    hf.startWorker()
    await hf.submit(sync, { email: 'a@example.com', status: 500, body: { code: 'db_gone', message: 'Shard 7 away' } })
    await clock.runUntil(hf.drain())
    for (const email of ['b@example.com', 'c@example.com']) {
      await hf.submit(sync, { email, status: 422, body: { code: 'odd_thing', message: 'Odd' } })
    }
    await hf.submit(sync, { email: 'd@example.com', status: 422, body: { code: 'known', message: 'Known' } })
    expect((await clock.runUntil(hf.drain())).states).toMatchObject({ succeeded: 1, dead_lettered: 3 })
    const suggestions = await clock.runUntil(hf.operations.suggestions())
    expect(suggestions).toMatchObject([
      {
        integration: 'crm',
        status: 422,
        code: 'odd_thing',
        count: 2,
        endpoints: ['PUT /contacts/{email}'],
        days: [{ dayMs: Date.UTC(2026, 10, 22), count: 2 }],
        rule: { id: 'odd-thing', status: 422, code: 'odd_thing', class: 'validation' },
      },
      { status: 500, code: 'db_gone', count: 1, rule: { status: 500, code: 'db_gone', class: 'transient' } },
    ])
    expect(suggestions[0]?.excerpt).toContain('odd_thing')
    expect(await clock.runUntil(hf.operations.suggestions({ sinceMs: clock.wallMs() + 1 }))).toEqual([])
    await finish()
  })
})
