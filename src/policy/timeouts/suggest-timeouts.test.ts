import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TimeoutSettings } from '../../config/settings.ts'
import { type EndpointTally, mergeTally, newTally, tallyFromJson, tallyToJson } from './endpoint-tally.ts'
import { addLatency } from './latency-sketch.ts'
import { categoryOf, suggestConnectTimeout, suggestTimeouts, type TimeoutAdvice } from './suggest-timeouts.ts'

const DEFAULTS: TimeoutSettings = { connectMs: 3000, headersMs: 10_000, bodyMs: 15_000, totalMs: 60_000 }

interface Observed {
  readonly calls: number
  /** What nearly all take; one in 100 takes `p99Ms`. */
  readonly usualMs?: number
  readonly p99Ms: number
  readonly cutOff?: Partial<EndpointTally['cutOff']>
}

function tallyOf({ calls, p99Ms, usualMs = p99Ms / 4, cutOff = {} }: Observed): EndpointTally {
  const tally = newTally()
  for (let index = 0; index < calls; index++) {
    // Two in a hundred, so that the rank of the p99 is one of them.
    const latencyMs = index % 50 === 0 ? p99Ms : usualMs
    for (const sketch of [tally.connect, tally.headers, tally.total]) addLatency(sketch, latencyMs)
  }
  Object.assign(tally.cutOff, cutOff)
  tally.unanswered = (cutOff.headers ?? 0) + (cutOff.total ?? 0)
  tally.calls = calls + Object.values(tally.cutOff).reduce((sum, count) => sum + count, 0)
  return tally
}

function adviceOf(timeout: 'headers' | 'total', observed: Observed, present: Partial<TimeoutSettings> = {}) {
  const advice = suggestTimeouts(tallyOf(observed), { ...DEFAULTS, ...present }, 7)
  return advice.find((one) => one.timeout === timeout) as TimeoutAdvice
}

const present = fc.record({
  connectMs: fc.integer({ min: 50, max: 120_000 }),
  headersMs: fc.integer({ min: 50, max: 300_000 }),
  bodyMs: fc.integer({ min: 50, max: 300_000 }),
  totalMs: fc.integer({ min: 50, max: 600_000 }),
})
const p99 = fc.double({ min: 0, max: 5.3, noNaN: true }).map((power) => 10 ** power)
const count = fc.integer({ min: 0, max: 60 })

describe('R152: derived from observation', () => {
  test('2-3 times the p99', () => {
    const between = fc.double({ min: Math.log(400), max: Math.log(29_000), noNaN: true }).map(Math.exp)
    fc.assert(
      fc.property(between, (p99Ms) => {
        const long = { ...DEFAULTS, headersMs: 290_000, totalMs: 590_000 }
        for (const { suggestedMs = 0, p99Ms: seenMs = 0 } of suggestTimeouts(
          tallyOf({ calls: 2000, p99Ms }),
          long,
          7,
        )) {
          expect(suggestedMs / seenMs).toBeGreaterThanOrEqual(2)
          expect(suggestedMs / seenMs).toBeLessThanOrEqual(3)
        }
      }),
    )
  })

  test('says why: how much was seen, and what the present timeout costs', () => {
    expect(adviceOf('total', { calls: 12_431, p99Ms: 1800 })).toMatchObject({
      verdict: 'too_long',
      suggestedMs: 5000,
      why: expect.stringMatching(
        /^p99 of 12,431 calls in 7 days: 1\.[78]s; your total timeout of 1m is 3[345] times that: a call that hangs holds its place for 1m$/,
      ),
    })
  })

  test('what suits is left alone, and small gains are not worth a word', () => {
    expect(adviceOf('total', { calls: 2000, p99Ms: 1800 }, { totalMs: 5000 })).toMatchObject({ verdict: 'fits' })
    expect(adviceOf('headers', { calls: 2000, p99Ms: 1800 }, { headersMs: 9000 })).toMatchObject({ verdict: 'fits' })
    expect(adviceOf('headers', { calls: 2000, p99Ms: 1800 }, { headersMs: 9000 })).not.toHaveProperty('suggestedMs')
  })

  test('nothing with too few calls, but how many more it takes', () => {
    const advice = adviceOf('headers', { calls: 412, p99Ms: 100 })
    expect(advice).toMatchObject({
      verdict: 'too_few_calls',
      missingCalls: 588,
      why: expect.stringContaining('588 more'),
    })
    expect(advice).not.toHaveProperty('suggestedMs')
    expect(adviceOf('headers', { calls: 990, p99Ms: 100, cutOff: { headers: 10 } }).verdict).not.toBe('too_few_calls')
  })

  test('too short: calls are cut off where the others end, so the p99 cannot be seen, and it says so', () => {
    const advice = adviceOf('headers', { calls: 970, p99Ms: 9800, usualMs: 4000, cutOff: { headers: 30 } })
    expect(advice).toMatchObject({
      verdict: 'too_short',
      suggestedMs: 30_000,
      cutOff: 30,
      why: '3.0 % of 1,000 calls in 7 days were cut off at 10s, and those answered took up to that: the p99 is longer than can be seen',
    })
    expect(advice).not.toHaveProperty('p99Ms')
  })

  test('too short, and the p99 is known: a few are cut off', () => {
    const observed = { calls: 5000, p99Ms: 3000, cutOff: { headers: 10 } }
    expect(adviceOf('headers', observed, { headersMs: 4000 })).toMatchObject({
      verdict: 'too_short',
      suggestedMs: 8000,
      why: expect.stringMatching(/is only 1\.3 times that, and 0\.2 % of the calls were cut off$/),
    })
  })

  test('calls that hang are told from calls that are slow: waiting longer would not help them', () => {
    const observed = { calls: 970, p99Ms: 300, cutOff: { headers: 30 } }
    expect(adviceOf('headers', observed)).toMatchObject({
      verdict: 'too_long',
      suggestedMs: 1000,
      why: expect.stringContaining('the others hang, and waiting longer would not help'),
    })
    expect(adviceOf('total', observed).why).toContain('cut off at 10s')
  })

  test('an outage suggests nothing', () => {
    expect(adviceOf('total', { calls: 0, p99Ms: 1, cutOff: { total: 2000 } })).toMatchObject({
      verdict: 'fits',
      why: expect.stringContaining('an outage'),
    })
  })
})

