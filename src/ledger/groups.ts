/** Dead letters by root cause, from rows that a SQL store has counted (R134). */
import type { ItemState } from '../core/item-state.ts'
import type { DeadLetterCause } from '../policy/retry/dead-letter.ts'
import type { DeadLetterGroup } from './port.ts'

/** One fingerprint in one state, pipeline and endpoint. */
export interface GroupRow {
  fingerprint: string
  state: ItemState
  pipeline: string
  endpoint: string
  count: number
  will_retry: number
  first_ms: number
  last_ms: number
  example: string
  summary: string
  hint: string
  cause: DeadLetterCause
}

/** Largest group first. */
export function groupsOf(rows: readonly GroupRow[]): DeadLetterGroup[] {
  const groups = Map.groupBy(rows, (row) => row.fingerprint)
  return [...groups.values()]
    .map(toGroup)
    .sort((a, b) => b.count - a.count || a.fingerprint.localeCompare(b.fingerprint))
}

function toGroup(rows: readonly GroupRow[]): DeadLetterGroup {
  const newest = rows.reduce((a, b) => (b.last_ms > a.last_ms ? b : a))
  const states: Partial<Record<ItemState, number>> = {}
  for (const row of rows) states[row.state] = (states[row.state] ?? 0) + row.count
  return {
    fingerprint: newest.fingerprint,
    summary: newest.summary,
    hint: newest.hint,
    cause: newest.cause,
    count: rows.reduce((sum, row) => sum + row.count, 0),
    states,
    pipelines: [...new Set(rows.map((row) => row.pipeline))].sort(),
    endpoints: [...new Set(rows.map((row) => row.endpoint))].sort(),
    firstMs: Math.min(...rows.map((row) => row.first_ms)),
    lastMs: newest.last_ms,
    exampleItemId: newest.example,
    willRetry: rows.reduce((sum, row) => sum + row.will_retry, 0),
  }
}
