import { describe, expect, it } from 'vitest'
import { defineConfig, defineIntegration } from './define.ts'
import { codePipeline, crm, integrationOf, load, problemsIn } from './test-load.ts'

describe('defaults', () => {
  it('an empty configuration is a valid one', () => {
    expect(load({})).toEqual({
      file: undefined,
      store: { kind: 'sqlite', path: '/work/app/holdfast.db' },
      integrations: [],
      profiles: [],
      pipelines: [],
      webhooks: [],
      callbacks: { secret: undefined, integrations: [] },
      worker: { concurrency: 100, leaseMs: 30_000, pollMs: 250 },
      retentionMs: undefined,
      maxPayloadBytes: 4_194_304,
      keys: [],
      encryptPayloads: false,
      gateway: {
        host: '127.0.0.1',
        port: 4180,
        hosts: [],
        proxyDomain: 'api.localhost',
        tokens: [],
        maxInFlight: 1000,
        arrivalMs: 30_000,
      },
      setup: undefined,
    })
  })

  it('R150 R032 R040 D08-D13 R063 R066: everything that is not said has its documented value', () => {
    const integration = integrationOf(load({ integrations: { crm } }))
    expect(integration).toMatchObject({
      name: 'crm',
      baseUrl: 'https://api.example.com',
      auth: { type: 'none' },
      credential: 'default',
      limits: { concurrency: 5 },
      retryBudget: { ratio: 0.2, minimumPerSecond: 1, burst: 50 },
    })
    expect(integration.limits).not.toHaveProperty('rate')
    expect(integration.defaults).toEqual({
      timeouts: { connectMs: 3000, headersMs: 10_000, bodyMs: 15_000, totalMs: 60_000 },
      retry: {
        baseMs: 1000,
        capMs: 60_000,
        jitter: 'full',
        maxAttempts: 6,
        maxAgeMs: 14_400_000,
        inlineMs: 60_000,
        slowLane: { maxTries: 10, spanMs: 259_200_000 },
      },
      breaker: {
        failureRate: 0.5,
        windowCalls: 20,
        windowMs: 60_000,
        minimumCalls: 10,
        consecutiveFailures: 5,
        openMs: 30_000,
        maxOpenMs: 300_000,
        probes: 2,
        probeLeaseMs: 90_000,
        rampShares: [0.1, 0.5],
        rampStepMs: 5000,
      },
      maxResponseBytes: 10_000_000,
    })
  })

  it.each([
    ['R052', 'crm', { baseMs: 2000, maxAttempts: 6 }],
    ['R053', 'enrichment', { baseMs: 1000, maxAttempts: 6 }],
    ['R054', 'sequencer', { baseMs: 500, capMs: 60_000, maxAgeMs: 900_000 }],
    ['R055', 'realtime', { baseMs: 200, maxAttempts: 3, maxAgeMs: 900_000, inlineMs: 5000 }],
  ])('%s: the preset %s', (_requirement, preset, retry) => {
    expect(integrationOf(load({ integrations: { crm: { ...crm, preset } } })).defaults.retry).toMatchObject(retry)
  })

  it('R056: built-in < preset < integration < endpoint, value by value', () => {
    const { defaults, endpoints } = integrationOf(
      load({
        integrations: {
          crm: {
            ...crm,
            preset: 'crm',
            retry: { cap: '20s', slowLane: { maxTries: 3 } },
            timeouts: { total: '40s' },
            endpoints: { 'POST /x': { retry: { base: '3s' }, timeouts: { headers: '1s' }, maxResponse: '1MB' } },
          },
        },
      }),
    )
    expect(defaults.retry).toMatchObject({
      baseMs: 2000,
      capMs: 20_000,
      slowLane: { maxTries: 3, spanMs: 259_200_000 },
    })
    expect(endpoints['POST /x']).toMatchObject({
      endpoint: 'POST /x',
      retry: { baseMs: 3000, capMs: 20_000, slowLane: { maxTries: 3 } },
      timeouts: { connectMs: 3000, headersMs: 1000, totalMs: 40_000 },
      maxResponseBytes: 1_000_000,
    })
  })

  it('R096: GET, PUT and DELETE are safe by nature, POST and PATCH are not, and the endpoint may know better', () => {
    const { endpoints } = integrationOf(
      load({
        integrations: {
          crm: {
            ...crm,
            endpoints: {
              'GET /a': {},
              'PUT /a': {},
              'DELETE /a': {},
              'POST /a': {},
              'PATCH /a': {},
              'POST /b': { idempotency: { natural: 'email' } },
              'POST /c': { idempotency: { key: 'Idempotency-Key' } },
              'POST /d': { idempotency: { key: 'X-Key', lifetime: '30d' } },
              'POST /e': { idempotency: 'safe' },
            },
          },
        },
      }),
    )
    const kinds = Object.fromEntries(Object.entries(endpoints).map(([name, { idempotency }]) => [name, idempotency]))
    expect(kinds).toEqual({
      'GET /a': { kind: 'safe' },
      'PUT /a': { kind: 'safe' },
      'DELETE /a': { kind: 'safe' },
      'POST /a': { kind: 'unsafe' },
      'PATCH /a': { kind: 'unsafe' },
      'POST /b': { kind: 'natural', field: 'email' },
      'POST /c': { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 86_400_000 },
      'POST /d': { kind: 'key', header: 'X-Key', lifetimeMs: 2_592_000_000 },
      'POST /e': { kind: 'safe' },
    })
  })

  it('R051 D04: limits and late records', () => {
    const integration = integrationOf(
      load({
        integrations: {
          crm: {
            ...crm,
            limits: { rate: '100/10s', quota: '250000/day', concurrency: 10 },
            endpoints: { 'GET /x/{id}': { eventuallyConsistent: { retries: 4 } } },
          },
        },
      }),
    )
    expect(integration.limits).toEqual({
      concurrency: 10,
      rate: { limit: 100, perMs: 10_000 },
      quota: { limit: 250_000, perMs: 86_400_000 },
    })
    expect(integration.endpoints['GET /x/{id}']?.eventuallyConsistent).toEqual({ retries: 4, delayMs: 2000 })
  })
})

