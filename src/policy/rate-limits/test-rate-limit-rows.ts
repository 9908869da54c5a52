/** What vendors send about their limits, and what it means. For the tests of this room only. */
import type { RateLimitReading } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import type { RateLimitState } from './rate-limits.ts'

export const NOW_MS = Date.parse('2026-11-22T10:00:00Z')
export const SECOND = NOW_MS / 1000

type RateLimitRow = [
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
export const ROWS: readonly RateLimitRow[] = [
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
