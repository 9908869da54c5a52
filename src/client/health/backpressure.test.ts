import { describe, expect, test } from 'vitest'
import { ask, permitFor, sync, world } from '../../../test/support/health.ts'
import type { RateLimitReading } from '../../config/rate-limits.ts'
import { resolveConfig } from '../../config/resolve.ts'
import type { RateLimitState } from '../../policy/rate-limits/rate-limits.ts'
import { systemClock } from '../../system/system-clock.ts'
import { createInlineCaller } from '../inline/inline.ts'
import { jsonServer, testIntegration, testParts } from '../test-kit.ts'
import type { HealthRegistry } from './health-registry.ts'

const integration = testIntegration('http://crm.example', { limits: { concurrency: 5 } })

const told = (state: Partial<RateLimitState>): RateLimitState => ({
  name: 'requests',
  unit: 'calls',
  scope: 'lane',
  remaining: 50,
  source: 'x-ratelimit-remaining',
  ...state,
})

/** One call whose answer tells that. */
function answered(health: HealthRegistry, states: RateLimitState[], endpoint = 'GET /people') {
  const permit = permitFor(health, { integration, endpoint })
  health.learnLimits(permit, states)
  health.report(permit, { type: 'succeeded' })
}

describe('R050: a lane slows down before the 429', () => {
  test('several limits at once: the strictest rules, until it renews', async () => {
    const { clock, worker } = await world()
    const { health, seen } = worker()
    const nowMs = clock.wallMs()
    answered(health, [
      told({ name: 'minute', remaining: 30, limit: 60, resetAtMs: nowMs + 5000 }),
      told({ name: 'day', remaining: 0, limit: 1000, resetAtMs: nowMs + 50_000 }),
    ])
    const held = ask(health, { integration })
    expect(held).toMatchObject({ admitted: false, by: 'gate', reason: expect.stringContaining('"day"') })
    if (!held.admitted) expect(held.untilMs).toBeGreaterThanOrEqual(nowMs + 50_000)
    expect(seen.filter(({ type }) => type === 'gate.closed')).toHaveLength(1)
    await clock.advance(52_000)
    expect(ask(health, { integration }).admitted).toBe(true)
  })

  test('one low reading slows the whole lane, endpoints that did not hear it too', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    answered(health, [told({ remaining: 4, limit: 100, resetAtMs: clock.wallMs() + 8000 })])
    const held = ask(health, { integration, endpoint: 'POST /deals' })
    expect(held).toMatchObject({
      admitted: false,
      by: 'rate',
      reason: expect.stringContaining('only 4 calls are left'),
    })
    await clock.advance(2001)
    expect(ask(health, { integration, endpoint: 'POST /deals' }).admitted).toBe(true)
    expect(ask(health, { integration }).admitted).toBe(false)
  })

  test('a limit of some endpoints holds only those that were answered with it (GitHub: search and core)', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    const search = { name: 'requests:search', scope: 'endpoint', remaining: 0, limit: 30 } as const
    answered(health, [told({ ...search, resetAtMs: clock.wallMs() + 60_000 })], 'GET /search')
    expect(ask(health, { integration, endpoint: 'GET /search' }).admitted).toBe(false)
    expect(ask(health, { integration, endpoint: 'GET /people' }).admitted).toBe(true)
  })

  test('processes tell each other that nothing is left, and share what is left', async () => {
    const { clock, worker } = await world()
    const [one, other] = [worker().health, worker().health]
    answered(one, [told({ remaining: 4, limit: 100, resetAtMs: clock.wallMs() + 8000 })])
    await sync(clock, one, other)
    const held = ask(other, { integration })
    if (held.admitted) other.report(held.permit, { type: 'succeeded' })
    await clock.advance(2100)
    // Alone it would start one each 2 s; there are two now.
    expect([ask(one, { integration }).admitted, ask(other, { integration }).admitted]).not.toEqual([true, true])
    answered(worker().health, [told({ remaining: 0, limit: 100, resetAtMs: clock.wallMs() + 5900 })])
    const third = worker().health
    await clock.settle()
    await sync(clock, third)
    expect(ask(third, { integration })).toMatchObject({ admitted: false, by: 'gate' })
  })

  test('the processes do not come back in one moment', async () => {
    const { clock, worker } = await world()
    const resetAtMs = clock.wallMs() + 20_000
    const backAtMs = Array.from({ length: 8 }, () => {
      const { health } = worker()
      answered(health, [told({ remaining: 0, limit: 100, resetAtMs })])
      const held = ask(health, { integration })
      return held.admitted ? 0 : held.untilMs
    })
    expect(Math.min(...backAtMs)).toBeGreaterThanOrEqual(resetAtMs)
    expect(Math.max(...backAtMs)).toBeLessThanOrEqual(resetAtMs + 1000)
    expect(new Set(backAtMs).size).toBeGreaterThan(5)
  })

  test('an API that names a limit anew in each answer fills no memory, and is not obeyed into a standstill', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    for (let index = 0; index < 500; index++) {
      answered(health, [
        told({ name: `bucket-${index}`, remaining: 90, limit: 100, resetAtMs: clock.wallMs() + 60_000 }),
      ])
    }
    expect(ask(health, { integration }).admitted).toBe(true)
  })

  test('a clock that is set back by hours holds no lane up for hours, here or where it is told (simulator, seed 989)', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    answered(health, [told({ remaining: 0, limit: 100, resetAtMs: clock.wallMs() + 8000 })])
    await sync(clock, health)
    expect(ask(health, { integration }).admitted).toBe(false)
    clock.jump(clock.wallMs() - 10 * 3_600_000)
    expect(ask(health, { integration }).admitted).toBe(true)
    const other = worker().health
    await sync(clock, other)
    const held = ask(other, { integration })
    expect(held).toMatchObject({ admitted: false, by: 'gate' })
    if (!held.admitted) expect(held.untilMs - clock.wallMs()).toBeLessThanOrEqual(9000)
    await clock.advance(15_000)
    expect(ask(other, { integration }).admitted).toBe(true)
  })

  test('the pace of a clock that is set back begins anew', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    answered(health, [told({ remaining: 4, limit: 100, resetAtMs: clock.wallMs() + 8000 })])
    clock.jump(clock.wallMs() - 10 * 3_600_000)
    answered(health, [told({ remaining: 4, limit: 100, resetAtMs: clock.wallMs() + 8000 })])
    await clock.advance(2001)
    expect(ask(health, { integration }).admitted).toBe(true)
  })

  test('while plenty is left, nothing is written to the store', async () => {
    const { clock, worker, ledger } = await world()
    const { health } = worker()
    for (let index = 0; index < 50; index++) answered(health, [told({ remaining: 90 - index / 10, limit: 100 })])
    await sync(clock, health)
    expect((await ledger.readHealth(0)).records).toEqual([])
  })
})

