/** From a seed to everything that will happen. Each part has chance of its own, so that leaving one out changes no other. */
import { formatDuration } from '../../../core/duration.ts'
import type { Scenario } from '../scenario.ts'
import { drawApis } from './apis.ts'
import { withBatches } from './batches.ts'
import { drawFrame } from './frame.ts'
import { withJobs } from './jobs.ts'
import { drawMachines } from './machines.ts'
import { withSingles } from './one-by-one.ts'
import { drawOperations } from './operations.ts'
import { drawOrder } from './order.ts'
import { drawPipelines } from './pipelines.ts'
import { drawSubmissions } from './submissions.ts'
import { drawTroubles } from './troubles.ts'
import { withUndoing } from './undoing.ts'

/** The same seed gives the same scenario, to the byte. Valid: every integration resolves and every pipeline builds. */
export function drawScenario(seed: string): Scenario {
  const frame = drawFrame(seed)
  const machines = drawMachines(seed, frame)
  const apis = drawApis(seed, frame)
  const pipelines = withBatches(seed, frame, drawPipelines(seed, frame, apis))
  const submissions = drawSubmissions(seed, frame, machines, pipelines)
  const troubles = drawTroubles(seed, frame, { machines, pipelines, submissions })
  // Last, and each by chance of its own: a world without an order is what it was before there was such a thing.
  const ordered = drawOrder(seed, { pipelines, submissions: withSingles(seed, frame, submissions) })
  const operated = withJobs(seed, frame, { machines, operations: drawOperations(seed, frame, machines) })
  return {
    seed,
    mood: frame.mood.name,
    busyMs: frame.busyMs,
    apis,
    ...withUndoing(seed, frame, { ...ordered, machines: operated.machines }),
    troubles,
    operations: operated.operations,
  }
}

export interface ScenarioSize {
  readonly machines: number
  readonly apis: number
  readonly steps: number
  /** Of all runs that can be accepted: a repetition adds none, and of two records with one key only one. */
  readonly items: number
  readonly troubles: number
  readonly operations: number
}

export function scenarioSize(scenario: Scenario): ScenarioSize {
  const steps = new Map(scenario.pipelines.map((pipeline) => [pipeline.name, pipeline.steps.length]))
  const runs = new Set<string>()
  let items = 0
  for (const { pipeline, records } of scenario.submissions) {
    for (const { tenant, key, id } of records) {
      const run = JSON.stringify([pipeline, tenant, key ?? { id }])
      if (runs.has(run)) continue
      runs.add(run)
      items += steps.get(pipeline) ?? 0
    }
  }
  return {
    machines: scenario.machines.length,
    apis: scenario.apis.length,
    steps: [...steps.values()].reduce((sum, count) => sum + count, 0),
    items,
    troubles: scenario.troubles.length,
    operations: scenario.operations.length,
  }
}

/** One line for people: `3 machines, 2 APIs, 4 steps, 320 items, 41 troubles over 3h (chaotic)`. */
export function describeScenario(scenario: Scenario): string {
  const size = scenarioSize(scenario)
  const parts = [
    countOf(size.machines, 'machine'),
    countOf(size.apis, 'API'),
    countOf(size.steps, 'step'),
    countOf(size.items, 'item'),
    `${countOf(size.troubles, 'trouble')} over ${formatDuration(scenario.busyMs)}`,
  ]
  return parts.join(', ') + (scenario.mood === undefined ? '' : ` (${scenario.mood})`)
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
