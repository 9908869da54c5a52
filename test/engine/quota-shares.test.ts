/** R051: a daily quota shared out between pipelines, with durable items: who has used its share is parked, the others go on. */
import { expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { testEngine } from '../support/engine.ts'

const HOUR_MS = 3_600_000

const sending = (name: string) =>
  definePipeline<{ n: number }>(name).step('send', {
    integration: 'crm',
    request: { method: 'POST', path: '/messages', body: ({ input }) => ({ ...input, from: name }) },
    idempotency: { kind: 'safe' },
  })
const onboarding = sending('onboarding')
const newsletter = sending('newsletter')

test('R051: a flood of one pipeline leaves the day of the others alone; explain says why it waits', async () => {
  const engine = await testEngine({
    pipelines: [onboarding, newsletter],
    integrations: {
      crm: {
        baseUrl: 'https://crm.test',
        retry: { maxAge: '3d' },
        limits: { concurrency: 10, quota: '20/day', shares: { onboarding: 0.5, newsletter: 0.5 } },
      },
    },
    settings: { pollMs: 60_000, healthSyncMs: 60_000 },
  })
  const { hf, clock, api } = engine
  const sent = (from: string) => api.requests.filter(({ body }) => (body as { from: string }).from === from).length
  const flood = Array.from({ length: 15 }, (_, n) => ({ input: { n } }))
  await clock.runUntil(hf.submitMany(newsletter, flood))
  hf.startWorker()
  await clock.advance(HOUR_MS)
  expect(sent('newsletter')).toBe(10)

  await clock.runUntil(hf.submitMany(onboarding, flood.slice(0, 8)))
  await clock.advance(HOUR_MS)
  expect([sent('newsletter'), sent('onboarding')]).toEqual([10, 8])
  const parked = (await clock.runUntil(hf.operations.items({ states: ['parked'] }))).rows
  expect(parked).toHaveLength(5)
  const explained = await clock.runUntil(hf.operations.explain(parked[0]?.itemId ?? ''))
  expect(JSON.stringify(explained)).toMatch(/newsletter.*has used the share of 10 of 20 calls per 1d/)

  // The last quarter lends what onboarding left; the next day has room for the rest.
  await clock.advanceTo(Date.UTC(2026, 10, 22, 23, 59))
  expect(sent('newsletter')).toBe(12)
  await clock.advanceTo(Date.UTC(2026, 10, 23, 1))
  expect([sent('newsletter'), sent('onboarding')]).toEqual([15, 8])
  await engine.finish()
})