describe('R049: as a vendor tells it, over real sockets', () => {
  const cost = {
    extensions: { cost: { throttleStatus: { maximumAvailable: 1000, currentlyAvailable: 0, restoreRate: 50 } } },
  }

  test.each<[string, object, Record<string, string>, RateLimitReading]>([
    [
      'a leaky bucket in a header',
      {},
      { 'X-Shopify-Shop-Api-Call-Limit': '40/40' },
      { kind: 'fraction', name: 'bucket', header: 'X-Shopify-Shop-Api-Call-Limit', restorePerSecond: 2 },
    ],
    [
      'points in the body',
      cost,
      {},
      {
        kind: 'body',
        name: 'cost',
        unit: 'points',
        path: 'extensions.cost.throttleStatus',
        limit: 'maximumAvailable',
        remaining: 'currentlyAvailable',
        restorePerSecond: 'restoreRate',
      },
    ],
  ])('%s', async (_, body, headers, reading) => {
    await using server = await jsonServer(() => ({ body, headers }))
    await using parts = await testParts(systemClock)
    const config = { integrations: { shop: { baseUrl: server.url, rateLimits: [reading] } } }
    const [shop] = resolveConfig(config, { env: {}, baseDirectory: '/' }).integrations
    if (!shop) throw new Error('there is an integration')
    expect(await createInlineCaller(parts, shop).get('/orders')).toMatchObject({ status: 200 })
    const channel = { integration: shop, endpoint: 'GET /orders', breaker: shop.defaults.breaker, tenant: 'default' }
    expect(parts.health.allowance({ ...channel, lane: 'shop/default' }, 5)).toMatchObject({ limit: 0, by: 'gate' })
  })
})

describe('concurrency that adapts', () => {
  const adaptive = testIntegration('http://crm.example', { limits: { concurrency: 20, adaptive: { min: 2 } } })

  function startAll(health: HealthRegistry) {
    const permits = []
    for (let admission = ask(health, { integration: adaptive }); admission.admitted; ) {
      permits.push(admission.permit)
      admission = ask(health, { integration: adaptive })
    }
    return permits
  }

  test('more while all goes well, less where the API throttles or times out, never outside its bounds', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    expect(startAll(health).map((permit) => health.report(permit, { type: 'succeeded' }))).toHaveLength(4)
    for (let round = 0; round < 100; round++) {
      const permits = startAll(health)
      await clock.advance(50)
      for (const permit of permits) health.report(permit, { type: 'succeeded' })
    }
    const many = startAll(health)
    expect(many).toHaveLength(20)
    await clock.advance(50)
    for (const permit of many) health.report(permit, { type: 'failed', code: 'timeout_headers' })
    await clock.advance(31_000)
    for (let round = 0; round < 20; round++) {
      const permits = startAll(health)
      await clock.advance(1000)
      for (const permit of permits) health.report(permit, { type: 'throttled' })
    }
    await clock.advance(60_000)
    expect(startAll(health).length).toBeLessThanOrEqual(2)
  })
})
