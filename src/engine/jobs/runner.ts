/**
 * Works on jobs, one process at a time for each. What has been done is read from the items themselves: so a process that is
 * killed between doing something and writing that down loses nothing, and whoever goes on does nothing twice.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { Json } from '../../core/json.ts'
import type { JobItem, JobRecord, Ledger, OperatorReceipt } from '../../ledger/port.ts'
import { editedBy } from '../operations/replay.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import {
  addCounts,
  countsOf,
  hasGoal,
  type JobCounts,
  type JobState,
  NO_COUNTS,
  settledStanding,
  stateOf,
  windowOf,
  withoutPatch,
} from './job.ts'

export interface JobRunner {
  /** From the first worker of this process on. Idempotent. */
  start(): void
  /** A job was made here. */
  wake(): void
  /**
   * Works on this job alone, until it has ended: for processes without a worker, where nothing has to be sent. Who leads it elsewhere
   * is waited for.
   * @throws the signal's reason
   */
  finish(jobId: string, signal: AbortSignal | undefined): Promise<void>
  /** Resolves when no step is under way. */
  stop(): Promise<void>
}

export interface RunnerParts {
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly clock: Clock
  readonly events: EventBus
  readonly processId: string
  /** How often the store is asked for jobs that other processes made, or left behind. */
  readonly lookEveryMs: number
  /** Between two steps of a job. */
  readonly stepMs: number
  /** Something was queued. */
  readonly wakeWorkers: () => void
}

/** Steps, while there is nothing to put back, and only to see how it ends. */
const STEPS_TO_WATCH = 4
/** Of one process on a job; renewed with each step. */
const LEASE_MS = 15_000
/** Whoever was writing the items down is gone. */
const PLANNING_MS = 600_000
const WAVE = 500
const MOST_AT_ONCE = 50
/** Where one item is open for long, all after it are counted again and again: never more than a twentieth of the time. */
const REST_PER_COUNT = 20

export function createJobRunner(parts: RunnerParts): JobRunner {
  const { ledger, clock, events } = parts
  let timer: Timer | undefined
  let step: Promise<void> | undefined
  let stopped = false
  let started = false
  let wanted = false

  function later(delayMs: number): void {
    timer?.cancel()
    if (!stopped && Number.isFinite(delayMs)) timer = clock.setTimer(delayMs, begin)
  }

  function begin(): void {
    if (step || stopped) return
    wanted = false
    step = round()
      .catch((error: unknown) => {
        // It is tried again: nothing of it is only in memory.
        events.emit('engine.trouble', clock.wallMs(), { where: 'jobs', message: messageOf(error), cause: error })
        return parts.lookEveryMs
      })
      .then((delayMs) => {
        step = undefined
        later(wanted ? 0 : delayMs)
      })
  }

  /** Returns when to look again. */
  async function round(): Promise<number> {
    const { rows } = await ledger.jobs({ open: true }, { limit: MOST_AT_ONCE })
    let nextMs = parts.lookEveryMs
    for (const job of rows) {
      if (!stopped) nextMs = Math.min(nextMs, await advanceJob(parts, job))
    }
    return nextMs
  }

  return {
    start() {
      if (!started) later(0)
      started = true
    },
    wake() {
      wanted = true
      if (started) later(0)
    },
    async finish(jobId, signal) {
      for (;;) {
        signal?.throwIfAborted()
        const [job] = (await ledger.jobs({ id: jobId }, { limit: 1 })).rows
        if (!job || job.endedAtMs !== undefined) return
        await clock.sleep(Math.min(await advanceJob(parts, job), STEPS_TO_WATCH * parts.stepMs), signal)
      }
    },
    async stop() {
      stopped = true
      timer?.cancel()
      await step
    },
  }
}

