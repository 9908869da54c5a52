/** What a scenario says of undoing: the steps that undo others, and what is still to be undone. */
import { undoNameOf } from '../../engine/pipelines/undo-pipeline.ts'
import type { ItemSummary, Ledger } from '../../ledger/port.ts'
import type { PipelinePlan, Scenario, StepPlan } from './scenario.ts'

export function planName(pipeline: string, step: string): string {
  return `${pipeline} ${step}`
}

/** By `planName`: all steps, those that undo others among them. */
export function plannedSteps({ pipelines }: Pick<Scenario, 'pipelines'>): ReadonlyMap<string, StepPlan> {
  const steps = new Map<string, StepPlan>()
  for (const { name, steps: planned } of pipelines) {
    for (const step of planned) {
      steps.set(planName(name, step.name), step)
      const undoing = undoingStep(step)
      if (undoing) steps.set(planName(undoNameOf(name), step.name), undoing)
    }
  }
  return steps
}

/** As the engine derives it: of the same name, at the same API; whatever else is special about the step is not about undoing it. */
export function undoingStep({ name, api, undo, workMs, timeoutMs, throws, hangs }: StepPlan): StepPlan | undefined {
  if (undo === undefined) return undefined
  return {
    name,
    api,
    kind: undo,
    after: [],
    optional: false,
    ...(workMs !== undefined && { workMs }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(throws !== undefined && { throws }),
    ...(hangs !== undefined && { hangs }),
  }
}

export function isUndoing(pipeline: string): boolean {
  return pipeline.endsWith(undoNameOf(''))
}

export function compensates({ steps }: PipelinePlan): boolean {
  return steps.some(({ undo }) => undo !== undefined)
}

/** Runs that failed for good after something was done that can be undone, and of which everything is known. */
export async function runsToUndo({ pipelines }: Scenario, ledger: Ledger): Promise<readonly string[]> {
  const found: string[] = []
  for (const pipeline of pipelines.filter(compensates)) {
    const runs = new Set<string>()
    let cursor: string | undefined
    do {
      const filter = { pipeline: pipeline.name, states: ['dead_lettered'] } as const
      const page = await ledger.items(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
      for (const { runId } of page.rows) runs.add(runId)
      cursor = page.cursor
    } while (cursor !== undefined)
    for (const runId of runs) if (isToUndo(pipeline, (await ledger.run(runId))?.items ?? [])) found.push(runId)
  }
  return found
}

const PAGE = 500

function isToUndo({ steps }: PipelinePlan, items: readonly ItemSummary[]): boolean {
  const undoable = new Set(steps.filter(({ undo }) => undo !== undefined).map(({ name }) => name))
  const failed = items.some((item) => item.state === 'dead_lettered' && !item.optional && item.dueAtMs === undefined)
  const done = items.some(({ state, step }) => state === 'succeeded' && undoable.has(step))
  return failed && done && !items.some(({ state }) => state === 'unknown_outcome')
}
