import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RateLimitReading } from '../../config/rate-limits.ts'
import { rateLimitReadingSchema } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import { rateLimitWait, readRateLimits, readsBody } from './rate-limits.ts'
import { NOW_MS, ROWS, SECOND } from './test-rate-limit-rows.ts'

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
