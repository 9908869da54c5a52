/** What people do with jobs: begin one, look at it, cancel it. */
import type { Clock } from '../../core/clock.ts'
import { configurationError, HoldfastError } from '../../core/errors.ts'
import type { JobRecord, Ledger, Page, PageOf } from '../../ledger/port.ts'
import { targetOf } from '../operations/audit-trail.ts'
import {
  type JobCounts,
  type JobOrder,
  type JobState,
  type JobView,
  NO_COUNTS,
  stateOf,
  viewOf,
  withoutPatch,
} from './job.ts'
import { selectedFor } from './plan.ts'
import { changeOf, countMembers } from './runner.ts'

export interface JobDesk {
  /** @throws HoldfastError `reason_missing`, `invalid_patch` */
  start(order: JobOrder): Promise<JobView>
  list(page: Page): Promise<PageOf<JobView>>
  find(jobId: string): Promise<JobView | undefined>
  /** @throws HoldfastError `job_ended` */
  cancel(jobId: string, reason: string, by: string): Promise<JobView | undefined>
}

export interface DeskParts {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly newId: () => string
  /** A job is to be worked on. */
  readonly wakeRunner: () => void
}

const WAVE = 500

export function createJobDesk(parts: DeskParts): JobDesk {
  const { ledger, clock } = parts

  async function recordOf(jobId: string): Promise<JobRecord | undefined> {
    return (await ledger.jobs({ id: jobId }, { limit: 1 })).rows[0]
  }

  async function shown(job: JobRecord): Promise<JobView> {
    return viewOf(job, await presentCounts(ledger, job))
  }

  return {
    async start(order) {
      check(order)
      const id = parts.newId()
      const planning = await ledger.updateJob({
        ...changeOf({ id, revision: 0, endedAtMs: undefined, state: null }, newState(order, clock.wallMs())),
      })
      if (!planning) throw new Error('an id was given twice')
      const total = await writeMembers(ledger, id, order)
      const running = await ledger.updateJob(changeOf(planning, { ...stateOf(planning), phase: 'running', total }))
      parts.wakeRunner()
      return shown(running ?? planning)
    },
    async list(page) {
      const { rows, cursor } = await ledger.jobs({}, page)
      return { rows: await Promise.all(rows.map(shown)), cursor }
    },
    async find(jobId) {
      const job = await recordOf(jobId)
      return job && shown(job)
    },
    async cancel(jobId, reason, by) {
      for (;;) {
        const job = await recordOf(jobId)
        if (!job) return undefined
        if (job.endedAtMs !== undefined) throw jobEnded(jobId, stateOf(job).phase)
        const { runner: _, ...state } = stateOf(job)
        const ended = { why: reason, by, counts: await presentCounts(ledger, job) }
        const change = changeOf(job, { ...withoutPatch(state), phase: 'cancelled', ended })
        const cancelled = await ledger.updateJob({ ...change, endedAtMs: clock.wallMs() })
        if (cancelled) return shown(cancelled)
      }
    },
  }
}

/** A job that was cancelled is counted anew: what was put back before goes on. */
async function presentCounts(ledger: Ledger, job: JobRecord): Promise<JobCounts> {
  const { phase, ended } = stateOf(job)
  return ended && phase !== 'cancelled' ? ended.counts : countMembers(ledger, job.id, stateOf(job))
}

async function writeMembers(ledger: Ledger, id: string, order: JobOrder): Promise<number> {
  let total = 0
  let wave: Parameters<Ledger['writeJobMembers']>[1][number][] = []
  for await (const { itemId, item, refused } of selectedFor(ledger, order)) {
    total += 1
    wave.push({ itemId, replaysBefore: item?.counters.replays ?? 0, ...(refused !== undefined && { refused }) })
    if (wave.length < WAVE) continue
    await ledger.writeJobMembers(id, wave)
    wave = []
  }
  await ledger.writeJobMembers(id, wave)
  return total
}

function newState(order: JobOrder, nowMs: number): JobState {
  return {
    what: order.what,
    phase: 'planning',
    target: targetOf(order.selection),
    by: order.by,
    reason: order.reason ?? '',
    createdAtMs: nowMs,
    ...(order.patch !== undefined && { patch: order.patch }),
    canary: order.canary ?? 0,
    knownNotApplied: order.knownNotApplied ?? false,
    total: 0,
    reached: 0,
    settled: { upTo: 0, counts: NO_COUNTS },
    proven: false,
  }
}

function check({ what, reason = '', patch }: JobOrder): void {
  if (what !== 'replay' && reason.trim() === '') {
    throw configurationError(
      'reason_missing',
      'This needs a reason',
      'Say why: those who come later will want to know.',
    )
  }
  if (patch === undefined || (typeof patch === 'object' && patch !== null && !Array.isArray(patch))) return
  throw configurationError(
    'invalid_patch',
    'The patch would replace whole payloads by something that is not an object',
    'Give an object with the fields to change, e.g. {"company":"Acme"}; null removes a field (RFC 7396).',
  )
}

function jobEnded(jobId: string, phase: string): HoldfastError {
  return new HoldfastError({
    code: 'job_ended',
    class: 'conflict',
    message: `Job "${jobId}" has ended: it is ${phase}`,
    hint: 'There is nothing left to cancel; what it put back can be cancelled by itself.',
  })
}
