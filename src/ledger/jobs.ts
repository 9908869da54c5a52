/** Jobs as both adapters keep them: what operators asked for in bulk, and which items it is about. */
import type { ItemState } from '../core/item-state.ts'
import type { Json } from '../core/json.ts'
import { parseCursor } from './cursor.ts'

/** What was asked for in bulk, and how far it is. Whoever works on it says so in its state. */
export interface JobRecord {
  /** A UUID, see core/ids.ts: newer jobs sort later. */
  readonly id: string
  /** Grows with each change. */
  readonly revision: number
  /** Nothing will be done about it any more. */
  readonly endedAtMs: number | undefined
  /** The engine's own. */
  readonly state: Json
}

export interface JobChange {
  readonly id: string
  /** The revision the change was made from; 0 for a job that does not exist yet. */
  readonly fromRevision: number
  readonly endedAtMs: number | undefined
  readonly state: Json
}

export interface JobFilter {
  readonly id?: string
  /** Only those that have not ended. */
  readonly open?: boolean
}

/** An item that a job is about. */
export interface JobMember {
  readonly itemId: string
  /** Its `replays` when the job was made: whoever finds more knows that it was put back since. */
  readonly replaysBefore: number
  /** Why the job leaves it as it is. */
  readonly refused?: string
}

/** A member, and how its item is now. */
export interface JobItem extends JobMember {
  /** Members are counted from 1, in the order in which they were written. */
  readonly position: number
  /** `undefined`: it is forgotten, or never was. */
  readonly state: ItemState | undefined
  /** It has a due time: a machine will touch it. */
  readonly due: boolean
  readonly replays: number
}

/** Members that are alike. */
export interface JobTally {
  readonly refused: boolean
  /** Put back since the job was made. */
  readonly moved: boolean
  readonly state: ItemState | undefined
  /** It has a due time: a machine will touch it. */
  readonly due: boolean
  readonly count: number
}

export const JOB_COLUMNS = 'id, revision, ended_at_ms, state'
export const JOB_MEMBER_COLUMNS = 'job, position, item_id, replays_before, refused'

export interface JobRow {
  readonly id: string
  readonly revision: number
  readonly ended_at_ms: number | null
  /** JSON text. */
  readonly state: string
}

export interface JobMemberRow {
  readonly job: string
  readonly position: number
  readonly item_id: string
  readonly replays_before: number
  readonly refused: string | null
}

export interface JobItemRow extends Omit<JobMemberRow, 'job'> {
  readonly state: ItemState | null
  readonly due: boolean | 0 | 1 | null
  readonly replays: number | null
}

export interface JobTallyRow {
  readonly refused: boolean | 0 | 1
  readonly moved: boolean | 0 | 1 | null
  readonly state: ItemState | null
  readonly due: boolean | 0 | 1 | null
  readonly count: number
}

export function toJob(row: JobRow): JobRecord {
  const { id, revision, ended_at_ms, state } = row
  return { id, revision, endedAtMs: ended_at_ms ?? undefined, state: JSON.parse(state) as Json }
}

export function toJobItem(row: JobItemRow): JobItem {
  return {
    position: row.position,
    itemId: row.item_id,
    replaysBefore: row.replays_before,
    ...(row.refused !== null && { refused: row.refused }),
    state: row.state ?? undefined,
    due: Boolean(row.due),
    replays: row.replays ?? 0,
  }
}

export function toJobTally(row: JobTallyRow): JobTally {
  return {
    refused: Boolean(row.refused),
    moved: Boolean(row.moved),
    state: row.state ?? undefined,
    due: Boolean(row.due),
    count: row.count,
  }
}

/** After every id. */
const NO_END = '~'

export function jobsEndOf(cursor: string | undefined): string {
  return cursor === undefined ? NO_END : parseCursor(cursor, (end) => typeof end === 'string')
}
