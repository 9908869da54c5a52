import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BackoffSettings, JitterStrategy } from '../../config/settings.ts'
import { type Random, seededRandom } from '../../core/random.ts'
import {
  type AdditiveFormula,
  additiveDelayMs,
  backoffDelayMs,
  backoffSchedule,
  formatSchedule,
  withRetryAfter,
} from './backoff.ts'

const STRATEGIES: readonly JitterStrategy[] = ['full', 'equal', 'additive', 'decorrelated', 'none']

function settingsWith(overrides: Partial<BackoffSettings> = {}): BackoffSettings {
  return { baseMs: 1_000, capMs: 60_000, jitter: 'full', ...overrides }
}

/** Always draws the same number: 0 is the shortest wait, almost 1 the longest. */
function fixedRandom(value: number): Random {
  return { next: () => value, bytes: (length) => new Uint8Array(length) }
}
const LOWEST = fixedRandom(0)
const MIDDLE = fixedRandom(0.5)
const HIGHEST = fixedRandom(1 - 2 ** -32)

function delays(settings: BackoffSettings, random: Random): number[] {
  return [1, 2, 3, 4, 5].map((retry) => backoffDelayMs(settings, retry, random))
}

const anySettings = fc.record({
  baseMs: fc.integer({ min: 0, max: 600_000 }),
  capMs: fc.integer({ min: 0, max: 86_400_000 }),
  jitter: fc.constantFrom(...STRATEGIES),
})
const anyRetry = fc.oneof(
  fc.integer({ min: 1, max: 200 }),
  fc.constantFrom(1_000, 1_024, 5_000, 2 ** 31, Number.MAX_SAFE_INTEGER),
)
const anySeed = fc.integer()

describe('backoffDelayMs', () => {
  it('R036, D10: full jitter draws between base / 10 and base * 2^k', () => {
    expect(delays(settingsWith(), LOWEST)).toEqual([100, 100, 100, 100, 100])
    expect(delays(settingsWith(), HIGHEST)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000])
    expect(delays(settingsWith(), MIDDLE)).toEqual([1_050, 2_050, 4_050, 8_050, 16_050])
  })

  it('D10: equal jitter keeps one half and draws the other', () => {
    expect(delays(settingsWith({ jitter: 'equal' }), LOWEST)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000])
    expect(delays(settingsWith({ jitter: 'equal' }), HIGHEST)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000])
  })

  it('R037: additive jitter with base 1 s gives 2, 4, 8, 16, 32 s plus up to 1 s', () => {
    expect(delays(settingsWith({ jitter: 'additive' }), LOWEST)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000])
    expect(delays(settingsWith({ jitter: 'additive' }), HIGHEST)).toEqual([3_000, 5_000, 9_000, 17_000, 33_000])
  })

  it('D10: decorrelated jitter draws between base and three times the wait before', () => {
    const settings = settingsWith({ jitter: 'decorrelated' })
    expect(backoffDelayMs(settings, 1, HIGHEST)).toBe(3_000)
    expect(backoffDelayMs(settings, 2, HIGHEST, 3_000)).toBe(9_000)
    expect(backoffDelayMs(settings, 2, LOWEST, 3_000)).toBe(1_000)
    expect(backoffDelayMs(settings, 9, HIGHEST, 50_000)).toBe(60_000)
  })

  it('R044: a base of nothing waits for nothing, however many retries there were', () => {
    expect(backoffDelayMs(settingsWith({ baseMs: 0 }), 5_000, HIGHEST)).toBe(0)
  })

  it('R044: a wait before that makes no sense does no harm', () => {
    const settings = settingsWith({ jitter: 'decorrelated' })
    expect(backoffDelayMs(settings, 2, LOWEST, Number.POSITIVE_INFINITY)).toBe(1_000)
    expect(backoffDelayMs(settings, 2, HIGHEST, Number.POSITIVE_INFINITY)).toBe(60_000)
  })

  it('R032: without jitter it doubles', () => {
    expect(delays(settingsWith({ jitter: 'none' }), MIDDLE)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000])
  })

  it('R040, R044: the tenth wait is the cap, not 17 minutes', () => {
    for (const jitter of STRATEGIES) {
      expect(backoffDelayMs(settingsWith({ jitter }), 10, HIGHEST, 40_000)).toBe(60_000)
    }
  })

  it('R044: no wait ever overflows, goes negative or passes the cap', () => {
    fc.assert(
      fc.property(
        anySettings,
        anyRetry,
        fc.double({ min: 0, noNaN: true }),
        anySeed,
        (settings, retry, previous, seed) => {
          const delayMs = backoffDelayMs(settings, retry, seededRandom(seed), previous)
          expect(Number.isSafeInteger(delayMs)).toBe(true)
          expect(delayMs).toBeGreaterThanOrEqual(0)
          expect(delayMs).toBeLessThanOrEqual(settings.capMs)
        },
      ),
    )
  })

  it('D10: no wait is about zero: a tenth of the base, or half the cap, at least', () => {
    fc.assert(
      fc.property(anySettings, anyRetry, anySeed, (settings, retry, seed) => {
        const leastMs = Math.floor(Math.min(settings.baseMs / 10, settings.capMs / 2))
        expect(backoffDelayMs(settings, retry, seededRandom(seed))).toBeGreaterThanOrEqual(leastMs)
      }),
    )
  })

  it('R038: 500 items that failed together do not come back together', () => {
    const random = seededRandom('herd')
    const perSecond = new Map<number, number>()
    for (let item = 0; item < 500; item++) {
      const second = Math.floor(backoffDelayMs(settingsWith(), 5, random) / 1_000)
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    }
    expect(Math.max(...perSecond.values())).toBeLessThan(50)
  })
})

