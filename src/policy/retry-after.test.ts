import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseBodyRetryAfter, parseRateLimitReset, parseRetryAfter } from './retry-after.ts'
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
        for (const found of [parseRetryAfter(sent, receivedAtMs), parseRateLimitReset(sent, receivedAtMs, throttled)]) {
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

describe('R049: rate-limit resets', () => {
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
    expect(parseRateLimitReset(sent, NOW_MS)?.delayMs).toBe(delayMs)
  })

  test('an answer that is throttled itself: the window that renews first, unless one is known to be spent', () => {
    expect(parseRateLimitReset({ ratelimit: '"m";r=5;t=30, "day";r=9;t=600' }, NOW_MS, true)?.delayMs).toBe(30_000)
    expect(parseRateLimitReset({ ratelimit: '"m";r=5;t=30, "day";r=0;t=600' }, NOW_MS, true)?.delayMs).toBe(600_000)
    expect(parseRateLimitReset({ 'x-ratelimit-reset': epoch }, NOW_MS, true)?.delayMs).toBe(30_000)
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
