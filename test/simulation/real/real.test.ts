/**
 * A few of the simulator's scenarios with nothing simulated, so that what the simulated store, network and processes leave out
 * is known: the file and its locks, sockets, signals, real time. Not repeatable to the byte; what must hold, holds all the same.
 */
import { describe, expect, test } from 'vitest'
import type { Holdfast } from '../../../src/engine/api.ts'
import type { ItemSummary } from '../../../src/ledger/port.ts'
import { drawScenario } from '../../../src/testing/simulator/draw/index.ts'
import { effectKeyOf } from '../../../src/testing/simulator/record-input.ts'
import type { Scenario, StepPlan } from '../../../src/testing/simulator/scenario.ts'
import { isRepeatable } from '../../../src/testing/simulator/twin-routes.ts'
import { openWorkshop } from '../../support/workshop.ts'
import { forReal } from './real-scenario.ts'
import { openRealWorld, type RealWorld } from './real-world.ts'

/** Chosen for what they do: many crashes, freezes past the lease, lost answers. */
const SEEDS = ['332', '27', '91']

describe('with the real file, real processes and real sockets', () => {
  test.for(SEEDS)(
    'seed %s: nothing lost, nothing done twice, the books balance',
    { timeout: 120_000 },
    async (seed) => {
      const scenario = forReal(drawScenario(seed))
      await using workshop = openWorkshop()
      await using world = await openRealWorld(scenario, workshop.path('holdfast.db'))
      await world.live()

      const report = await world.holdfast.operations.audit()
      expect(report.checks.filter(({ violations }) => violations > 0)).toEqual([])
      expect(report.balanced).toBe(true)
      expect(report.balance.accepted).toBeGreaterThan(20)
      const { queued, processing, retrying, parked } = report.balance.states
      expect({ queued, processing, retrying, parked }).toEqual({ queued: 0, processing: 0, retrying: 0, parked: 0 })
      expect(world.kills + world.freezes).toBeGreaterThan(5)
      expect(doneTwice(world)).toEqual([])
      expect(await lost(world, scenario)).toEqual([])
    },
  )
})

function doneTwice({ twins }: RealWorld): unknown[] {
  return [...twins.values()].flatMap((twin) =>
    twin.duplicates().filter(({ effects }) => effects.some(({ route }) => !isRepeatable(route))),
  )
}

/** Items that say they succeeded, and whose effect is nowhere. */
async function lost({ twins, holdfast }: RealWorld, scenario: Scenario): Promise<unknown[]> {
  const records = new Map(
    scenario.submissions.flatMap((submission) => submission.records.map((record) => [record.id, record] as const)),
  )
  const missing: unknown[] = []
  for (const item of await allItems(holdfast)) {
    const step = stepOf(scenario, item)
    if (item.state !== 'succeeded' || !hasEffect(step)) continue
    const { input } = (await holdfast.operations.run(item.runId)) ?? {}
    const record = records.get((input as { id: string }).id)
    if (!record || !twins.get(step.api)?.has(effectKeyOf(step, record, item.itemId))) missing.push(item)
  }
  return missing
}

function stepOf({ pipelines }: Scenario, item: ItemSummary): StepPlan {
  const step = pipelines.find(({ name }) => name === item.pipeline)?.steps.find(({ name }) => name === item.step)
  if (!step) throw new Error(`There is no step ${item.step} in ${item.pipeline}`)
  return step
}

function hasEffect({ kind }: StepPlan): boolean {
  return kind !== 'read' && kind !== 'code_safe'
}

async function allItems(holdfast: Holdfast): Promise<ItemSummary[]> {
  const items: ItemSummary[] = []
  let cursor: string | undefined
  do {
    const page = await holdfast.operations.items({}, { limit: 500, ...(cursor !== undefined && { cursor }) })
    items.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return items
}
