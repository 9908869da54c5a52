import { describe, expect, test } from 'vitest'
import type { RateLimitReading } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import { rateLimitWait } from './rate-limits.ts'
import { NOW_MS, ROWS } from './test-rate-limit-rows.ts'

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
