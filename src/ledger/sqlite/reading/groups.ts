/** `groups` of the port. */
import { type GroupRow, groupsOf } from '../../groups.ts'
import type { DeadLetterGroup, ItemFilter } from '../../port.ts'
import { type Database, prepareAgain } from '../transactions/connection.ts'
import { itemConditions } from './filter.ts'
import { SUMMARY_JOINS } from './summary.ts'

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
  return groupsOf(rows)
}
