import type { PipelinePlan, SharedCallPlan, StepKind, StepPlan } from '../scenario.ts'
import { createChance } from './chance.ts'
import type { Frame } from './frame.ts'

/** Of all worlds: those in which some steps share their calls. */
const SHARE = 0.35

const IN_COMPANY: Readonly<Partial<Record<StepKind, StepKind>>> = {
  put: 'batch_put',
  post_unsafe: 'batch_unsafe',
  post_reconciled: 'batch_reconciled',
}

export const BATCH_KINDS: readonly StepKind[] = Object.values(IN_COMPANY)

/** Lets steps share calls. Drawn from chance of its own, and changing nothing else: worlds without it are as they were before there was any. */
export function withBatches(seed: string, frame: Frame, pipelines: readonly PipelinePlan[]): PipelinePlan[] {
  const chance = createChance(`${seed}:batches`)
  if (!chance.yes(SHARE)) return [...pipelines]
  return pipelines.map(({ name, steps }) => {
    const names = new Map<string, string>()
    const batched = steps.map((step): StepPlan => {
      const kind = IN_COMPANY[step.kind]
      if (kind === undefined || chance.yes(0.3)) return step
      names.set(step.name, step.name.replace(step.kind, kind))
      const batch: SharedCallPlan = {
        size: chance.magnitude(2, 20),
        lingerMs: chance.magnitude(50, Math.max(50, frame.paceMs / 100)),
        atomic: chance.yes(0.4),
      }
      return { ...step, kind, batch }
    })
    const renamed = (step: string): string => names.get(step) ?? step
    return {
      name,
      steps: batched.map((step) => ({ ...step, name: renamed(step.name), after: step.after.map(renamed) })),
    }
  })
}
