/** Timeouts, and what is observed of them: on virtual time, over the simulated network, which has the real client's deadlines. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { resolveConfig } from '../../src/config/resolve.ts'
import { durationMs } from '../../src/core/duration.ts'
import { seededRandom } from '../../src/core/random.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { createSimulatedNetwork } from '../../src/testing/network/network.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { createVirtualClock } from '../../src/testing/virtual-clock.ts'

const ORIGIN = 'https://crm.test'
const CRM = { baseUrl: ORIGIN, limits: { concurrency: 50 }, retry: { maxAttempts: 1 } }
const lookUp = definePipeline<{ email: string }>('look-up').step('crm', {
  integration: 'crm',
  request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
})

async function world(latencyMs: readonly [number, number], crm: object = {}) {
  const clock = createVirtualClock({ startMs: Date.UTC(2026, 10, 22) })
  const network = createSimulatedNetwork({ clock, random: seededRandom('timeouts') })
  network.twin(ORIGIN, { routes: resource('/contacts', { required: ['email'], effectKey: 'email' }), latencyMs })
  const ledger = await openSqliteLedger({ path: ':memory:', clock, watchEveryMs: 5000 })
  const config = resolveConfig(
    { integrations: { crm: { ...CRM, ...crm } }, pipelines: [] },
    { env: {}, baseDirectory: '/' },
  )
  const hf = createEngine({
    clock,
    random: seededRandom('engine'),
    ledger,
    transport: network.transport(),
    integrations: config.integrations,
    pipelines: [lookUp],
  })
  onTestFinished(() => clock.runUntil(hf.close()))
  const call = (count: number) =>
    clock.runUntil(
      Promise.allSettled(Array.from({ length: count }, () => hf.client('crm').get('/contacts?email=ada@example.com'))),
    )
  return { clock, network, hf, call }
}

describe('R149: every outbound call has a timeout', () => {
  test('an API that never answers holds neither an inline call, nor a fetch, nor an item', async () => {
    const { clock, network, hf } = await world([10, 10], {
      retry: { maxAttempts: 1, maxAge: '1m', slowLane: { maxTries: 0 } },
    })
    network.disturb(ORIGIN, { what: 'lost_request', share: 1 })
    const startedMs = clock.monotonicMs()
    await expect(clock.runUntil(hf.client('crm').get('/contacts'))).rejects.toMatchObject({ code: 'timeout_headers' })
    expect(clock.monotonicMs() - startedMs).toBeLessThan(10_100)
    await expect(clock.runUntil(hf.fetch('crm')(`${ORIGIN}/contacts`))).rejects.toMatchObject({
      cause: { code: 'timeout_headers' },
    })
    hf.startWorker()
    await hf.submit(lookUp, { email: 'ada@example.com' })
    await clock.runUntil(hf.drain())
    const { rows } = await clock.runUntil(hf.operations.items())
    expect(rows).toMatchObject([{ state: 'dead_lettered' }])
    const report = await clock.runUntil(hf.operations.audit())
    expect(report.balanced).toBe(true)
  })

  test('also where nobody configured one', () => {
    const config = resolveConfig({ integrations: { crm: { baseUrl: ORIGIN } } }, { env: {}, baseDirectory: '/' })
    for (const timeoutMs of Object.values(config.integrations[0]?.defaults.timeouts ?? {})) {
      expect(timeoutMs).toBeGreaterThan(0)
      expect(timeoutMs).toBeLessThanOrEqual(60_000)
    }
    expect(Object.keys(config.integrations[0]?.defaults.timeouts ?? {})).toHaveLength(4)
  })
})

describe('R152: timeouts from what was observed', () => {
  test('R151, R153: suggested per endpoint with the reason, ready to be written, and right once they are written', async () => {
    const { hf, call, clock } = await world([100, 1800])
    for (let round = 0; round < 10; round++) await call(120)
    const suggestions = await clock.runUntil(hf.operations.suggestTimeouts())
    expect(suggestions.endpoints).toMatchObject([
      {
        integration: 'crm',
        endpoint: 'GET /contacts',
        category: 'fetch',
        advice: [
          {
            timeout: 'headers',
            verdict: 'too_long',
            suggestedMs: 5000,
            calls: 1200,
            why: expect.stringContaining('1,200 calls'),
          },
          { timeout: 'total', verdict: 'too_long', suggestedMs: 5000 },
        ],
      },
    ])
    const { config } = suggestions
    expect(config).toEqual({
      integrations: { crm: { endpoints: { 'GET /contacts': { timeouts: { headers: '5s', total: '5s' } } } } },
    })

    const written = parse(stringify(config)) as { integrations: { crm: object } }
    const after = await world([100, 1800], written.integrations.crm)
    for (let round = 0; round < 10; round++) await after.call(120)
    const next = await after.clock.runUntil(after.hf.operations.suggestTimeouts())
    expect(next.endpoints[0]?.advice.map(({ verdict }) => verdict)).toEqual(['fits', 'fits'])
    expect(next.config).toEqual({})
  })

  test('one that is too tight: the calls it cuts off are told', async () => {
    const { hf, call, clock } = await world([100, 1800], {
      timeouts: { headers: '1500ms' },
      breaker: { minimumCalls: 1000, windowCalls: 1000, consecutiveFailures: 100 },
    })
    for (let round = 0; round < 10; round++) await call(120)
    const [endpoint] = (await clock.runUntil(hf.operations.suggestTimeouts())).endpoints
    const advice = endpoint?.advice.find(({ timeout }) => timeout === 'headers')
    expect(advice).toMatchObject({
      verdict: 'too_short',
      suggestedMs: 4000,
      why: expect.stringContaining('cut off at 1.5s'),
    })
    expect(advice?.cutOff).toBeGreaterThan(100)
  })

  test('nothing while too few calls were seen, and nothing at all without any', async () => {
    const { hf, call, clock } = await world([10, 20])
    expect(await clock.runUntil(hf.operations.suggestTimeouts())).toEqual({ connect: [], endpoints: [], config: {} })
    await call(100)
    const { endpoints, config } = await clock.runUntil(hf.operations.suggestTimeouts())
    expect(endpoints[0]?.advice[0]).toMatchObject({ verdict: 'too_few_calls', missingCalls: 900 })
    expect(config).toEqual({})
  })
})

describe('R165: statistics per endpoint', () => {
  test('calls, failures and quantiles, by day', async () => {
    const { hf, call, clock, network } = await world([100, 200])
    await call(100)
    await clock.advance(durationMs('24h'))
    {
      using _broken = network.disturb(ORIGIN, { what: 'refused', share: 1 })
      await call(2)
    }
    const [one, ...others] = await clock.runUntil(hf.operations.endpointStatistics())
    expect(others).toEqual([])
    expect(one).toMatchObject({
      integration: 'crm',
      endpoint: 'GET /contacts',
      timeouts: 0,
      total: { count: 100 },
      connect: { count: 0 },
      days: [{ dayMs: Date.UTC(2026, 10, 22), calls: 100, failures: 0 }, { dayMs: Date.UTC(2026, 10, 23) }],
    })
    expect(one?.failures).toBe(one?.days[1]?.failures)
    expect(one?.failures).toBeGreaterThanOrEqual(2)
    expect(one?.total.p50Ms).toBeGreaterThan(130)
    expect(one?.total.p99Ms).toBeLessThan(215)
  })
})
