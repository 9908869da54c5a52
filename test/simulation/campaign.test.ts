import { describe, expect, test } from 'vitest'
import { REQUIRED_COVERAGE } from '../../src/testing/simulator/required-coverage.ts'
import { createVirtualClock } from '../../src/testing/virtual-clock.ts'
import {
  type CampaignOrders,
  type CampaignParts,
  COVERAGE_COUNTS_FROM,
  hasPassed,
  runCampaign,
} from '../../tools/simulation/campaign.ts'
import { failedReport, type Order, type Report } from '../../tools/simulation/orders.ts'
import { progressText } from '../../tools/simulation/progress.ts'
import { campaignText } from '../../tools/simulation/summary.ts'

const plain = (text: string) => text
const colours = { good: plain, bad: plain, warn: plain, dim: plain, strong: plain, accent: plain }
const look = { width: 100, colours }
const everything = Object.fromEntries(REQUIRED_COVERAGE.map((name) => [name, 1]))

function good(order: Order, more: Partial<Report> = {}): Report {
  return {
    ...failedReport(order, '', '', 5),
    violations: [],
    traceHash: 'told',
    summary: '2 machines',
    items: 300,
    troubles: 20,
    facts: 1000,
    virtualMs: 3_600_000,
    coverage: everything,
    twice: order.twice === true,
    ...more,
  }
}

function bad(order: Order): Report {
  return failedReport(order, 'the books balance', 'they do not', 5)
}

function run(count: number, report: (order: Order) => Report, more: Partial<CampaignOrders & CampaignParts> = {}) {
  const seeds = Array.from({ length: count }, (_, index) => String(index + 1))
  const pool = { jobs: 2, run: async (order: Order) => report(order), [Symbol.dispose]() {} }
  return runCampaign({ seeds, twice: false, bail: false, ...more }, { pool, clock: createVirtualClock(), ...more })
}

describe('many seeds', () => {
  test('are added up, and pass', async () => {
    const result = await run(120, good)
    expect(result).toMatchObject({ seeds: 120, items: 36_000, troubles: 2400, comparedTwice: 2, failed: [] })
    expect(hasPassed(result)).toBe(true)
    const text = campaignText(result, look)
    expect(text).toContain('120 seeds in')
    expect(text).toContain('no violation')
    expect(text).toContain('per seed: at least 300 items (median 300), at least 20 troubles (median 20)')
    expect(progressText(result)).toContain('36,000 items, 2,400 troubles, 5d simulated, no violation')
  })

  test('one that fails is told with its command, and the others go on', async () => {
    const result = await run(30, (order) => (order.scenario === '17' ? bad(order) : good(order)))
    expect(hasPassed(result)).toBe(false)
    expect(result.seeds).toBe(30)
    const text = campaignText(result, look)
    expect(text).toContain('seed 17: the books balance: they do not')
    expect(text).toContain('npm run simulate -- --seed 17')
  })

  test('twenty are told, and all are named', async () => {
    const result = await run(60, (order) => (Number(order.scenario) > 30 ? bad(order) : good(order)))
    const text = campaignText(result, look)
    expect(text.match(/--seed \d+/g)).toHaveLength(20)
    expect(text).toMatch(/all of them: 31 32 33 .* 58 59 60\n/)
  })

  test('end at the first failure where that is asked for', async () => {
    const result = await run(1000, (order) => (order.scenario === '17' ? bad(order) : good(order)), { bail: true })
    expect(result.failed).toHaveLength(1)
    expect(result.seeds).toBeLessThan(25)
    expect(campaignText(result, look)).toMatch(/ended before its end: 9\d\d seeds were not run/)
  })

  test('end at the first failure by one check where that is asked for', async () => {
    const failing = (order: Order) =>
      order.scenario === '17'
        ? failedReport(order, 'liveness', 'it hangs', 5)
        : order.scenario === '3'
          ? bad(order)
          : good(order)
    const result = await run(1000, failing, { bail: 'liveness' })
    expect(result.failed.map(({ seed }) => seed)).toEqual(['3', '17'])
    expect(result.seeds).toBeLessThan(25)
  })

  test('end at once when interrupted, with what is known, even while a seed hangs', async () => {
    const interruption = new AbortController()
    const pool = {
      jobs: 2,
      run: (order: Order) => (order.scenario === '5' ? new Promise<Report>(() => {}) : Promise.resolve(good(order))),
      [Symbol.dispose]() {},
    }
    const onSeed = ({ seeds }: { seeds: number }) => seeds === 12 && interruption.abort()
    const result = await run(100, good, { pool, signal: interruption.signal, onSeed })
    expect(result).toMatchObject({ seeds: 12, wanted: 100 })
  })

  test('with --twice each is run twice', async () => {
    expect(await run(7, good, { twice: true })).toMatchObject({ comparedTwice: 7 })
  })

  test('what was never exercised is a failure, but only after so many seeds that it is no bad luck', async () => {
    const withoutCrash = (order: Order) => good(order, { coverage: { ...everything, 'trouble: crash': 0 } })
    const few = await run(COVERAGE_COUNTS_FROM - 1, withoutCrash)
    expect(few.neverExercised).toEqual(['trouble: crash'])
    expect(hasPassed(few)).toBe(true)
    expect(campaignText(few, look)).toMatch(/trouble: crash +NEVER/)
    expect(campaignText(few, look)).toContain('a note only')
    const many = await run(COVERAGE_COUNTS_FROM, withoutCrash)
    expect(hasPassed(many)).toBe(false)
    expect(campaignText(many, look)).toContain('FAILED: not everything was exercised')
  })
})
