/** What the person on call asks for as a job: it goes on by itself, in whichever process has a worker. */
import type { ItemState } from '../../core/item-state.ts'
import type { JobKind, JobOrder } from '../../engine/api.ts'
import type { Desk } from './operator.ts'
import { PAGE, pickOne, some } from './operator-picks.ts'
import { ACCEPTABLE } from './record-input.ts'
import type { JobOperation, OperationPlan } from './scenario.ts'

/** Those that try with one item first, and those that correct the data. */
const WITH_CANARY = 0.6
const EDITED = 0.4

export const JOBS: Readonly<Record<JobOperation, (plan: OperationPlan, desk: Desk) => Promise<string>>> = {
  job_replay: (plan, desk) =>
    startJob(plan, desk, 'replay', ['dead_lettered'], {
      ...(plan.pick < WITH_CANARY && { canary: 1 }),
      ...(plan.pick >= EDITED && { patch: ACCEPTABLE }),
    }),
  job_discard: (plan, desk) => startJob(plan, desk, 'discard', ['dead_lettered', 'unknown_outcome'], REASON),
  job_cancel: (plan, desk) =>
    startJob(plan, desk, 'cancel', ['waiting', 'queued', 'processing', 'retrying', 'parked'], REASON),
  async cancel_job(plan, { hf }) {
    const { rows } = await hf.operations.jobs({ limit: PAGE })
    const job = pickOne(
      rows.filter(({ endedAtMs }) => endedAtMs === undefined),
      plan.pick,
    )
    if (!job) return 'no job to cancel'
    await hf.operations.cancelJob(job.id, REASON.reason, jobName(plan))
    return `cancelled job ${job.id}`
  },
}

const REASON = { reason: 'the simulated operator said so' } as const

async function startJob(
  plan: OperationPlan,
  { hf }: Desk,
  what: JobKind,
  states: readonly ItemState[],
  more: Partial<JobOrder>,
): Promise<string> {
  const itemIds = await some(plan, hf, states)
  if (itemIds.length === 0) return `nothing to ${what}`
  const job = await hf.operations.startJob({ what, selection: { itemIds }, by: jobName(plan), ...more })
  return `began job ${job.id}: ${what} of ${job.counts.total}`
}

/** Of its own, so that everything a job does can be told from what others do. */
function jobName({ atMs, pick }: OperationPlan): string {
  return `job of ${atMs} ${pick}`
}