describe('refusals', () => {
  it('unknown keys are refused with their path and the nearest right name, all at once', () => {
    expect(
      problemsIn({
        intergrations: {},
        integrations: { crm: { ...crm, timeots: { total: '1s' }, retry: { maxAtempts: 3, colour: 'red' } } },
      }),
    ).toEqual([
      'integrations.crm.retry.maxAtempts: unknown key; did you mean "maxAttempts"?',
      'integrations.crm.retry.colour: unknown key; known here: maxAttempts, base, cap, jitter, maxAge, inline, slowLane',
      'integrations.crm.timeots: unknown key; did you mean "timeouts"?',
      'intergrations: unknown key; did you mean "integrations"?',
    ])
  })

  it.each<[string, unknown, string]>([
    ['a missing value', { integrations: { crm: {} } }, 'integrations.crm.baseUrl: is missing: expected the base URL'],
    ['no object', { integrations: { crm: 'https://x' } }, 'integrations.crm: expected an object, got "https://x"'],
    ['nothing', { integrations: { crm: { ...crm, retry: null } } }, 'crm.retry: expected an object, got nothing'],
    [
      'a bare number',
      { integrations: { crm: { ...crm, retry: { base: 30 } } } },
      'expected a duration with its unit, such as "500ms", "30s", "15m" or "24h", got 30',
    ],
    ['a wrong unit', { integrations: { crm: { ...crm, retry: { base: '30 parsecs' } } } }, 'got "30 parsecs"'],
    ['zero', { integrations: { crm: { ...crm, timeouts: { total: '0s' } } } }, 'expected more than zero, got "0s"'],
    [
      'too long for a timer',
      { integrations: { crm: { ...crm, timeouts: { total: '25d' } } } },
      'at most 24h, got "25d"',
    ],
    [
      'too many probes',
      { integrations: { crm: { ...crm, breaker: { probes: 9 } } } },
      'breaker.probes: expected at most 3, got 9',
    ],
    [
      'no whole number',
      { integrations: { crm: { ...crm, retry: { maxAttempts: 2.5 } } } },
      'expected a whole number, got 2.5',
    ],
    [
      'a wrong preset',
      { integrations: { crm: { ...crm, preset: 'cmr' } } },
      'expected one of default, crm, enrichment, sequencer, realtime, got "cmr"; did you mean "crm"?',
    ],
    [
      'a wrong rate',
      { integrations: { crm: { ...crm, limits: { rate: '100 per 10s' } } } },
      'expected a rate such as "100/10s"',
    ],
    [
      'a wrong endpoint',
      { integrations: { crm: { ...crm, endpoints: { 'FETCH /x': {} } } } },
      'endpoints["FETCH /x"]: expected a method and a path',
    ],
    ['a wrong name', { integrations: { 'my crm': crm } }, 'integrations["my crm"]: expected a name of letters'],
    [
      'a wrong auth',
      { integrations: { crm: { ...crm, auth: { type: 'oauth' } } } },
      'integrations.crm.auth.type: expected { type:',
    ],
    [
      'a wrong idempotency',
      { integrations: { crm: { ...crm, endpoints: { 'POST /x': { idempotency: 'yes' } } } } },
      'expected "safe", "unsafe"',
    ],
    [
      'a header of two lines',
      { integrations: { crm: { ...crm, headers: { 'x-a': 'a\r\nb' } } } },
      'headers.x-a: expected a header value of one line',
    ],
    [
      'a URL with a password',
      { integrations: { crm: { baseUrl: 'https://u:p@x.y' } } },
      'expected an http(s) URL without user',
    ],
    ['another protocol', { integrations: { crm: { baseUrl: 'ftp://x.y' } } }, 'expected an http(s) URL'],
    ['another store', { store: 'mysql://u:secret@host/db' }, 'store: expected "sqlite:FILE"'],
    [
      'an unknown profile',
      { integrations: { hubspot: { ...crm, profile: 'hubspot' } } },
      'integrations.hubspot.profile: there is no profile "hubspot"',
    ],
    ['alerts', { alerts: { slack: 'x' } }, 'alerts: this version of Holdfast does not have alerts yet'],
    ['code in data', { integrations: { crm: { ...crm, redact: [() => 1] } } }, 'a function cannot stand here'],
    ['a list as the whole', [], '(top): expected an object'],
    ['nothing as the whole', null, '(top): expected an object'],
  ])('refuses %s', (_what, input, message) => {
    expect(problemsIn(input).join('\n')).toContain(message)
  })

  it.each<[string, object, string]>([
    [
      'a first wait longer than the cap',
      { retry: { base: '2m' } },
      'integrations.crm.retry: base (2m) is longer than cap (1m)',
    ],
    [
      'a breaker that can never open by its rate',
      { breaker: { windowCalls: 5 } },
      'minimumCalls (10) is more than windowCalls (5)',
    ],
    ['a cooldown above its maximum', { breaker: { open: '10m' } }, 'open (10m) is longer than maxOpen (5m)'],
  ])('refuses %s', (_what, settings, message) => {
    expect(problemsIn({ integrations: { crm: { ...crm, ...settings } } }).join('\n')).toContain(message)
  })

  it('a contradiction inside one endpoint is told there', () => {
    const endpoints = { 'POST /x': { retry: { cap: '500ms' } } }
    expect(problemsIn({ integrations: { crm: { ...crm, endpoints } } })).toEqual([
      'integrations.crm.endpoints["POST /x"].retry: base (1s) is longer than cap (500ms)',
    ])
  })
})

