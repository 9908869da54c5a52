import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RateLimitReading } from '../config/rate-limits.ts'
import { rateLimitReadingSchema } from '../config/rate-limits.ts'
import type { Json } from '../core/json.ts'
import { type RateLimitState, rateLimitWait, readRateLimits, readsBody } from './rate-limits.ts'

const NOW_MS = Date.parse('2026-11-22T10:00:00Z')
const SECOND = NOW_MS / 1000

type Row = [
  vendor: string,
  readings: RateLimitReading[],
  headers: Record<string, string>,
  expected: Partial<RateLimitState>[],
  body?: Json,
]

const reset = (header: string, unit: NonNullable<Extract<RateLimitReading, { kind: 'headers' }>['reset']>['unit']) => ({
  header,
  unit,
})

/** Every row of facts.md section 1, "Reset unit by vendor". */
const ROWS: Row[] = [
  [
    'GitHub: epoch seconds, a bucket by name',
    [
      {
        kind: 'headers',
        name: 'requests',
        scope: 'endpoint',
        nameHeader: 'X-RateLimit-Resource',
        limit: 'X-RateLimit-Limit',
        remaining: 'X-RateLimit-Remaining',
        reset: reset('X-RateLimit-Reset', 'epoch_seconds'),
      },
    ],
    {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '4999',
      'x-ratelimit-used': '1',
      'x-ratelimit-reset': String(SECOND + 60),
      'x-ratelimit-resource': 'search',
    },
    [{ name: 'requests:search', scope: 'endpoint', limit: 5000, remaining: 4999, resetAtMs: NOW_MS + 60_000 }],
  ],
  [
    'Outreach: a pair',
    [],
    {
      'x-ratelimit-limit': '10000, 20000',
      'x-ratelimit-remaining': '9999, 19988',
      'x-ratelimit-reset': String(SECOND + 9),
    },
    [{ limit: 10_000, remaining: 9999, resetAtMs: NOW_MS + 9000 }],
  ],
  [
    'Intercom, SendGrid, X: epoch seconds by their size',
    [],
    { 'x-rate-limit-limit': '300', 'x-rate-limit-remaining': '299', 'x-rate-limit-reset': String(SECOND + 900) },
    [{ limit: 300, remaining: 299, resetAtMs: NOW_MS + 900_000 }],
  ],
  [
    'Linear: epoch milliseconds, two limits',
    [],
    {
      'x-ratelimit-requests-limit': '1500',
      'x-ratelimit-requests-remaining': '1499',
      'x-ratelimit-requests-reset': String(NOW_MS + 3000),
      'x-ratelimit-complexity-limit': '250000',
      'x-ratelimit-complexity-remaining': '249000',
      'x-ratelimit-complexity-reset': String(NOW_MS + 4000),
    },
    [
      { name: 'requests', unit: 'calls', remaining: 1499, resetAtMs: NOW_MS + 3000 },
      { name: 'complexity', unit: 'points', remaining: 249_000, resetAtMs: NOW_MS + 4000 },
    ],
  ],
  [
    'Segment: delta seconds, however large',
    [
      {
        kind: 'headers',
        name: 'requests',
        remaining: 'x-ratelimit-remaining',
        reset: reset('x-ratelimit-reset', 'delta_seconds'),
      },
    ],
    { 'x-ratelimit-remaining': '7', 'x-ratelimit-reset': '30' },
    [{ remaining: 7, resetAtMs: NOW_MS + 30_000 }],
  ],
  [
    'OpenAI: durations, requests and tokens',
    [],
    {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6m0s',
    },
    [
      { name: 'requests', unit: 'calls', limit: 60, remaining: 59, resetAtMs: NOW_MS + 1000 },
      { name: 'tokens', unit: 'points', limit: 150_000, remaining: 149_984, resetAtMs: NOW_MS + 360_000 },
    ],
  ],
  [
    'Anthropic: RFC 3339',
    [],
    {
      'anthropic-ratelimit-input-tokens-limit': '40000',
      'anthropic-ratelimit-input-tokens-remaining': '39000',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-22T10:00:30Z',
    },
    [{ name: 'input-tokens', unit: 'points', limit: 40_000, remaining: 39_000, resetAtMs: NOW_MS + 30_000 }],
  ],
  [
    'HubSpot: window length in a header, and a day',
    [
      {
        kind: 'headers',
        name: 'burst',
        limit: 'x-hubspot-ratelimit-max',
        remaining: 'x-hubspot-ratelimit-remaining',
        window: { header: 'X-HubSpot-RateLimit-Interval-Milliseconds', unit: 'milliseconds' },
      },
      {
        kind: 'headers',
        name: 'daily',
        limit: 'x-hubspot-ratelimit-daily',
        remaining: 'x-hubspot-ratelimit-daily-remaining',
        window: { calendar: 'day' },
      },
    ],
    {
      'x-hubspot-ratelimit-max': '190',
      'x-hubspot-ratelimit-remaining': '189',
      'x-hubspot-ratelimit-interval-milliseconds': '10000',
      'x-hubspot-ratelimit-daily': '250000',
      'x-hubspot-ratelimit-daily-remaining': '249000',
    },
    [
      { name: 'burst', limit: 190, remaining: 189, windowMs: 10_000 },
      { name: 'daily', limit: 250_000, remaining: 249_000, windowMs: 86_400_000, resetAtMs: NOW_MS + 14 * 3_600_000 },
    ],
  ],
  [
    'Salesforce: used/limit behind a key',
    [{ kind: 'fraction', name: 'daily', header: 'Sforce-Limit-Info', key: 'api-usage', window: { rolling: '24h' } }],
    { 'sforce-limit-info': 'per-app-api-usage=17/250(appName=sample), api-usage=18/5000' },
    [{ name: 'daily', limit: 5000, remaining: 4982, windowMs: 86_400_000 }],
  ],
  [
    'Shopify REST: a leaky bucket',
    [{ kind: 'fraction', name: 'bucket', header: 'x-shopify-shop-api-call-limit', restorePerSecond: 2 }],
    { 'x-shopify-shop-api-call-limit': '32/40' },
    [{ limit: 40, remaining: 8, restorePerSecond: 2 }],
  ],
  [
    'Shopify GraphQL: cost in the body',
    [
      {
        kind: 'body',
        name: 'cost',
        unit: 'points',
        path: 'extensions.cost.throttleStatus',
        limit: 'maximumAvailable',
        remaining: 'currentlyAvailable',
        restorePerSecond: 'restoreRate',
        cost: 'extensions.cost.requestedQueryCost',
      },
    ],
    {},
    [{ name: 'cost', unit: 'points', limit: 2000, remaining: 40, restorePerSecond: 100, cost: 140 }],
    {
      extensions: {
        cost: {
          requestedQueryCost: 140,
          throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 40, restoreRate: 100 },
        },
      },
    },
  ],
  [
    'Apollo: usage per minute, hour and day',
    (
      [
        ['minute', '1m'],
        ['hourly', '1h'],
        ['24-hour', '24h'],
      ] as const
    ).map(([span, rolling]) => ({
      kind: 'headers' as const,
      name: span,
      limit: `x-rate-limit-${span}`,
      used: `x-${span}-usage`,
      remaining: `x-${span}-requests-left`,
      window: { rolling },
    })),
    {
      'x-rate-limit-minute': '200',
      'x-minute-usage': '7',
      'x-minute-requests-left': '193',
      'x-rate-limit-hourly': '400',
      'x-hourly-usage': '399',
      'x-rate-limit-24-hour': '2000',
      'x-24-hour-requests-left': '0',
    },
    [
      { name: 'minute', limit: 200, remaining: 193, windowMs: 60_000 },
      { name: 'hourly', limit: 400, remaining: 1, windowMs: 3_600_000 },
      { name: '24-hour', limit: 2000, remaining: 0, windowMs: 86_400_000 },
    ],
  ],
  [
    'Salesloft: points by the clock minute, and what a call takes',
    [
      {
        kind: 'headers',
        name: 'minute',
        unit: 'points',
        fixedLimit: 600,
        remaining: 'x-ratelimit-remaining-minute',
        cost: 'x-ratelimit-endpoint-cost',
        window: { calendar: 'minute' },
      },
    ],
    { 'x-ratelimit-remaining-minute': '570', 'x-ratelimit-endpoint-cost': '30' },
    [{ unit: 'points', limit: 600, remaining: 570, cost: 30, resetAtMs: NOW_MS + 60_000 }],
  ],
  [
    'Discord: the precise delta before the epoch',
    [],
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${SECOND + 30}.4`, 'x-ratelimit-reset-after': '29.25' },
    [{ remaining: 0, resetAtMs: NOW_MS + 29_250 }],
  ],
  [
    'PagerDuty: the three fields of the old drafts',
    [],
    { 'ratelimit-limit': '960, 960;w=60', 'ratelimit-remaining': '950', 'ratelimit-reset': '42' },
    [{ limit: 960, remaining: 950, windowMs: 60_000, resetAtMs: NOW_MS + 42_000 }],
  ],
  [
    'draft 07: a dictionary',
    [],
    { ratelimit: 'limit=100, remaining=50, reset=5', 'ratelimit-policy': '10;w=1, 100;w=10' },
    [{ limit: 100, remaining: 50, windowMs: 10_000, resetAtMs: NOW_MS + 5000 }],
  ],
  [
    'the present draft: several policies at once',
    [],
    {
      ratelimit: '"burst";r=50;t=30, "da\\"y, r=9";r=5;pk=:dHJ1c3Q=:, "bytes";r=7, "parallel";r=3',
      'ratelimit-policy': '"burst";q=100;w=60,"bytes";q=9;qu="content-bytes", "parallel";q=4;qu="concurrent-requests"',
    },
    [
      { name: 'burst', unit: 'calls', limit: 100, remaining: 50, windowMs: 60_000, resetAtMs: NOW_MS + 30_000 },
      { name: 'da"y, r=9', remaining: 5 },
      { name: 'bytes', unit: 'points', limit: 9, remaining: 7 },
    ],
  ],
]

describe('R049: what answers say about limits', () => {
  test.each(ROWS)('%s', (_, readings, headers, expected, body) => {
    for (const reading of readings) expect(rateLimitReadingSchema.parse(reading)).toEqual(reading)
    const states = readRateLimits({ headers, body }, readings, NOW_MS)
    expect(states).toHaveLength(expected.length)
    for (const [index, state] of states.entries()) expect(state).toMatchObject(expected[index] as object)
    expect(readsBody(readings)).toBe(body !== undefined)
  })

  test.each<
    [string, string, NonNullable<Extract<RateLimitReading, { kind: 'headers' }>['reset']>['unit'], number | undefined]
  >([
    ['delta milliseconds', '1500', 'delta_milliseconds', 1500],
    ['epoch milliseconds', String(NOW_MS + 1500), 'epoch_milliseconds', 1500],
    ['an HTTP date', 'Sun, 22 Nov 2026 10:00:09 GMT', 'http_date', 9000],
    ['a small number as an epoch: refused, it is 1970', '30', 'epoch_seconds', undefined],
    ['an epoch as delta seconds: refused, it is 56 years', String(SECOND), 'delta_seconds', undefined],
    ['a bare number as a duration: nobody knows the unit', '30', 'duration', undefined],
    ['a date as a duration', '2026-11-22T10:00:09Z', 'duration', undefined],
    ['words', 'soon', 'guess', undefined],
    ['a year', '2027-11-22T10:00:00Z', 'rfc3339', undefined],
  ])('a reset in %s', (_, text, unit, inMs) => {
    const readings: RateLimitReading[] = [
      { kind: 'headers', name: 'x', remaining: 'left', reset: { header: 'again', unit } },
    ]
    const [state] = readRateLimits({ headers: { left: '3', again: text } }, readings, NOW_MS)
    expect(state?.resetAtMs).toBe(inMs === undefined ? undefined : NOW_MS + inMs)
  })

  test('a vendor whose clock is wrong: resets count from its Date header, unless that is no clock at all', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3600 }),
        fc.integer({ min: -200_000, max: 200_000 }),
        fc.constantFrom('epoch', 'rfc3339'),
        (waitSeconds, skewSeconds, form) => {
          const until = SECOND + skewSeconds + waitSeconds
          const text = form === 'epoch' ? String(until) : new Date(until * 1000).toISOString()
          const date = new Date((SECOND + skewSeconds) * 1000).toUTCString()
          const headers = { date, 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': text }
          const [state] = readRateLimits({ headers }, [], NOW_MS)
          const believed = Math.abs(skewSeconds) >= 2 && Math.abs(skewSeconds) <= 86_400
          const waitMs = (believed ? waitSeconds : waitSeconds + skewSeconds) * 1000
          expect(state?.resetAtMs).toBe(NOW_MS + Math.max(0, waitMs))
        },
      ),
    )
  })

  test('a reset that lies beyond its own window is absurd', () => {
    const readings: RateLimitReading[] = [
      {
        kind: 'headers',
        name: 'minute',
        remaining: 'left',
        reset: { header: 'again', unit: 'delta_seconds' },
        window: { rolling: '1m' },
      },
    ]
    const read = (again: string) => readRateLimits({ headers: { left: '3', again } }, readings, NOW_MS)[0]
    expect(read('59')?.resetAtMs).toBe(NOW_MS + 59_000)
    expect(read('3600')).toMatchObject({ remaining: 3, windowMs: 60_000 })
    expect(read('3600')?.resetAtMs).toBeUndefined()
  })

  test('a day that ends at midnight in the zone of the vendor', () => {
    const readings: RateLimitReading[] = [
      { kind: 'headers', name: 'day', remaining: 'left', window: { calendar: 'day', timeZone: 'America/Los_Angeles' } },
    ]
    const [state] = readRateLimits({ headers: { left: '0' } }, readings, NOW_MS)
    expect(new Date(state?.resetAtMs ?? 0).toISOString()).toBe('2026-11-22T10:00:00.000Z'.replace('22T10', '23T08'))
  })

  test('whatever is sent: numbers that can be used, or nothing', () => {
    const names = ROWS.flatMap(([, , headers]) => Object.keys(headers))
    const value = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 60 }),
      fc.constantFrom(...ROWS.flatMap(([, , headers]) => Object.values(headers))),
      fc.bigInt().map(String),
      fc.double().map(String),
    )
    const headersOf = fc.dictionary(fc.constantFrom(...names), value)
    const readings = ROWS.flatMap(([, own]) => own)
    fc.assert(
      fc.property(headersOf, fc.jsonValue(), fc.boolean(), (headers, body, throttled) => {
        const answer = { headers, body: body as Json }
        for (const list of [[], readings]) {
          for (const state of readRateLimits(answer, list, NOW_MS)) {
            expect(state.remaining).toBeGreaterThanOrEqual(0)
            for (const number of [state.limit, state.windowMs, state.restorePerSecond]) {
              expect(number === undefined || (number > 0 && Number.isFinite(number))).toBe(true)
            }
            const { resetAtMs = NOW_MS } = state
            expect(resetAtMs).toBeGreaterThanOrEqual(NOW_MS)
            expect(resetAtMs).toBeLessThanOrEqual(NOW_MS + 31 * 86_400_000)
          }
          const wait = rateLimitWait(answer, list, NOW_MS, throttled)
          expect(wait === undefined || (wait.delayMs >= 0 && Number.isFinite(wait.delayMs))).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('R023: which limit was hit, by its name in the body (HubSpot)', () => {
  const readings: RateLimitReading[] = [
    {
      kind: 'policy',
      name: 'policy',
      path: 'policyName',
      windows: { TEN_SECONDLY_ROLLING: { rolling: '10s' }, SECONDLY: { rolling: '1s' }, DAILY: { calendar: 'day' } },
    },
  ]
  test.each<[Json, number | undefined]>([
    [{ policyName: 'TEN_SECONDLY_ROLLING' }, 10_000],
    [{ policyName: 'secondly' }, 1000],
    [{ policyName: 'DAILY' }, 14 * 3_600_000],
    [{ policyName: 'toString' }, undefined],
    [{ policyName: 7 }, undefined],
    [[], undefined],
  ])('%j', (body, delayMs) => {
    expect(rateLimitWait({ headers: {}, body }, readings, NOW_MS, true)?.delayMs).toBe(delayMs)
    expect(rateLimitWait({ headers: {}, body }, readings, NOW_MS)).toBeUndefined()
  })
})

describe('when to come back, by limits that give back all the time', () => {
  test('a leaky bucket: until the next call fits', () => {
    const readings: RateLimitReading[] = [{ kind: 'fraction', name: 'bucket', header: 'used', restorePerSecond: 2 }]
    expect(rateLimitWait({ headers: { used: '40/40' } }, readings, NOW_MS)?.delayMs).toBe(500)
    expect(rateLimitWait({ headers: { used: '39/40' } }, readings, NOW_MS)).toBeUndefined()
  })

  test('GraphQL cost: (need - available) / restore rate', () => {
    const readings = ROWS.find(([name]) => name.includes('GraphQL'))?.[1] as RateLimitReading[]
    const body = ROWS.find(([name]) => name.includes('GraphQL'))?.[4] as Json
    expect(rateLimitWait({ headers: {}, body }, readings, NOW_MS)?.delayMs).toBe(1000)
  })
})

describe('R049: when to come back, by resets', () => {
  const epoch = String(NOW_MS / 1000 + 30)
  test.each<[string, Record<string, string>, number | undefined]>([
    ['epoch seconds (GitHub)', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': epoch }, 30_000],
    [
      'epoch ms (Linear)',
      { 'x-ratelimit-requests-remaining': '0', 'x-ratelimit-requests-reset': `${epoch}000` },
      30_000,
    ],
    ['delta seconds (PagerDuty)', { 'ratelimit-remaining': '0', 'ratelimit-reset': '30' }, 30_000],
    ['X-Rate-Limit-Reset', { 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': epoch }, 30_000],
    [
      'Discord: the precise delta before the epoch',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${epoch}.4`, 'x-ratelimit-reset-after': '29.25' },
      29_250,
    ],
    ['OpenAI: a duration', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' }, 360_000],
    ['OpenAI: milliseconds', { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '120ms' }, 120],
    [
      'Anthropic: a timestamp',
      {
        'anthropic-ratelimit-requests-remaining': '0',
        'anthropic-ratelimit-requests-reset': '2026-11-22T10:00:30Z',
      },
      30_000,
    ],
    [
      'epoch counts from the Date header',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': epoch, date: 'Sun, 22 Nov 2026 10:00:20 GMT' },
      10_000,
    ],
    ['Outreach: the scarcer of a pair', { 'x-ratelimit-remaining': '9999, 0', 'x-ratelimit-reset': epoch }, 30_000],
    ['something is left: no wait', { 'x-ratelimit-remaining': '9999, 1', 'x-ratelimit-reset': epoch }, undefined],
    ['a reset alone says nothing', { 'x-ratelimit-reset': epoch }, undefined],
    ['no reset', { 'x-ratelimit-remaining': '0' }, undefined],
    ['garbage', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'later' }, undefined],
    ['already over', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW_MS / 1000 - 9) }, 0],
    ['the present draft', { ratelimit: '"default";r=0;t=30' }, 30_000],
    ['the present draft, something left', { ratelimit: '"default";r=50;t=30' }, undefined],
    [
      'the spent window that renews last',
      { ratelimit: '"a, b;t=9";r=0;t=30, "day";r=0;t=600, "x";r=1;t=999' },
      600_000,
    ],
    ['draft 07', { ratelimit: 'limit=100, remaining=0, reset=30' }, 30_000],
    ['draft: malformed is ignored whole', { ratelimit: '"a";r=0;t=30, "b";r=0;t=soon' }, undefined],
    ['draft: no reset', { ratelimit: '"a";r=0' }, undefined],
  ])('%s', (_, sent, delayMs) => {
    expect(rateLimitWait({ headers: sent }, [], NOW_MS)?.delayMs).toBe(delayMs)
  })

  test('an answer that is throttled itself: the window that renews first, unless one is known to be spent', () => {
    expect(rateLimitWait({ headers: { ratelimit: '"m";r=5;t=30, "day";r=9;t=600' } }, [], NOW_MS, true)?.delayMs).toBe(
      30_000,
    )
    expect(rateLimitWait({ headers: { ratelimit: '"m";r=5;t=30, "day";r=0;t=600' } }, [], NOW_MS, true)?.delayMs).toBe(
      600_000,
    )
    expect(rateLimitWait({ headers: { 'x-ratelimit-reset': epoch } }, [], NOW_MS, true)?.delayMs).toBe(30_000)
  })
})
