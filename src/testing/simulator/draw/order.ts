/** Which steps of a world have an order per subject, and whose records are whose. */
import type { PipelinePlan, RecordPlan, Scenario, StepPlan, SubmissionPlan } from '../scenario.ts'
import { type Chance, createChance } from './chance.ts'

const WORLDS_WITH_ORDER = 0.35
const RULES = ['continue', 'hold', 'supersede', 'supersede'] as const

export function drawOrder(
  seed: string,
  { pipelines, submissions }: Pick<Scenario, 'pipelines' | 'submissions'>,
): Pick<Scenario, 'pipelines' | 'submissions'> {
  const chance = createChance(`${seed}:order`)
  if (!chance.yes(WORLDS_WITH_ORDER)) return { pipelines, submissions }
  const subjects = chance.magnitude(3, 60)
  const nameless = chance.yes(0.3) ? 0.02 : 0
  return {
    pipelines: pipelines.map((pipeline) => orderSome(chance, pipeline)),
    submissions: submissions.map((submission) => nameSubjects(seed, submission, { subjects, nameless })),
  }
}

function orderSome(chance: Chance, pipeline: PipelinePlan): PipelinePlan {
  return { ...pipeline, steps: pipeline.steps.map((step) => orderOne(chance, step)) }
}

function orderOne(chance: Chance, step: StepPlan): StepPlan {
  const [isOrdered, order] = [chance.yes(0.5), chance.pick(RULES)]
  // Those that share an operation wait for each other anyway, whatever their subjects are.
  return isOrdered && step.kind !== 'post_operation' ? { ...step, order } : step
}

interface Naming {
  readonly subjects: number
  /** Share of the records that say nothing of it. */
  readonly nameless: number
}

/** Newer records mostly have newer versions. */
function nameSubjects(seed: string, submission: SubmissionPlan, naming: Naming): SubmissionPlan {
  return {
    ...submission,
    records: submission.records.map((record) => nameSubject(seed, record, naming)),
  }
}

/** By the record itself: whoever hands it in again says the same. */
function nameSubject(seed: string, record: RecordPlan, { subjects, nameless }: Naming): RecordPlan {
  const chance = createChance(`${seed}:subject ${record.id}`)
  const subject = `subject-${Math.ceil(subjects * chance.between(0, 1) ** 2)}`
  const version = Number(record.id.replace(/\D/g, '').slice(-6)) + chance.integer(0, 20)
  return chance.yes(nameless) ? record : { ...record, subject, version }
}
