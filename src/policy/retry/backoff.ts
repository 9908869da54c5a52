/**
 * How long to wait before a retry (R032-R045, D10). `k` is the number of the retry, 1 for the first; every formula is capped
 * by `capMs`, whatever `k` is.
 */
import type { BackoffSettings, JitterStrategy } from '../../config/settings.ts'
import { formatDuration } from '../../core/duration.ts'
import { type Random, randomBetween } from '../../core/random.ts'

/** Beyond this exponent any base reaches any cap; keeps huge retry numbers out of Infinity and NaN (R044). */
const LARGEST_EXPONENT = 60
/** How many waits stand for a distribution in a schedule: the mean is right to about 1 %. */
const LIKELY_WAITS = 50
const RETRY_AFTER_JITTER_SHARE = 0.1
const RETRY_AFTER_JITTER_LIMIT_MS = 5_000

/** The three additive formulas of the sources, by requirement: first exponent, and how much chance is added. */
export const ADDITIVE_FORMULAS = {
  /** `min(base * 2^n + rand(0, base), cap)`, n = 1 for the first retry: the schedule of R037. What `additive` means. */
  R033: { firstExponent: 1, jitterMs: (baseMs: number) => baseMs },
  /** `min(base * 2^n + rand(0, base), cap)`, n = 0 for the first retry. */
  R034: { firstExponent: 0, jitterMs: (baseMs: number) => baseMs },
  /** `min(cap, base * 2^n + rand(0, 1 s))`, n = 0 for the first retry. */
  R035: { firstExponent: 0, jitterMs: (_baseMs: number) => 1_000 },
} as const

export type AdditiveFormula = keyof typeof ADDITIVE_FORMULAS

/**
 * Wait before retry number `retry` (1 is the first retry), D10, in whole milliseconds.
 * - `full`: uniform between base / 10 and min(cap, base * 2^k): never about zero, so that no retry follows at once.
 * - `equal`: half of min(cap, base * 2^k) for sure, the other half by chance.
 * - `additive`: {@link ADDITIVE_FORMULAS} `R033`.
 * - `decorrelated`: min(cap, uniform between base and three times `previousDelayMs` (default base)); `retry` is not used.
 * - `none`: min(cap, base * 2^k).
 */
export function backoffDelayMs(
  settings: BackoffSettings,
  retry: number,
  random: Random,
  previousDelayMs: number = settings.baseMs,
): number {
  const { baseMs, capMs } = settings
  const ceilingMs = cappedExponentialMs(settings, retry)
  switch (settings.jitter) {
    case 'full':
      return Math.round(randomBetween(random, Math.min(baseMs / 10, ceilingMs), ceilingMs))
    case 'equal':
      return Math.round(randomBetween(random, ceilingMs / 2, ceilingMs))
    case 'additive':
      return additiveDelayMs('R033', settings, retry, random)
    case 'decorrelated':
      return Math.round(Math.min(capMs, randomBetween(random, baseMs, decorrelatedHighMs(settings, previousDelayMs))))
    case 'none':
      return Math.round(ceilingMs)
  }
}

/** Wait before retry number `retry` by one of the sources' additive formulas, in whole milliseconds. */
export function additiveDelayMs(
  formula: AdditiveFormula,
  settings: Pick<BackoffSettings, 'baseMs' | 'capMs'>,
  retry: number,
  random: Random,
): number {
  const { firstExponent, jitterMs } = ADDITIVE_FORMULAS[formula]
  const fixedMs = exponentialMs(settings.baseMs, retry - 1 + firstExponent)
  return Math.round(Math.min(settings.capMs, fixedMs + randomBetween(random, 0, jitterMs(settings.baseMs))))
}

/**
 * A server's Retry-After as a floor, plus 0-10 % and at most 5 s, never shortened by a cap (D11): the whole herd was told the
 * same second. Own waits that are longer stay as they are.
 */
export function withRetryAfter(delayMs: number, retryAfterMs: number | undefined, random: Random): number {
  if (retryAfterMs === undefined) return delayMs
  const floorMs = Math.max(0, retryAfterMs)
  const jitterMs = randomBetween(random, 0, Math.min(floorMs * RETRY_AFTER_JITTER_SHARE, RETRY_AFTER_JITTER_LIMIT_MS))
  return Math.max(delayMs, Math.ceil(floorMs + jitterMs))
}

export interface ScheduleRow {
  /** 1 is the first retry. */
  readonly retry: number
  readonly minimumMs: number
  /** The mean. */
  readonly expectedMs: number
  readonly maximumMs: number
  /** Means and worst cases of all waits up to and including this one. */
  readonly expectedTotalMs: number
  readonly maximumTotalMs: number
}

interface Range {
  readonly minimumMs: number
  readonly expectedMs: number
  readonly maximumMs: number
  /** Where the next wait depends on this one: equally likely waits, in order. */
  readonly likelyMs?: readonly number[]
}

