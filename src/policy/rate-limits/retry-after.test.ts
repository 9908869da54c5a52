import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rateLimitWait } from './rate-limits.ts'
import { parseBodyRetryAfter, parseRetryAfter } from './retry-after.ts'
import vectors from './retry-after.vectors.json' with { type: 'json' }

const NOW_MS = Date.parse('2026-11-22T10:00:00Z')
const LONGEST_MS = 31 * 86_400_000

interface Vector {
  name: string
  headers: Record<string, string>
  delayMs: number | null
  source?: string
  noted?: boolean
}

describe('D11: published examples, received at 2026-11-22T10:00:00Z', () => {
  test.each(vectors as Vector[])('$name', ({ headers, delayMs, source, noted }) => {
    const found = parseRetryAfter(headers, NOW_MS)
    expect(found?.delayMs ?? null).toBe(delayMs)
    expect(found?.source).toBe(source)
    expect(found?.note !== undefined).toBe(noted === true)
  })

  test('the time zone of the machine changes nothing', () => {
    const zone = process.env['TZ']
    process.env['TZ'] = 'America/New_York'
    try {
      expect(parseRetryAfter({ 'retry-after': 'Sun Nov 22 10:02:00 2026' }, NOW_MS)?.delayMs).toBe(120_000)
    } finally {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    }
  })
})

const headerName = fc.constantFrom(
  'retry-after',
  'retry-after-ms',
  'x-ms-retry-after-ms',
  'x-amz-retry-after',
  'date',
  'ratelimit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-rate-limit-reset',
  'x-ratelimit-reset-tokens',
)
const headerValue = fc.oneof(
  fc.string(),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.date().map((date) => (Number.isNaN(date.getTime()) ? 'NaN' : date.toUTCString())),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.stringMatching(/^[0-9]{1,400}$/),
  fc.stringMatching(/^("[a-z]*";)?(r=[0-9]{0,3};?)?t=-?[0-9]{0,20}(, "x";r=0;t=5)?$/),
  fc.stringMatching(/^([0-9]{1,3}h)?([0-9]{1,3}m)?([0-9.]{1,6}s)?([0-9]{1,3}ms)?$/),
)
const headers = fc.dictionary(headerName, headerValue)
const receivedAt = fc.oneof(fc.integer({ min: 0, max: 4e12 }), fc.constantFrom(Number.NaN, Infinity, -1))

describe('D11: whatever a server sends', () => {
  test('never throws, never negative, never NaN, never above 31 days', () => {
    fc.assert(
      fc.property(headers, receivedAt, fc.boolean(), (sent, receivedAtMs, throttled) => {
        for (const found of [
          parseRetryAfter(sent, receivedAtMs),
          rateLimitWait({ headers: sent }, [], receivedAtMs, throttled),
        ]) {
          if (!found) continue
          expect(found.delayMs).toBeGreaterThanOrEqual(0)
          expect(found.delayMs).toBeLessThanOrEqual(LONGEST_MS)
          expect(Number.isInteger(found.delayMs)).toBe(true)
          expect(found.source).not.toBe('')
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('never throws on any body', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (body) => {
        const found = parseBodyRetryAfter(body as never, NOW_MS)
        if (found) expect(found.delayMs).toBeGreaterThanOrEqual(0)
      }),
    )
  })

  test('R048: never shorter than asked, and at most a millisecond longer', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 2_000_000, noNaN: true }), (seconds) => {
        const text = seconds.toFixed(6)
        const delayMs = parseRetryAfter({ 'retry-after': text }, NOW_MS)?.delayMs ?? Number.NaN
        expect(delayMs).toBeGreaterThanOrEqual(Number(text) * 1000 - 1e-3)
        expect(delayMs).toBeLessThanOrEqual(Number(text) * 1000 + 1.001)
      }),
    )
  })

  test('every date form says the same, whatever the skew between the clocks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 30 * 86_400 }),
        fc.integer({ min: -86_400, max: 86_400 }),
        (waitSeconds, skewSeconds) => {
          const serverNowMs = NOW_MS + skewSeconds * 1000
          const until = new Date(serverNowMs + waitSeconds * 1000)
          const sent = { date: new Date(serverNowMs).toUTCString() }
          for (const text of [until.toUTCString(), until.toISOString(), asctime(until), rfc850(until)]) {
            expect(parseRetryAfter({ ...sent, 'retry-after': text }, NOW_MS)?.delayMs).toBe(waitSeconds * 1000)
          }
        },
      ),
    )
  })
})

describe('waits in bodies (facts.md section 1)', () => {
  test.each<[string, unknown, number | undefined]>([
    ['Discord', { retry_after: 1.337 }, 1337],
    ['Apollo', { error_code: 'result_pending', retry_after_seconds: 5 }, 5000],
    ['Telegram', { parameters: { retry_after: 35 } }, 35_000],
    ['milliseconds', { error: { retry_after_ms: '250' } }, 250],
    ['Google RetryInfo', { error: { details: [{ reason: 'X' }, { retryDelay: '3.5s' }] } }, 3500],
    ['Google text', { error: { message: 'Rate exceeded. Retry after 2026-11-22T10:00:12.500Z' } }, 12_500],
    ['Google text by a status that has no error object', { message: 'Retry after 2026-11-22T10:00:12.500Z' }, 12_500],
    ['OpenAI text', { error: { message: 'Rate limit reached. Please try again in 6m0.5s. Visit x' } }, 360_500],
    ['OpenAI text in milliseconds', { error: { message: 'Please try again in 120ms.' } }, 120],
    ['no unit in a text: nobody knows which', { error: { message: 'Please try again in 20' } }, undefined],
    ['camel case', { retryAfterSeconds: '7' }, 7000],
    ['a date in a field', { retry_after: '2026-11-22T10:00:05Z' }, 5000],
    ['Salesforce-like lists', [{ errorCode: 'X', retryAfter: 3 }], 3000],
    ['Graph inner error', { error: { innererror: { retryAfter: 2 } } }, 2000],
    ['negative', { retry_after: -5 }, undefined],
    ['inherited', Object.create({ retry_after: 5 }), undefined],
    ['not an object', [1], undefined],
  ])('%s', (_, body, delayMs) => {
    expect(parseBodyRetryAfter(body as never, NOW_MS)?.delayMs).toBe(delayMs)
  })
})

function asctime(date: Date): string {
  const [weekday, day, month, year, time] = date.toUTCString().replace(',', '').split(' ')
  return `${weekday} ${month} ${String(Number(day)).padStart(2, ' ')} ${time} ${year}`
}

function rfc850(date: Date): string {
  const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
  const [, day, month, year, time] = date.toUTCString().split(' ')
  return `${weekdays[date.getUTCDay()]}, ${day}-${month}-${year?.slice(2)} ${time} GMT`
}
