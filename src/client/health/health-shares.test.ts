import { describe, expect, test } from 'vitest'
import { world } from '../../../test/support/health.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { VirtualClock } from '../../testing/virtual-clock.ts'
import { laneName } from '../call/call.ts'
import { testEndpoint, testIntegration } from '../test-kit.ts'
import type { HealthRegistry } from './health-registry.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const QUOTA = 100

const crm = testIntegration('http://crm.example', {
  limits: {
    concurrency: 100,
    quota: { limit: QUOTA, perMs: DAY_MS, calendarMs: DAY_MS },
    shares: { byPipeline: { onboarding: 0.6, newsletter: 0.2 }, reserve: 0.2 },
  },
})

function ask(health: HealthRegistry, pipeline: string | undefined, integration: IntegrationSettings = crm) {
  const lane = laneName(integration.name, integration.credential, 'default')
  return health.admit({
    integration,
    endpoint: testEndpoint('GET /people'),
    lane,
    tenant: 'default',
    attempt: 1,
    pipeline,
  })
}

/** As many calls of the pipeline as it gets, over a while, in turn in all processes. */
async function startAll(clock: VirtualClock, workers: readonly HealthRegistry[], pipeline: string | undefined) {
  let started = 0
  for (let round = 0; round < 60; round++) {
    for (const health of workers) {
      for (let admission = ask(health, pipeline); admission.admitted; admission = ask(health, pipeline)) {
        health.report(admission.permit, { type: 'succeeded' })
        started += 1
        if (started > 1000) throw new Error('no limit at all')
      }
    }
    await clock.advance(500)
  }
  return started
}

describe('R051: a quota that is shared out', () => {
  test.each([1, 3])('no pipeline uses up the share of another, with %i processes', async (count) => {
    const { clock, worker } = await world()
    const workers = Array.from({ length: count }, () => worker().health)
    expect(await startAll(clock, workers, 'onboarding')).toBe(60)
    expect(await startAll(clock, workers, 'newsletter')).toBe(20)
    // The last calls may stay in reach of different processes: the slot of the quota here, that of the share there.
    const rest = await startAll(clock, workers, undefined)
    expect(rest).toBeGreaterThan(20 - count)
    expect(rest + (await startAll(clock, workers, 'a pipeline without a share'))).toBeLessThanOrEqual(20)
    for (const pipeline of ['onboarding', 'newsletter']) expect(await startAll(clock, workers, pipeline)).toBe(0)
    if (count === 1) expect(await startAll(clock, workers, 'constructor')).toBe(0)
  })

  test('whoever has used its share is told why, and when to come back; the others go on', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    await startAll(clock, [health], 'newsletter')
    const refused = ask(health, 'newsletter')
    expect(refused).toMatchObject({
      admitted: false,
      by: 'quota',
      reason: expect.stringMatching(/pipeline "newsletter" has used the share of 20 of 100 calls per 1d.*last quarter/),
    })
    const dayMs = Math.floor(clock.wallMs() / DAY_MS) * DAY_MS
    if (!refused.admitted) expect(refused.untilMs - dayMs - 18 * HOUR_MS).toBeLessThan(1000)
    expect(ask(health, 'onboarding').admitted).toBe(true)
  })

  test('the next day begins at midnight, with all of it', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    expect(await startAll(clock, [health], 'onboarding')).toBe(60)
    await clock.advanceTo(Math.floor(clock.wallMs() / DAY_MS) * DAY_MS + DAY_MS + 10)
    expect(await startAll(clock, [health], 'onboarding')).toBe(60)
  })

  test('a restart forgets nothing', async () => {
    const { clock, worker } = await world()
    const one = worker().health
    expect(await startAll(clock, [one], 'onboarding')).toBe(60)
    await clock.runUntil(one.leave())
    const next = worker().health
    expect(await startAll(clock, [next], 'onboarding')).toBe(0)
    expect(await startAll(clock, [next], 'newsletter')).toBe(20)
  })

  test('in the last quarter of the day what others leave is lent, little by little, and never more than the quota', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    const dayMs = Math.floor(clock.wallMs() / DAY_MS) * DAY_MS
    expect(await startAll(clock, [health], 'onboarding')).toBe(60)
    await clock.advanceTo(dayMs + 17 * HOUR_MS)
    expect(await startAll(clock, [health], 'onboarding')).toBe(0)
    // At 21:00, 7/8 of the day: half of the 40 that others have left.
    await clock.advanceTo(dayMs + 21 * HOUR_MS)
    const lent = await startAll(clock, [health], 'onboarding')
    expect(lent).toBeGreaterThanOrEqual(18)
    expect(lent).toBeLessThanOrEqual(24)
    // The others still have the rest of theirs.
    expect(await startAll(clock, [health], 'newsletter')).toBeGreaterThan(0)
    await clock.advanceTo(dayMs + 23 * HOUR_MS + 50 * 60_000)
    for (const pipeline of ['onboarding', 'newsletter', undefined]) await startAll(clock, [health], pipeline)
    expect(ask(health, 'onboarding')).toMatchObject({ admitted: false, by: 'quota' })
  })
})
