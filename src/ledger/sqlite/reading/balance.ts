/** `balance` of the port. */
import type { ItemState } from '../../../core/item-state.ts'
import { ACCEPTED, ARCHIVED_PREFIX, balanceOf, noStates, type StateCounts } from '../../counts.ts'
import type { Balance, BalanceFilter } from '../../port.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { type Database, prepareAgain } from '../transactions/connection.ts'
import { balanceConditions, NEEDS_PERSON } from './filter.ts'

/**
 * From the tallies, which is cheap enough to be asked for several times a second on any store. For labels, which are not
 * tallied, by counting the rows that are still there, without what was archived.
 */
export function readBalance(database: Database, filter: BalanceFilter): Balance {
  const byLabel = Object.keys(filter.labels ?? {}).length > 0
  const { accepted, states } = byLabel ? countRows(database, filter) : readTallies(database, filter)
  return balanceOf(accepted, states, countNeedsPerson(database, filter))
}

interface Counts {
  readonly accepted: number
  readonly states: StateCounts
}

function readTallies(database: Database, filter: BalanceFilter): Counts {
  const { sql, values } = balanceConditions(filter)
  const rows = prepareAgain<{ kind: string; count: number }>(
    database,
    `SELECT t.kind, sum(t.count) AS count FROM tallies t JOIN books b ON b.id = t.book WHERE ${sql} GROUP BY t.kind`,
  ).all(...values)
  const states = noStates()
  let accepted = 0
  for (const { kind, count } of rows) {
    if (kind === ACCEPTED) accepted += count
    else states[kind.replace(ARCHIVED_PREFIX, '') as ItemState] += count
  }
  return { accepted, states }
}

function countRows(database: Database, filter: BalanceFilter): Counts {
  const { sql, values } = balanceConditions(filter)
  const accepted = prepareAgain<{ accepted: number | null }>(
    database,
    `SELECT sum(r.item_count) AS accepted FROM runs r JOIN books b ON b.id = r.book WHERE ${sql}`,
  ).get(...values)
  const states = noStates()
  const rows = prepareAgain<{ state: ItemState; count: number }>(
    database,
    `SELECT i.state, count(*) AS count FROM runs r JOIN books b ON b.id = r.book JOIN items i ON ${ITEMS_OF_RUNS}
     WHERE ${sql} GROUP BY i.state`,
  ).all(...values)
  for (const { state, count } of rows) states[state] = count
  return { accepted: accepted?.accepted ?? 0, states }
}

function countNeedsPerson(database: Database, filter: BalanceFilter): number {
  const { sql, values } = balanceConditions(filter)
  const row = prepareAgain<{ count: number }>(
    database,
    `SELECT count(*) AS count FROM items i INDEXED BY items_dead JOIN books b ON b.id = i.book
       ${filter.labels ? 'JOIN runs r ON r.no = i.run' : ''}
     WHERE i.fingerprint IS NOT NULL AND ${NEEDS_PERSON} AND ${sql}`,
  ).get(...values)
  return row?.count ?? 0
}
