/** What a job is: what was asked for, how far it is. The ledger keeps its state as JSON. */
import type { ItemState } from '../../core/item-state.ts'
import type { Json } from '../../core/json.ts'
import type { JobItem, JobRecord, JobTally } from '../../ledger/port.ts'
import type { Selection } from '../api.ts'

export type JobKind = 'replay' | 'discard' | 'cancel'

/** What a person asks to be done to many items. */
export interface JobOrder {
  readonly what: JobKind
  readonly selection: Selection
  readonly by: string
  /** Why; `discard` and `cancel` need it. */
  readonly reason?: string
  /** Of `replay`: RFC 7396 merge patch applied to each payload; the original stays beside the edited one. */
  readonly patch?: Json
  /** Of `replay`: this many first; the rest only if all of them end well. Default 0: none. */
  readonly canary?: number
  /** Of `replay`: unknown outcomes too, on the person's word that they did not happen. */
  readonly knownNotApplied?: boolean
}

/** `planning`: its items are being written down. `stopped`: a canary did not end well, and nothing after it was touched. */
export type JobPhase = 'planning' | 'running' | 'done' | 'stopped' | 'cancelled'

export interface JobState {
  readonly what: JobKind
  readonly phase: JobPhase
  readonly target: string
  readonly by: string
  readonly reason: string
  readonly createdAtMs: number
  /** Until the job has ended: it may hold what somebody asks to be erased. */
  readonly patch?: Json
  /** It had one. */
  readonly patched?: true
  readonly canary: number
  readonly knownNotApplied: boolean
  readonly total: number
  /** The position of the last member that had its turn. */
  readonly reached: number
  /** Members up to here have ended for good, and are not counted again: of many, few are open. */
  readonly settled: { readonly upTo: number; readonly counts: JobCounts }
  /** The canary has ended well. */
  readonly proven: boolean
  /** Which process works on it; another one may once the time is over. */
  readonly runner?: { readonly id: string; readonly untilMs: number }
  readonly ended?: JobEnd
}

interface JobEnd {
  readonly why: string
  readonly by: string
  /** As it was when it ended. */
  readonly counts: JobCounts
  readonly stoppedBy?: { readonly itemId: string; readonly why: string }
}

/** Items of a job, each in exactly one of: waiting, under way, succeeded, failed, refused, forgotten. */
export interface JobCounts {
  readonly total: number
  /** Have not had their turn. Of a job that has ended: were left as they were. */
  readonly waiting: number
  /** Put back, and not ended yet. */
  readonly underWay: number
  /** Ended as was asked: replayed and succeeded, discarded, cancelled. */
  readonly succeeded: number
  /** Replayed, and in need of a person again; or ended otherwise. */
  readonly failed: number
  /** Could not be done; the job's items tell why. */
  readonly refused: number
  /** Their runs ended, and were forgotten by retention. */
  readonly forgotten: number
}

export interface JobView {
  readonly id: string
  readonly what: JobKind
  readonly phase: JobPhase
  /** `group 3f2a`, `filter`, `12 items` */
  readonly target: string
  readonly by: string
  readonly reason: string
  readonly patched: boolean
  readonly canary: number
  readonly createdAtMs: number
  readonly endedAtMs: number | undefined
  /** Why it ended, and who ended it. */
  readonly ended: { readonly why: string; readonly by: string } | undefined
  /** The item of a canary that did not end well. */
  readonly stopped: { readonly itemId: string; readonly why: string } | undefined
  readonly counts: JobCounts
}

/** The ledger gives back what was written. */
export function stateOf(job: JobRecord): JobState {
  return job.state as unknown as JobState
}

/** Of a job that has ended: nobody will need its patch any more. */
export function withoutPatch({ patch, ...state }: JobState): JobState {
  return patch === undefined ? state : { ...state, patched: true }
}

export function viewOf(job: JobRecord, counts: JobCounts): JobView {
  const { what, phase, target, by, reason, patch, patched, canary, createdAtMs, ended } = stateOf(job)
  return {
    id: job.id,
    what,
    phase,
    target,
    by,
    reason,
    patched: patched === true || patch !== undefined,
    canary,
    createdAtMs,
    endedAtMs: job.endedAtMs,
    ended: ended && { why: ended.why, by: ended.by },
    stopped: ended?.stoppedBy,
    counts,
  }
}

/** The state that an item is to end in; a replayed one may be skipped, or replaced by a newer value, as well. */
const GOALS: Readonly<Record<JobKind, readonly ItemState[]>> = {
  replay: ['succeeded', 'skipped', 'superseded'],
  discard: ['discarded'],
  cancel: ['cancelled'],
}

export function hasGoal(what: JobKind, state: ItemState | undefined): boolean {
  return state !== undefined && GOALS[what].includes(state)
}

type Standing = Exclude<keyof JobCounts, 'total'>

export const NO_COUNTS: JobCounts = {
  total: 0,
  waiting: 0,
  underWay: 0,
  succeeded: 0,
  failed: 0,
  refused: 0,
  forgotten: 0,
}

/** What one look at a member needs to know. */
type Seen = Pick<JobTally, 'refused' | 'moved' | 'state' | 'due'>

/** Of members that had their turn. */
export function countsOf(what: JobKind, tallies: readonly (Seen & { readonly count: number })[]): JobCounts {
  const counts = { ...NO_COUNTS }
  for (const tally of tallies) {
    counts.total += tally.count
    counts[standingOf(what, tally)] += tally.count
  }
  return counts
}

export function addCounts(a: JobCounts, b: JobCounts): JobCounts {
  const sum = { ...a }
  for (const name of Object.keys(NO_COUNTS) as (keyof JobCounts)[]) sum[name] += b[name]
  return sum
}

/** As one that is counted; `undefined` while it may still change by itself. */
export function settledStanding(what: JobKind, item: JobItem): JobCounts | undefined {
  const { refused, replaysBefore, replays, state, due } = item
  const seen = { refused: refused !== undefined, moved: replays > replaysBefore, state, due, count: 1 }
  const counts = countsOf(what, [seen])
  return counts.waiting + counts.underWay > 0 ? undefined : counts
}

function standingOf(what: JobKind, seen: Seen): Standing {
  const { refused, moved, state } = seen
  if (hasGoal(what, state) && (moved || what !== 'replay')) return 'succeeded'
  if (refused) return 'refused'
  if (state === undefined) return 'forgotten'
  if (what === 'replay' && !moved) return 'waiting'
  return isResting(seen) ? 'failed' : 'underWay'
}

/** It needs a person, or has ended. A dead letter that the slow lane will try is one all the same. */
function isResting({ state, due }: Seen): boolean {
  if (state === 'unknown_outcome') return !due
  return state === 'dead_lettered' || state === 'cancelled' || state === 'discarded' || state === 'succeeded'
}

const FIRST_WINDOW = 10
const WIDEST_WINDOW = 1000

/**
 * How many replayed items may be under way: few at first, twice as many as have succeeded, so that an API that has just come
 * back is not met by everything at once (D13); few again where more fail than succeed.
 */
export function windowOf({ succeeded, failed }: JobCounts): number {
  if (failed > succeeded) return FIRST_WINDOW
  return Math.min(WIDEST_WINDOW, Math.max(FIRST_WINDOW, 2 * succeeded))
}
