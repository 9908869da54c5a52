/** In which worlds people ask for jobs, and for what. */
import type { JobOperation, MachinePlan, OperationKind, OperationPlan, Scenario } from '../scenario.ts'
import { type Chance, createChance } from './chance.ts'
import type { Frame } from './frame.ts'

const WORLDS_WITH_JOBS = 0.35
const AS_JOB: Readonly<Partial<Record<OperationKind, JobOperation>>> = {
  replay: 'job_replay',
  replay_edited: 'job_replay',
  replay_canary: 'job_replay',
  replay_group: 'job_replay',
  discard: 'job_discard',
  cancel: 'job_cancel',
}
export const JOB_OPERATIONS: readonly JobOperation[] = ['job_replay', 'job_discard', 'job_cancel', 'cancel_job']

/** What a job costs may not grow with the length of the run. */
const STEPS = 400
const SHORTEST_STEP_MS = 250

/** By chance of its own, and changing nothing but what is a job then: a world without jobs is what it was before there were any. */
export function withJobs(
  seed: string,
  { busyMs }: Frame,
  drawn: Pick<Scenario, 'operations' | 'machines'>,
): Pick<Scenario, 'operations' | 'machines'> {
  const chance = createChance(`${seed}:jobs`)
  if (!chance.yes(WORLDS_WITH_JOBS)) return drawn
  const jobStepMs = Math.max(SHORTEST_STEP_MS, Math.ceil(busyMs / STEPS))
  const settings = { jobStepMs, jobLookMs: 8 * jobStepMs }
  return {
    machines: drawn.machines.map(
      (machine): MachinePlan => ({ ...machine, settings: { ...machine.settings, ...settings } }),
    ),
    operations: drawn.operations.map((operation) => asJob(chance, operation)).reduce(cancelSome, []),
  }

  /** Some think better of it soon: what is planned next is done at once, to the job. */
  function cancelSome(before: readonly OperationPlan[], operation: OperationPlan): OperationPlan[] {
    const last = before.at(-1)
    const soonMs = Math.round(chance.between(0, 2) * jobStepMs)
    if (last?.what !== 'job_replay' || operation.what === 'resume' || !chance.yes(0.4)) return [...before, operation]
    const atMs = Math.min(operation.atMs, last.atMs + soonMs)
    return [...before, { atMs, machine: operation.machine, what: 'cancel_job', pick: operation.pick, most: 1 }]
  }
}

function asJob(chance: Chance, operation: OperationPlan): OperationPlan {
  const [isJob, most] = [chance.yes(0.8), chance.magnitude(2, 60)]
  const what = AS_JOB[operation.what]
  if (!isJob || what === undefined) return operation
  return { ...operation, what, most: what === 'job_replay' ? most : operation.most }
}
