/** Many seeds: hands them out, adds up what comes back. */
import type { Clock } from '../../src/core/clock.ts'
import { addCounts } from '../../src/testing/simulator/coverage.ts'
import { neverExercised } from '../../src/testing/simulator/required-coverage.ts'
import type { Report } from './orders.ts'
import type { Pool } from './pool.ts'

export interface CampaignOrders {
  /** In order; each is the text of a whole number. */
  readonly seeds: readonly string[]
  /** Every seed twice. Otherwise one in 50 is. */
  readonly twice: boolean
  /** End at the first seed that fails, or that violates the check of this name. */
  readonly bail: boolean | string
}

export interface CampaignResult {
  readonly seeds: number
  /** What was asked for: more, where Ctrl-C or a failure ended it before. */
  readonly wanted: number
  readonly failed: readonly Report[]
  readonly facts: number
  readonly items: number
  readonly troubles: number
  /** Of one seed; a run that ended without an answer has none. */
  readonly perSeed: { readonly items: Spread; readonly troubles: Spread }
  readonly virtualMs: number
  /** Real time from the first seed to the last. */
  readonly tookMs: number
  readonly comparedTwice: number
  readonly coverage: Readonly<Record<string, number>>
  readonly neverExercised: readonly string[]
  /** Whether so many seeds have passed that everything should have been exercised. */
  readonly coverageCounts: boolean
  readonly slowest: readonly { readonly seed: string; readonly tookMs: number; readonly summary: string }[]
}

export interface Spread {
  readonly least: number
  readonly median: number
}

/** From so many seeds on, a path that was never taken is a failure and not bad luck. */
export const COVERAGE_COUNTS_FROM = 300
const TWICE_ONE_IN = 50
const SLOWEST = 5

export interface CampaignParts {
  readonly pool: Pool
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Called with what is known so far after each seed. */
  readonly onSeed?: (sofar: CampaignResult) => void
}

export async function runCampaign(orders: CampaignOrders, parts: CampaignParts): Promise<CampaignResult> {
  const { pool, clock, signal, onSeed } = parts
  const fromMs = clock.monotonicMs()
  const seeds = orders.seeds.entries()
  let result = emptyResult(orders.seeds.length)
  const items: number[] = []
  const troubles: number[] = []

  async function work(): Promise<void> {
    for (const [index, seed] of seeds) {
      if (signal?.aborted || isEnough(result, orders.bail)) return
      const twice = orders.twice || (index + 1) % TWICE_ONE_IN === 0
      const report = await pool.run({ scenario: seed, twice })
      if (signal?.aborted) return
      result = withReport(result, report, clock.monotonicMs() - fromMs)
      if (report.traceHash !== '') {
        items.push(report.items)
        troubles.push(report.troubles)
      }
      onSeed?.(result)
    }
  }

  // Ctrl-C does not wait for the seeds under way.
  const interrupted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([Promise.all(Array.from({ length: pool.jobs }, work)), interrupted])
  const missing = neverExercised(result.coverage)
  return {
    ...result,
    perSeed: { items: spreadOf(items), troubles: spreadOf(troubles) },
    neverExercised: missing,
    coverageCounts: result.seeds >= COVERAGE_COUNTS_FROM,
  }
}

function spreadOf(counts: readonly number[]): Spread {
  const sorted = counts.toSorted((left, right) => left - right)
  return { least: sorted[0] ?? 0, median: sorted[sorted.length >> 1] ?? 0 }
}

/** Whether it found nothing to complain about. */
export function hasPassed({ failed, coverageCounts, neverExercised }: CampaignResult): boolean {
  return failed.length === 0 && !(coverageCounts && neverExercised.length > 0)
}

function isEnough({ failed }: CampaignResult, bail: boolean | string): boolean {
  if (typeof bail === 'boolean') return bail && failed.length > 0
  return failed.some(({ violations }) => violations.some(({ check }) => check === bail))
}

function emptyResult(wanted: number): CampaignResult {
  return {
    seeds: 0,
    wanted,
    failed: [],
    facts: 0,
    items: 0,
    troubles: 0,
    perSeed: { items: spreadOf([]), troubles: spreadOf([]) },
    virtualMs: 0,
    tookMs: 0,
    comparedTwice: 0,
    coverage: {},
    neverExercised: [],
    coverageCounts: false,
    slowest: [],
  }
}

function withReport(sofar: CampaignResult, report: Report, tookMs: number): CampaignResult {
  const { seed, summary } = report
  const slowest = [...sofar.slowest, { seed, summary, tookMs: report.tookMs }].sort((a, b) => b.tookMs - a.tookMs)
  return {
    ...sofar,
    seeds: sofar.seeds + 1,
    failed: report.violations.length > 0 ? [...sofar.failed, report] : sofar.failed,
    facts: sofar.facts + report.facts,
    items: sofar.items + report.items,
    troubles: sofar.troubles + report.troubles,
    virtualMs: sofar.virtualMs + report.virtualMs,
    tookMs,
    comparedTwice: sofar.comparedTwice + (report.twice ? 1 : 0),
    coverage: addCounts(sofar.coverage, report.coverage),
    slowest: slowest.slice(0, SLOWEST),
  }
}
