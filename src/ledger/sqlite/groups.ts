/** `groups` of the port. */
import type { ItemState } from '../../core/item-state.ts'
import type { DeadLetterCause } from '../../policy/dead-letter.ts'
import type { DeadLetterGroup, ItemFilter } from '../port.ts'
import { type Database, prepareAgain } from './connection.ts'
import { itemConditions } from './filter.ts'
import { SUMMARY_JOINS } from './summary.ts'

interface GroupRow {
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

/** Dead letters and unknown outcomes by fingerprint; only those that need a person unless the filter asks otherwise. */
export function listGroups(database: Database, filter: ItemFilter): DeadLetterGroup[] {
  const needsPerson = filter.needsPerson ?? filter.states === undefined
  const { sql, values } = itemConditions({ ...filter, needsPerson })
  const rows = prepareAgain<GroupRow>(
    database,
    // Beside min() and max(), SQLite takes bare columns from a row that holds one of them: any member may speak for its
    // group, whose facts are alike.
    `SELECT i.fingerprint, i.state, f.pipeline, c.endpoint, count(*) AS count, count(i.due_at_ms) AS will_retry,
       min(i.dead_since_ms) AS first_ms, max(i.dead_since_ms) AS last_ms, r.id || '.' || i.step AS example, i.summary,
       i.hint, i.cause
     FROM items i INDEXED BY items_dead ${SUMMARY_JOINS}
     WHERE i.fingerprint IS NOT NULL AND i.state IN ('dead_lettered', 'unknown_outcome') AND ${sql}
     GROUP BY i.fingerprint, i.state, f.pipeline, c.endpoint`,
  ).all(...values)
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
