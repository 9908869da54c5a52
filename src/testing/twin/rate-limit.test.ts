import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { createVirtualClock } from '../virtual-clock.ts'
import { createRateLimiter, type RateLimitOptions } from './rate-limit.ts'
import { route } from './route.ts'
import { startTwin } from './twin.ts'

test('R197: no window of the length, wherever it begins, lets through more than the limit, and none less', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 5 }),
    fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 80 }),
    async (limit, pauses) => {
      const clock = createVirtualClock()
      const limiter = createRateLimiter({ rate: `${limit}/1s` }, clock)
      const allowedAt: number[] = []
      for (const pauseMs of pauses) {
        await clock.advance(pauseMs)
        const nowMs = clock.monotonicMs()
        const recent = allowedAt.filter((atMs) => atMs > nowMs - 1000).length
        const { allowed } = limiter.take('')
        expect(allowed).toBe(recent < limit)
        if (allowed) allowedAt.push(nowMs)
      }
      for (const startMs of allowedAt) {
        expect(allowedAt.filter((atMs) => atMs >= startMs && atMs < startMs + 1000).length).toBeLessThanOrEqual(limit)
      }
    },
  )
  await fc.assert(property, { seed: 3, numRuns: 25 })
})

test('who waits as long as told is let in, in every form of Retry-After', async () => {
  const waits: Record<
    NonNullable<RateLimitOptions['retryAfter']>,
    (headers: Record<string, string>, nowMs: number) => number
  > = {
    seconds: (headers) => Number(headers['retry-after']) * 1000,
    decimal_seconds: (headers) => Number(headers['retry-after']) * 1000,
    http_date: (headers, nowMs) => Date.parse(headers['retry-after'] as string) - nowMs,
    milliseconds: (headers) => Number(headers['retry-after-ms']),
    none: (headers, nowMs) => Number(headers['x-ratelimit-reset']) * 1000 - nowMs,
  }
  for (const [retryAfter, waitOf] of Object.entries(waits) as [keyof typeof waits, (typeof waits)['none']][]) {
    const clock = createVirtualClock()
    const limiter = createRateLimiter({ rate: '2/10s', retryAfter }, clock)
    limiter.take('')
    await clock.advance(4567)
    limiter.take('')
    const refused = limiter.take('')
    expect(refused).toMatchObject({ allowed: false, status: 429 })
    const waitMs = waitOf(refused.headers, clock.wallMs())
    expect(waitMs, retryAfter).toBeGreaterThanOrEqual(5433)
    expect(waitMs, retryAfter).toBeLessThanOrEqual(6433)
    await clock.advance(waitMs)
    expect(limiter.take('').allowed, retryAfter).toBe(true)
  }
})

test('over the wire: per credential, with headers on every answer, and no effect of a refusal', async () => {
  const clock = createVirtualClock()
  const routes = [
    route('POST', '/x', { effectKey: 'id', rateLimit: { rate: '2/1m', per: 'credential', reset: 'delta_seconds' } }),
  ]
  const twin = await startTwin({ clock, random: seededRandom(1), routes })
  onTestFinished(() => twin.close())
  const call = (credential: string, id: number) =>
    fetch(`${twin.url}/x`, {
      method: 'POST',
      headers: { authorization: credential, 'content-type': 'application/json' },
      body: JSON.stringify({ id }),
    })
  const seen = []
  for (const [credential, id] of [
    ['a', 1],
    ['a', 2],
    ['a', 3],
    ['b', 4],
  ] as const) {
    const { status, headers } = await call(credential, id)
    seen.push([
      status,
      headers.get('x-ratelimit-remaining'),
      headers.get('x-ratelimit-reset'),
      headers.get('retry-after'),
    ])
  }
  expect(seen).toEqual([
    [200, '1', '60', null],
    [200, '0', '60', null],
    [429, '0', '60', '60'],
    [200, '1', '60', null],
  ])
  expect(twin.effects.map(({ key }) => key)).toEqual(['1', '2', '4'])
  expect(twin.requests.byOutcome.get('rate_limited')).toBe(1)
})
