import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../../config/resolve.ts'
import { seededRandom } from '../../../core/random.ts'
import { createCatalog } from '../../../engine/pipelines/catalog.ts'
import { createVirtualClock } from '../../virtual-clock.ts'
import { buildPipelines } from '../build-pipelines.ts'
import type { Scenario, TroublePlan } from '../scenario.ts'
import { compensates } from '../undoing.ts'
import { describeScenario, drawScenario, scenarioSize } from './index.ts'
import { JOB_OPERATIONS } from './jobs.ts'
import { MOODS } from './mood.ts'
import { OPERATION_KINDS } from './operations.ts'
import { STEP_KINDS } from './pipelines.ts'
import { FEWEST_ITEMS, MOST_ITEMS } from './submissions.ts'
import { API_TROUBLES, FEWEST_TROUBLES, NETWORK_TROUBLES } from './troubles.ts'
import { UNDO_KINDS } from './undoing.ts'

const HALF_A_DAY_MS = 12 * 3_600_000

const scenarios = Array.from({ length: 500 }, (_, index) => drawScenario(`seed ${index}`))

/** Reports the seed of the first scenario that breaks a rule. */
function forAll(check: (scenario: Scenario) => void): void {
  for (const scenario of scenarios) {
    try {
      check(scenario)
    } catch (error) {
      throw new Error(`seed "${scenario.seed}", ${describeScenario(scenario)}`, { cause: error })
    }
  }
}

const catalogOf = (scenario: Scenario) => {
  const integrations = Object.fromEntries(scenario.apis.map(({ name, integration }) => [name, integration]))
  const hooks = {
    clock: createVirtualClock(),
    random: seededRandom(1),
    act: () => undefined,
    has: () => false,
    note: () => undefined,
  }
  const config = resolveConfig({ integrations }, { env: {}, baseDirectory: '/' })
  return createCatalog(config.integrations, buildPipelines(scenario, hooks))
}