/** The printable schedule: what `explain` and `plan` show (D10). */
export function backoffSchedule(settings: BackoffSettings, retries: number): ScheduleRow[] {
  const rows: ScheduleRow[] = []
  let previous: Range | undefined
  let expectedTotalMs = 0
  let maximumTotalMs = 0
  for (let retry = 1; retry <= retries; retry++) {
    const range: Range = DELAY_RANGES[settings.jitter](settings, retry, previous)
    expectedTotalMs += range.expectedMs
    maximumTotalMs += range.maximumMs
    const { minimumMs, expectedMs, maximumMs } = range
    rows.push({ retry, minimumMs, expectedMs, maximumMs, expectedTotalMs, maximumTotalMs })
    previous = range
  }
  return rows
}

/** The schedule as a table in monospaced text, one line per retry. */
export function formatSchedule(rows: readonly ScheduleRow[]): string {
  const table = [
    ['retry', 'shortest', 'expected', 'longest', 'expected total', 'longest total'],
    ...rows.map((row) => [
      String(row.retry),
      ...[row.minimumMs, row.expectedMs, row.maximumMs, row.expectedTotalMs, row.maximumTotalMs].map(formatDuration),
    ]),
  ]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => cells[column]!.length)))
  return table.map((cells) => cells.map((cell, column) => cell.padStart(widths[column]!)).join('  ')).join('\n')
}

const DELAY_RANGES: Record<
  JitterStrategy,
  (settings: BackoffSettings, retry: number, previous: Range | undefined) => Range
> = {
  full(settings, retry) {
    const ceilingMs = cappedExponentialMs(settings, retry)
    return uniformRange(Math.min(settings.baseMs / 10, ceilingMs), ceilingMs)
  },
  equal(settings, retry) {
    const ceilingMs = cappedExponentialMs(settings, retry)
    return uniformRange(ceilingMs / 2, ceilingMs)
  },
  additive({ baseMs, capMs }, retry) {
    const { firstExponent, jitterMs } = ADDITIVE_FORMULAS.R033
    const fixedMs = exponentialMs(baseMs, retry - 1 + firstExponent)
    return cappedUniformRange(fixedMs, fixedMs + jitterMs(baseMs), capMs)
  },
  decorrelated(settings, _retry, previous) {
    const likelyMs = likelyNextMs(settings, previous?.likelyMs ?? [settings.baseMs])
    const longestHighMs = decorrelatedHighMs(settings, previous?.maximumMs ?? settings.baseMs)
    return {
      minimumMs: Math.min(settings.baseMs, settings.capMs),
      expectedMs: likelyMs.reduce((sum, waitMs) => sum + waitMs, 0) / likelyMs.length,
      maximumMs: Math.min(settings.capMs, longestHighMs),
      likelyMs,
    }
  },
  none(settings, retry) {
    const ceilingMs = cappedExponentialMs(settings, retry)
    return uniformRange(ceilingMs, ceilingMs)
  },
}

function uniformRange(lowMs: number, highMs: number): Range {
  return { minimumMs: lowMs, expectedMs: (lowMs + highMs) / 2, maximumMs: highMs }
}

/** A uniform draw, cut at the cap: what lies beyond it all becomes the cap. */
function cappedUniformRange(lowMs: number, highMs: number, capMs: number): Range {
  if (highMs <= capMs) return uniformRange(lowMs, highMs)
  if (lowMs >= capMs) return uniformRange(capMs, capMs)
  const belowCap = (capMs - lowMs) / (highMs - lowMs)
  const expectedMs = belowCap * ((lowMs + capMs) / 2) + (1 - belowCap) * capMs
  return { minimumMs: lowMs, expectedMs, maximumMs: capMs }
}

/** Of all waits that may follow the likely ones, {@link LIKELY_WAITS} that stand for them. */
function likelyNextMs(settings: BackoffSettings, previousMs: readonly number[]): number[] {
  const nextMs: number[] = []
  for (const waitMs of previousMs) {
    const highMs = decorrelatedHighMs(settings, waitMs)
    for (let index = 0; index < LIKELY_WAITS; index++) {
      const share = (index + 0.5) / LIKELY_WAITS
      nextMs.push(Math.min(settings.capMs, settings.baseMs + (highMs - settings.baseMs) * share))
    }
  }
  nextMs.sort((left, right) => left - right)
  const step = previousMs.length
  return Array.from({ length: LIKELY_WAITS }, (_, index) => nextMs[index * step + Math.floor(step / 2)]!)
}

function decorrelatedHighMs({ baseMs, capMs }: BackoffSettings, previousDelayMs: number): number {
  return Math.max(baseMs, Math.min(previousDelayMs, capMs) * 3)
}

function cappedExponentialMs({ baseMs, capMs }: BackoffSettings, retry: number): number {
  return Math.min(capMs, exponentialMs(baseMs, Math.max(1, retry)))
}

function exponentialMs(baseMs: number, exponent: number): number {
  return baseMs * 2 ** Math.min(Math.max(0, exponent), LARGEST_EXPONENT)
}
