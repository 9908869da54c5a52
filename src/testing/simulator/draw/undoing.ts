/** Which worlds undo what failed runs did, and how each step is undone. */
import type { MachinePlan, PipelinePlan, RecordPlan, Scenario, StepKind, StepPlan, UndoKind } from '../scenario.ts'
import { compensates } from '../undoing.ts'
import { createChance } from './chance.ts'
import type { Frame } from './frame.ts'

const WORLDS_WITH_UNDOING = 0.35
const PIPELINES_WITH_UNDOING = 0.75
const STEPS_WITH_UNDOING = 0.75

const BY_REQUEST: readonly UndoKind[] = [
  'put',
  'delete',
  'post_keyed',
  'post_natural',
  'post_reconciled',
  'post_unsafe',
]
export const UNDO_KINDS: readonly UndoKind[] = [...BY_REQUEST, 'code_unsafe']

/** Most can go wrong with what doubles when it is repeated. */
const OFTEN = [...BY_REQUEST, 'post_unsafe', 'post_unsafe', 'post_reconciled'] as const

/**
 * Left out: what has no effect; what several runs share, and is none of them's to undo; and what is known to be there only because
 * the API refuses another: then nothing says what it was.
 */
const NOT_UNDONE: ReadonlySet<StepKind> = new Set<StepKind>(['read', 'code_safe', 'post_operation', 'post_natural'])

/** The looks of a process for what others left behind, over the busy time. */
const LOOKS = 60
const SHORTEST_LOOK_MS = 30_000

/** By chance of its own, and last: a world without undoing is what it was before there was such a thing. */
export function withUndoing(
  seed: string,
  { busyMs }: Frame,
  drawn: Pick<Scenario, 'pipelines' | 'machines' | 'submissions'>,
): Pick<Scenario, 'pipelines' | 'machines' | 'submissions'> {
  const chance = createChance(`${seed}:undoing`)
  if (!chance.yes(WORLDS_WITH_UNDOING)) return drawn
  const refused = chance.between(0.1, 0.6)
  const undoLookMs = Math.max(SHORTEST_LOOK_MS, Math.ceil(busyMs / LOOKS))
  const pipelines = drawn.pipelines.map((pipeline) => undoSome(seed, pipeline))
  const failing = new Map(pipelines.filter(compensates).map(({ name, steps }) => [name, lateRefusal(steps)]))
  return {
    pipelines,
    machines: drawn.machines.map(
      (machine): MachinePlan => ({ ...machine, settings: { ...machine.settings, undoLookMs } }),
    ),
    submissions: drawn.submissions.map((submission) => {
      const step = failing.get(submission.pipeline)
      if (step === undefined) return submission
      return { ...submission, records: submission.records.map((record) => refuse(seed, record, step, refused)) }
    }),
  }
}

/** The last step whose data an API may refuse, when most has been done. */
function lateRefusal(steps: readonly StepPlan[]): string | undefined {
  return steps.findLast(({ kind, optional }) => REFUSABLE.test(kind) && !optional)?.name
}

/** What sends data, and shares its effect with no other run. */
const REFUSABLE = /^(put|batch_.*|post_(?!operation).*)$/

/** By what it is about: whoever hands it in again, and whoever shares its operation, says the same. */
function refuse(seed: string, record: RecordPlan, step: string, share: number): RecordPlan {
  const chance = createChance(`${seed}:refused ${record.entity}`)
  return record.refusedBy || !chance.yes(share) ? record : { ...record, refusedBy: [step] }
}

function undoSome(seed: string, pipeline: PipelinePlan): PipelinePlan {
  const chance = createChance(`${seed}:undoing ${pipeline.name}`)
  if (!chance.yes(PIPELINES_WITH_UNDOING)) return pipeline
  const steps = pipeline.steps.map((step): StepPlan => {
    const [isUndone, undo] = [chance.yes(STEPS_WITH_UNDOING), chance.pick(OFTEN)]
    if (!isUndone || !canBeUndone(step)) return step
    return { ...step, undo: step.kind.startsWith('code') ? 'code_unsafe' : undo }
  })
  return { ...pipeline, steps }
}

/** Undoing an older value would overwrite the newer one. */
export function canBeUndone({ kind, order }: StepPlan): boolean {
  return !NOT_UNDONE.has(kind) && order !== 'supersede'
}