describe('drawing scenarios', () => {
  test('the same seed gives the same scenario, another seed another one', () => {
    forAll((scenario) => expect(drawScenario(scenario.seed)).toEqual(scenario))
    const different = new Set(scenarios.map(({ seed, ...scenario }) => JSON.stringify(scenario)))
    expect(different.size).toBe(scenarios.length)
  })

  test('a scenario is plain data: it survives being stored', () => {
    forAll((scenario) => expect(JSON.parse(JSON.stringify(scenario))).toEqual(scenario))
  })

  test('every integration is accepted, with every change of it, and every pipeline builds', () => {
    forAll((scenario) => {
      const { pipelines } = scenario
      expect(catalogOf(scenario).pipelines.size).toBe(pipelines.length + pipelines.filter(compensates).length)
      for (const trouble of scenario.troubles) {
        if (trouble.kind !== 'rolling_restart' || !trouble.config) continue
        const apis = scenario.apis.map((api) => ({
          ...api,
          integration: { ...api.integration, ...trouble.config?.[api.name] },
        }))
        catalogOf({ ...scenario, apis })
      }
    })
  })

  test('sizes are within their bounds', () => {
    forAll((scenario) => {
      const size = scenarioSize(scenario)
      const within = (value: number, low: number, high: number) => {
        expect(value).toBeGreaterThanOrEqual(low)
        expect(value).toBeLessThanOrEqual(high)
      }
      within(size.machines, 2, 4)
      within(size.apis, 1, 4)
      within(size.items, FEWEST_ITEMS, MOST_ITEMS)
      within(size.troubles, FEWEST_TROUBLES, 61)
      within(size.operations, 5, 30)
      within(scenario.busyMs, 120_000, 7 * 86_400_000)
      for (const { steps } of scenario.pipelines) within(steps.length, 1, 6)
      for (const { workers, concurrency } of scenario.machines) {
        within(workers, 1, 3)
        within(concurrency, 1, 100)
      }
      const tenants = new Set(scenario.submissions.flatMap(({ records }) => records.map(({ tenant }) => tenant)))
      within(tenants.size, 1, 12)
    })
  })

  test('everything happens in the busy time, and on machines and APIs that are there', () => {
    forAll(({ busyMs, machines, apis, submissions, troubles, operations }) => {
      const names = new Set([...machines, ...apis].map(({ name }) => name))
      const wrong = [...submissions, ...troubles, ...operations].filter((plan) => {
        const named = [...('machine' in plan ? [plan.machine ?? 'm1'] : []), ...('api' in plan ? [plan.api] : [])]
        const fits = plan.atMs >= 0 && plan.atMs + lengthOf(plan) <= busyMs
        return !fits || named.some((name) => !names.has(name))
      })
      expect(wrong).toEqual([])
    })
  })

  test('clocks differ by a quarter of a lease at most; the one that all go by is set by hours where that is what it is about', () => {
    forAll(({ mood, machines, troubles }) => {
      const shortestMs = Math.min(...machines.map(({ settings }) => settings.leaseMs as number))
      const aheadMs = new Map(machines.map(({ name, skewMs }) => [name, skewMs]))
      for (const trouble of troubles) {
        if (trouble.kind !== 'clock_jump') continue
        for (const [name, ms] of aheadMs) {
          if (trouble.machine === undefined || trouble.machine === name) aheadMs.set(name, ms + trouble.byMs)
        }
        const all = [...aheadMs.values()]
        expect(Math.max(...all.map(Math.abs))).toBeLessThanOrEqual(
          shortestMs + (mood === 'clock_trouble' ? HALF_A_DAY_MS : 0),
        )
        expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(shortestMs / 4 + 4)
      }
    })
  })

  test('R095: a lost effect is looked for only when nothing can be on its way any more', () => {
    forAll(({ machines, apis, troubles }) => {
      const delaysMs = troubles.map((trouble) =>
        'delayMs' in trouble && trouble.kind === 'network' ? trouble.delayMs : 0,
      )
      const slowestMs =
        Math.max(...delaysMs.map((ms) => ms ?? 0)) + Math.max(...apis.map(({ latencyMs }) => latencyMs[1]))
      for (const { settings } of machines) expect(settings.reconcileDelayMs).toBeGreaterThan(slowestMs)
    })
  })

  test('records without a common entity share no operation, and a pipeline has one step of that kind at most', () => {
    forAll(({ pipelines, submissions }) => {
      for (const { steps } of pipelines) {
        expect(steps.filter(({ kind }) => kind === 'post_operation').length).toBeLessThanOrEqual(1)
      }
      const places = new Map<string, string>()
      for (const { pipeline, records } of submissions) {
        for (const { entity, tenant } of records) {
          const place = `${pipeline} ${tenant}`
          expect(places.get(entity) ?? place).toBe(place)
          places.set(entity, place)
        }
      }
    })
  })

  test('polls, lease rounds and health syncs are bounded, however long the run is', () => {
    forAll(({ busyMs, machines }) => {
      let timers = 0
      for (const { workers, settings } of machines) {
        const { pollMs = 250, leaseMs = 30_000, healthSyncMs = 1000 } = settings
        timers += workers * (busyMs / pollMs + (3 * busyMs) / leaseMs) + busyMs / healthSyncMs
      }
      expect(timers).toBeLessThan(1000)
    })
  })

  test('over 300 seeds everything that can be drawn is drawn', () => {
    const drawn = new Set<string>()
    for (const scenario of scenarios.slice(0, 300)) {
      drawn.add(`mood ${scenario.mood}`)
      for (const { steps } of scenario.pipelines)
        for (const { kind, undo } of steps) drawn.add(`step ${kind}`).add(`undo ${undo}`)
      for (const { what } of scenario.operations) drawn.add(`operation ${what}`)
      for (const trouble of scenario.troubles) drawn.add(nameOf(trouble))
      const soonAfter = scenario.submissions.filter(
        ({ atMs }, index, all) => index > 0 && atMs - (all[index - 1]?.atMs ?? 0) < 2000,
      )
      if (soonAfter.length > 100) drawn.add('one by one')
      for (const { records } of scenario.submissions) {
        for (const { refusedBy, variant } of records) {
          if (refusedBy) drawn.add('refused data')
          if (variant !== undefined) drawn.add('contradiction')
        }
      }
      for (const { rateLimit } of scenario.apis) {
        if (rateLimit) drawn.add(`retry-after ${rateLimit.retryAfter}`).add(`reset ${rateLimit.reset}`)
      }
    }
    const wanted = [
      ...MOODS.map(({ name }) => `mood ${name}`),
      ...STEP_KINDS.map((kind) => `step ${kind}`),
      ...UNDO_KINDS.map((kind) => `undo ${kind}`),
      ...JOB_OPERATIONS.map((what) => `operation ${what}`),
      ...OPERATION_KINDS.map((what) => `operation ${what}`),
      ...NETWORK_TROUBLES.map((what) => `network ${what}`),
      ...API_TROUBLES.map((what) => `api ${what}`),
      ...['refused', 'slow', 'outcome_unknown'].map((what) => `store ${what}`),
      ...['crash', 'freeze', 'rolling_restart', 'rolling_restart with config', 'lost_wake_ups'],
      ...['clock_jump', 'clock_jump everywhere', 'refused data', 'contradiction', 'one by one'],
      ...['seconds', 'decimal_seconds', 'http_date', 'milliseconds', 'none'].map((form) => `retry-after ${form}`),
      ...['epoch_seconds', 'epoch_milliseconds', 'delta_seconds'].map((form) => `reset ${form}`),
    ]
    expect(wanted.filter((name) => !drawn.has(name))).toEqual([])
  })

  test('a scenario is told in one line', () => {
    const [scenario] = scenarios as [Scenario]
    const line = describeScenario({ ...scenario, mood: 'calm', busyMs: 3 * 3_600_000, troubles: [] })
    expect(line).toMatch(/^\d machines, \d APIs?, \d+ steps?, \d+ items, 0 troubles over 3h \(calm\)$/)
  })
})

function lengthOf(plan: object): number {
  if ('lastsMs' in plan) return plan.lastsMs as number
  return 'downMs' in plan ? (plan.downMs as number) : 0
}

function nameOf(trouble: TroublePlan): string {
  switch (trouble.kind) {
    case 'network':
    case 'api':
    case 'store':
      return `${trouble.kind} ${trouble.what}`
    case 'rolling_restart':
      return trouble.config ? 'rolling_restart with config' : trouble.kind
    case 'clock_jump':
      return trouble.machine === undefined ? 'clock_jump everywhere' : trouble.kind
    default:
      return trouble.kind
  }
}