/** One step of one job; returns when the next is due. */
async function advanceJob(parts: RunnerParts, job: JobRecord): Promise<number> {
  const { ledger, clock } = parts
  const state = stateOf(job)
  const nowMs = clock.wallMs()
  if (state.phase === 'planning') {
    if (nowMs - state.createdAtMs > PLANNING_MS) await abandon(parts, job, state)
    return Number.POSITIVE_INFINITY
  }
  const { runner } = state
  if (runner && runner.id !== parts.processId && runner.untilMs > nowMs) return Number.POSITIVE_INFINITY
  const mine: JobState = { ...state, runner: { id: parts.processId, untilMs: nowMs + LEASE_MS } }
  const held = await ledger.updateJob(changeOf(job, mine))
  return held ? workOn(parts, held, mine) : parts.stepMs
}

async function workOn(parts: RunnerParts, job: JobRecord, held: JobState): Promise<number> {
  const { ledger, clock, events } = parts
  const beganMs = clock.monotonicMs()
  const state = { ...held, settled: await settledFurther(ledger, job.id, held) }
  const counts = await countMembers(ledger, job.id, state)
  const countedMs = clock.monotonicMs() - beganMs
  const turn = turnOf(state, counts)
  if (turn.kind === 'stop') {
    const stoppedBy = await failedMember(ledger, job.id)
    await end(parts, job, { ...state, phase: 'stopped' }, { why: 'the canary did not end well', stoppedBy, counts })
    return 0
  }
  const members =
    turn.room > 0
      ? await ledger.jobItems(job.id, { after: state.reached, limit: Math.min(turn.room, WAVE) })
      : undefined
  if (members?.length === 0 && counts.underWay === 0) {
    await end(parts, job, { ...state, phase: 'done' }, { why: 'all of them have ended', counts })
    return 0
  }
  if (members && members.length > 0) await actOn(parts, job.id, state, members)
  const reached = members?.at(-1)?.position ?? state.reached
  // Where somebody cancelled it meanwhile this changes nothing, and the next look finds it ended.
  await ledger.updateJob(changeOf(job, { ...state, reached, proven: turn.proven }))
  const { what, phase } = state
  events.emit('job.progressed', clock.wallMs(), { jobId: job.id, what, phase, ...counts })
  return Math.max(parts.stepMs * (members?.length === 0 ? STEPS_TO_WATCH : 1), countedMs * REST_PER_COUNT)
}

/** Those that had their turn by how they are, the others as waiting. */
export async function countMembers(
  ledger: Pick<Ledger, 'jobTallies'>,
  jobId: string,
  { what, total, reached, settled }: JobState,
): Promise<JobCounts> {
  const waiting = total - reached
  const open = reached > settled.upTo ? await ledger.jobTallies(jobId, { after: settled.upTo, upTo: reached }) : []
  const counts = addCounts(settled.counts, countsOf(what, open))
  return { ...counts, total, waiting: counts.waiting + waiting }
}

async function settledFurther(
  ledger: Ledger,
  jobId: string,
  { what, reached, settled }: JobState,
): Promise<JobState['settled']> {
  const items = reached > settled.upTo ? await ledger.jobItems(jobId, { after: settled.upTo, limit: 2 * WAVE }) : []
  let { upTo, counts } = settled
  for (const item of items) {
    const ended = item.position <= reached ? settledStanding(what, item) : undefined
    if (!ended) break
    upTo = item.position
    counts = addCounts(counts, ended)
  }
  return { upTo, counts }
}

type Turn = { readonly kind: 'go'; readonly room: number; readonly proven: boolean } | { readonly kind: 'stop' }

/** How many may be put back now. */
function turnOf({ what, canary, proven }: JobState, counts: JobCounts): Turn {
  if (what !== 'replay') return { kind: 'go', room: WAVE, proven }
  const put = counts.underWay + counts.succeeded + counts.failed + counts.forgotten
  if (!proven && canary > 0) {
    if (counts.failed > 0) return { kind: 'stop' }
    if (put < canary && counts.waiting > 0) return { kind: 'go', room: canary - put, proven }
    if (counts.underWay > 0) return { kind: 'go', room: 0, proven }
  }
  return { kind: 'go', room: Math.max(0, windowOf(counts) - counts.underWay), proven: true }
}

