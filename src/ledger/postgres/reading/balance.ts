/** `balance` of the port. */
import type { ItemState } from '../../../core/item-state.ts'
import { ACCEPTED, ARCHIVED_PREFIX, balanceOf, noStates, type StateCounts } from '../../counts.ts'
import type { Balance, BalanceFilter } from '../../port.ts'
import { prepare, type Session } from '../transactions/connection.ts'
import { balanceConditions, NEEDS_PERSON } from './filter.ts'

const NEEDING = 'needs a person'

interface CountRow {
  kind: string
  count: number
}

/**
 * From the tallies, which is cheap enough to be asked for several times a second on any store. For labels, which are not
 * tallied, by counting the rows that are still there, without what was archived.
 */
export async function readBalance(session: Session, s: string, filter: BalanceFilter): Promise<Balance> {
  const byLabel = Object.keys(filter.labels ?? {}).length > 0
  const { sql, values } = balanceConditions(filter)
  // One statement, so that both sides of the balance are of one moment.
  const statement = prepare<CountRow>(
    `${byLabel ? countRows(s, sql) : sumTallies(s, sql)}
     UNION ALL
     SELECT '${NEEDING}', CASE WHEN ${someMayNeedPerson(s)} THEN (
       SELECT count(*) FROM ${s}.items i JOIN ${s}.books b ON b.id = i.book
         ${byLabel ? `JOIN ${s}.runs r ON r.no = i.run AND r.tenant = i.tenant` : ''}
       WHERE i.fingerprint IS NOT NULL AND ${NEEDS_PERSON} AND ${sql}) ELSE 0 END`,
  )
  return struck(await session.rows(statement, values))
}

/** Asked first: nearly always there are none, and a table that was never analyzed would be read from end to end for them. */
function someMayNeedPerson(s: string): string {
  return `(SELECT sum(count) FROM ${s}.tallies WHERE kind IN ('dead_lettered', 'unknown_outcome')) > 0`
}

function sumTallies(s: string, conditions: string): string {
  return `SELECT t.kind, sum(t.count)::bigint AS count FROM ${s}.tallies t JOIN ${s}.books b ON b.id = t.book
    WHERE ${conditions} GROUP BY t.kind`
}

function countRows(s: string, conditions: string): string {
  const runs = `${s}.runs r JOIN ${s}.books b ON b.id = r.book`
  return `SELECT '${ACCEPTED}' AS kind, coalesce(sum(r.item_count), 0) AS count FROM ${runs} WHERE ${conditions}
    UNION ALL
    SELECT i.state, count(*) FROM ${runs} JOIN ${s}.items i ON i.run = r.no AND i.tenant = r.tenant
    WHERE ${conditions} GROUP BY i.state`
}

function struck(rows: readonly CountRow[]): Balance {
  const states: StateCounts = noStates()
  let accepted = 0
  let needsPerson = 0
  for (const { kind, count } of rows) {
    if (kind === ACCEPTED) accepted += count
    else if (kind === NEEDING) needsPerson += count
    else states[kind.replace(ARCHIVED_PREFIX, '') as ItemState] += count
  }
  return balanceOf(accepted, states, needsPerson)
}