describe('additiveDelayMs', () => {
  const cases: readonly [AdditiveFormula, readonly number[], readonly number[]][] = [
    ['R033', [4_000, 8_000, 16_000], [6_000, 10_000, 18_000]],
    ['R034', [2_000, 4_000, 8_000], [4_000, 6_000, 10_000]],
    ['R035', [2_000, 4_000, 8_000], [3_000, 5_000, 9_000]],
  ]
  it.each(cases)('%s: worked with a base of 2 s', (formula, lowest, highest) => {
    const settings = settingsWith({ baseMs: 2_000 })
    expect([1, 2, 3].map((retry) => additiveDelayMs(formula, settings, retry, LOWEST))).toEqual(lowest)
    expect([1, 2, 3].map((retry) => additiveDelayMs(formula, settings, retry, HIGHEST))).toEqual(highest)
  })

  it.each(['R033', 'R034', 'R035'] as const)('%s: the cap holds for the sum', (formula) => {
    expect(additiveDelayMs(formula, settingsWith({ capMs: 30_000 }), 6, HIGHEST)).toBe(30_000)
  })
})

describe('withRetryAfter', () => {
  it('R046, D11: never earlier than asked, and at most 10 % or 5 s later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60_000 }),
        fc.integer({ min: 0, max: 2_678_400_000 }),
        anySeed,
        (own, asked, seed) => {
          const delayMs = withRetryAfter(own, asked, seededRandom(seed))
          expect(delayMs).toBeGreaterThanOrEqual(Math.max(own, asked))
          expect(delayMs).toBeLessThanOrEqual(Math.max(own, Math.ceil(asked + Math.min(asked / 10, 5_000))))
        },
      ),
    )
  })

  it('R047: a longer wait of our own stays', () => expect(withRetryAfter(8_000, 2_000, HIGHEST)).toBe(8_000))
  it('D11: a wait of ten minutes is not shortened by a cap', () =>
    expect(withRetryAfter(0, 600_000, LOWEST)).toBe(600_000))
  it('R048: fractions of a millisecond round up', () => expect(withRetryAfter(0, 2_500.4, LOWEST)).toBe(2_501))
  it('without a Retry-After nothing changes', () => expect(withRetryAfter(1_234, undefined, HIGHEST)).toBe(1_234))
})

describe('backoffSchedule', () => {
  it('D10: full jitter expects about 31 s for five retries of base 1 s, 62 s at worst', () => {
    const last = backoffSchedule(settingsWith(), 5).at(-1)!
    expect(last).toEqual({
      retry: 5,
      minimumMs: 100,
      expectedMs: 16_050,
      maximumMs: 32_000,
      expectedTotalMs: 31_250,
      maximumTotalMs: 62_000,
    })
  })

  it('R037: additive expects about 2.5, 7, 15, 32, 65 s in all', () => {
    const totals = backoffSchedule(settingsWith({ jitter: 'additive' }), 5).map((row) => row.expectedTotalMs)
    expect(totals).toEqual([2_500, 7_000, 15_500, 32_000, 64_500])
  })

  it.each(STRATEGIES)('%s: every drawn wait lies in its row, and the mean is the expected one', (jitter) => {
    const settings = settingsWith({ jitter, capMs: 20_500 })
    const random = seededRandom(`schedule ${jitter}`)
    const rows = backoffSchedule(settings, 6)
    const sums = rows.map(() => 0)
    const rounds = 4_000
    for (let round = 0; round < rounds; round++) {
      let previous: number | undefined
      rows.forEach((row, index) => {
        previous = backoffDelayMs(settings, row.retry, random, previous)
        expect(previous).toBeGreaterThanOrEqual(Math.floor(row.minimumMs))
        expect(previous).toBeLessThanOrEqual(row.maximumMs)
        sums[index]! += previous
      })
    }
    rows.forEach((row, index) => {
      expect(Math.abs(sums[index]! / rounds / row.expectedMs - 1)).toBeLessThan(0.05)
    })
  })

  it('totals grow by each row', () => {
    const rows = backoffSchedule(settingsWith({ capMs: 10_000 }), 5)
    expect(rows.map((row) => row.maximumTotalMs)).toEqual([2_000, 6_000, 14_000, 24_000, 34_000])
  })

  it('prints as a table', () => {
    const text = formatSchedule(backoffSchedule(settingsWith({ jitter: 'none' }), 3))
    expect(text.split('\n')).toEqual([
      'retry  shortest  expected  longest  expected total  longest total',
      '    1        2s        2s       2s              2s             2s',
      '    2        4s        4s       4s              6s             6s',
      '    3        8s        8s       8s             14s            14s',
    ])
  })
})