describe('R153: not sub-second, not minutes, not one for everything', () => {
  test('whatever was observed, from 1 s to 60 s, and the total not below the headers', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3000 }),
        p99,
        present,
        count,
        count,
        (calls, p99Ms, settings, headers, total) => {
          const tally = tallyOf({ calls, p99Ms, cutOff: { headers, total } })
          const [ofHeaders, ofTotal] = suggestTimeouts(tally, settings, 1) as [TimeoutAdvice, TimeoutAdvice]
          for (const { suggestedMs, presentMs, verdict } of [ofHeaders, ofTotal]) {
            if (suggestedMs === undefined) continue
            expect(suggestedMs).toBeGreaterThanOrEqual(1000)
            expect(suggestedMs).toBeLessThanOrEqual(60_000)
            if (verdict === 'too_short') expect(suggestedMs).toBeGreaterThan(presentMs)
            else expect(suggestedMs).toBeLessThan(presentMs)
          }
          if (ofHeaders.suggestedMs !== undefined && ofTotal.suggestedMs !== undefined) {
            expect(ofTotal.suggestedMs).toBeGreaterThanOrEqual(ofHeaders.suggestedMs)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('one under a second is raised, fast as the API may be', () => {
    expect(adviceOf('headers', { calls: 2000, p99Ms: 40 }, { headersMs: 500 })).toMatchObject({
      verdict: 'too_short',
      suggestedMs: 1000,
    })
  })

  test('what takes half a minute and more needs another way to ask, not a longer wait', () => {
    expect(adviceOf('total', { calls: 2000, p99Ms: 45_000 })).toMatchObject({
      verdict: 'too_slow',
      why: expect.stringContaining('start a job there and look for its result'),
    })
    expect(adviceOf('total', { calls: 2000, p99Ms: 45_000 }, { totalMs: 50_000 })).toMatchObject({
      verdict: 'too_short',
      suggestedMs: 60_000,
    })
  })
})

describe('R150: connecting apart from reading', () => {
  test('2-5 s, from new connections alone', () => {
    fc.assert(
      fc.property(p99, present, count, (p99Ms, settings, connect) => {
        const tally = tallyOf({ calls: 200, p99Ms, cutOff: { connect } })
        const { suggestedMs = 2000 } = suggestConnectTimeout(tally, settings, 3)
        expect(suggestedMs).toBeGreaterThanOrEqual(2000)
        expect(suggestedMs).toBeLessThanOrEqual(5000)
      }),
    )
    const advice = suggestConnectTimeout(tallyOf({ calls: 200, p99Ms: 80 }), { ...DEFAULTS, connectMs: 30_000 }, 3)
    expect(advice).toMatchObject({ timeout: 'connect', verdict: 'too_long', suggestedMs: 2000 })
    expect(suggestConnectTimeout(tallyOf({ calls: 40, p99Ms: 80 }), DEFAULTS, 3)).toMatchObject({ missingCalls: 60 })
  })
})

describe('R151: by category', () => {
  test('a simple fetch gets up to 5 s, a report as long as it needs', () => {
    expect(categoryOf(tallyOf({ calls: 1000, p99Ms: 2000 }))).toBe('fetch')
    expect(categoryOf(tallyOf({ calls: 1000, p99Ms: 9000 }))).toBe('report')
    expect(adviceOf('headers', { calls: 1000, p99Ms: 2300 }, { headersMs: 30_000 })).toMatchObject({
      suggestedMs: 5000,
    })
    expect(adviceOf('headers', { calls: 1000, p99Ms: 12_000 })).toMatchObject({ suggestedMs: 30_000 })
  })
})

describe('a tally', () => {
  test('comes back from the store as it was, and adds up', () => {
    const [one, other] = [tallyOf({ calls: 20, p99Ms: 50 }), tallyOf({ calls: 7, p99Ms: 900, cutOff: { body: 2 } })]
    expect(tallyFromJson(JSON.parse(JSON.stringify(tallyToJson(other))))).toEqual(other)
    mergeTally(one, other)
    expect([one.calls, one.cutOff.body]).toEqual([29, 2])
  })

  test.for([
    null,
    1,
    {},
    { ...(tallyToJson(newTally()) as object), calls: -1 },
    { ...(tallyToJson(newTally()) as object), total: 'x' },
  ])('is not taken from what is none: %j', (value) => expect(tallyFromJson(value as never)).toBeUndefined())
})