describe('configurations in code', () => {
  it('take lists of integrations and pipelines, and a setup hook', async () => {
    const pipeline = codePipeline('onboard')
    const setup = async () => async () => {}
    const config = load(
      defineConfig({
        integrations: [defineIntegration('crm', { baseUrl: 'https://x.y', retry: { base: '2s' } })],
        pipelines: [pipeline],
        worker: { concurrency: 7 },
        setup,
      }),
    )
    expect(config.integrations.map(({ name }) => name)).toEqual(['crm'])
    expect(config.pipelines).toEqual([pipeline])
    expect(config.worker.concurrency).toBe(7)
    expect(config.setup).toBe(setup)
  })

  it('what is wrong in a list is told by its place', () => {
    const twice = defineIntegration('crm', crm)
    const pipeline = codePipeline('p')
    expect(problemsIn({ integrations: [twice, twice, {}], pipelines: [pipeline, pipeline, 'p'], setup: 'x' })).toEqual([
      'setup: expected a function; only configurations in code can have one',
      'pipelines[1]: there are two pipelines named "p"',
      'pipelines[2]: expected a pipeline made with definePipeline(...)',
      'integrations[1]: there are two integrations named "crm"',
      'integrations[2]: expected an integration made with defineIntegration(name, ...)',
    ])
  })
})