async function failedMember(ledger: Ledger, jobId: string): Promise<{ itemId: string; why: string } | undefined> {
  for (let after = 0; ; ) {
    const members = await ledger.jobItems(jobId, { after, limit: WAVE })
    const failed = members.find(({ state, replays, replaysBefore }) => {
      return replays > replaysBefore && (state === 'dead_lettered' || state === 'unknown_outcome')
    })
    if (failed) {
      const item = await ledger.item(failed.itemId)
      return {
        itemId: failed.itemId,
        why: `it is ${failed.state} again: ${item?.deadLetter?.summary ?? item?.reason ?? ''}`,
      }
    }
    const last = members.at(-1)
    if (!last) return undefined
    after = last.position
  }
}

/** Does what was asked to those that have not been done, by this process or one that is gone. */
async function actOn(parts: RunnerParts, jobId: string, state: JobState, members: readonly JobItem[]): Promise<void> {
  const { ledger } = parts
  const todo = members.filter((member) => member.refused === undefined && !isDone(state, member))
  if (todo.length === 0) return
  const receipts = await giveOrders(parts, state, todo)
  parts.wakeWorkers()
  const why = new Map(receipts.flatMap(refusalOf))
  const refused = todo.filter(({ itemId }) => why.has(itemId))
  if (refused.length === 0) return
  await ledger.writeJobMembers(
    jobId,
    refused.map(({ itemId, replaysBefore }) => ({ itemId, replaysBefore, refused: why.get(itemId) ?? '' })),
  )
}

function isDone({ what }: JobState, { state, replays, replaysBefore }: JobItem): boolean {
  return what === 'replay' ? replays > replaysBefore : hasGoal(what, state)
}

async function giveOrders(
  { ledger, catalog, clock }: RunnerParts,
  { what, by, reason, patch, knownNotApplied }: JobState,
  members: readonly JobItem[],
): Promise<OperatorReceipt[]> {
  const nowMs = clock.wallMs()
  if (what !== 'replay')
    return ledger[what](
      members.map(({ itemId }) => ({ itemId, by, reason })),
      nowMs,
    )
  const orders = await Promise.all(
    members.map(async ({ itemId }) => ({
      itemId,
      by,
      dueAtMs: nowMs,
      ...(patch !== undefined && (await editedBy(patch, itemId, { ledger, catalog }))),
      ...(knownNotApplied && { knownNotApplied }),
    })),
  )
  return ledger.replay(orders, nowMs)
}

function refusalOf(receipt: OperatorReceipt): [string, string][] {
  if (receipt.outcome === 'refused') return [[receipt.itemId, receipt.why]]
  return receipt.outcome === 'not_found' ? [[receipt.itemId, 'there is no such item']] : []
}

interface Ended {
  readonly why: string
  readonly counts: JobCounts
  readonly stoppedBy?: { readonly itemId: string; readonly why: string } | undefined
}

async function end(
  { ledger, clock, events }: RunnerParts,
  job: JobRecord,
  { runner: _, ...state }: JobState,
  { why, counts, stoppedBy }: Ended,
): Promise<void> {
  const ended = { why, by: 'engine:job', counts, ...(stoppedBy && { stoppedBy }) }
  const endedAtMs = clock.wallMs()
  if (!(await ledger.updateJob({ ...changeOf(job, { ...withoutPatch(state), ended }), endedAtMs }))) return
  const { what, phase } = state
  events.emit('job.progressed', endedAtMs, { jobId: job.id, what, phase, ...counts })
}

function abandon(parts: RunnerParts, job: JobRecord, state: JobState): Promise<void> {
  const why = 'the process that planned it is gone'
  return end(parts, job, { ...state, phase: 'cancelled' }, { why, counts: NO_COUNTS })
}

export function changeOf({ id, revision }: JobRecord, state: JobState) {
  return { id, fromRevision: revision, endedAtMs: undefined, state: state as unknown as Json }
}
