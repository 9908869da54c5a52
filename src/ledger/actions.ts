/** Rows of the trail of actions, as both adapters keep them. */
import type { Json } from '../core/json.ts'
import { parseCursor } from './cursor.ts'
import type { ActionRecord } from './records.ts'

export const ACTION_COLUMNS = 'id, at_ms, by_whom, origin, what, target, reason, details, outcome'

export interface ActionRow {
  readonly id: string
  readonly at_ms: number
  readonly by_whom: string
  readonly origin: string
  readonly what: string
  readonly target: string
  readonly reason: string
  /** JSON text. */
  readonly details: string
  readonly outcome: ActionRecord['outcome']
}

export function toActionRow(action: ActionRecord): ActionRow {
  return {
    id: action.id,
    at_ms: action.atMs,
    by_whom: action.by,
    origin: action.from,
    what: action.what,
    target: action.target,
    reason: action.reason,
    details: JSON.stringify(action.details),
    outcome: action.outcome,
  }
}

export function toAction(row: ActionRow): ActionRecord {
  return {
    id: row.id,
    atMs: row.at_ms,
    by: row.by_whom,
    from: row.origin,
    what: row.what,
    target: row.target,
    reason: row.reason,
    details: JSON.parse(row.details) as Json,
    outcome: row.outcome,
  }
}

/** Time and id of the last action of a page. */
export type ActionsEnd = readonly [atMs: number, id: string]

export const FIRST_ACTIONS: ActionsEnd = [Number.MAX_SAFE_INTEGER, '']

export function actionsEndOf(cursor: string | undefined): ActionsEnd {
  return cursor === undefined ? FIRST_ACTIONS : parseCursor(cursor, isEnd)
}

function isEnd(value: unknown): value is ActionsEnd {
  return Array.isArray(value) && value.length === 2 && Number.isSafeInteger(value[0]) && typeof value[1] === 'string'
}
