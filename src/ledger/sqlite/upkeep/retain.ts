/** `retain` of the port, to be called inside a transaction. */
import type { ItemState } from '../../../core/item-state.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Failures } from '../work/failures.ts'
import type { Tally } from '../work/tally.ts'

export type Retain = (request: { endedBeforeMs: number; nowMs: number; limit: number }) => {
  runs: number
  effects: number
}

export function prepareRetain(database: Database, failures: Failures, tally: Tally): Retain {
  const selectEnded = prepare<{ no: number; item_count: number }>(
    database,
    // Runs are numbered as they were accepted, so the oldest, which are the likeliest to have ended, come first.
    `SELECT r.no, r.item_count FROM runs r WHERE r.created_at_ms < ?1 AND NOT EXISTS (
       SELECT 1 FROM items i WHERE ${ITEMS_OF_RUNS} AND (i.ended_at_ms IS NULL OR i.ended_at_ms >= ?1))
     ORDER BY r.no LIMIT ?2`,
  )
  const countItems = prepare<{ book: number; state: ItemState; count: number }>(
    database,
    'SELECT book, state, count(*) AS count FROM items WHERE no >= ? AND no < ? GROUP BY book, state',
  )
  const selectFailures = prepare<{ failure: number }>(
    database,
    'SELECT DISTINCT failure FROM attempts WHERE item >= ? AND item < ? AND failure IS NOT NULL',
  )
  const deletions = [
    ...['attempts', 'edits', 'operations'].map((table) => `DELETE FROM ${table} WHERE item >= ? AND item < ?`),
    'DELETE FROM items WHERE no >= ? AND no < ?',
  ].map((sql) => prepare(database, sql))
  const deleteRun = prepare(database, 'DELETE FROM runs WHERE no = ?')
  const deleteEffects = prepare(
    database,
    'DELETE FROM effects WHERE rowid IN (SELECT rowid FROM effects WHERE keep_until_ms <= ? LIMIT ?)',
  )

  const jobDeletions = [
    'DELETE FROM job_members WHERE job IN (SELECT id FROM jobs WHERE ended_at_ms < ?)',
    'DELETE FROM jobs WHERE ended_at_ms < ?',
  ].map((sql) => prepare(database, sql))
  /** As long as a run of its items is kept, what is older is known as such. */
  const deleteEntities = prepare(
    database,
    `DELETE FROM entities WHERE id IN (SELECT e.id FROM entities e WHERE e.updated_at_ms < ?
       AND NOT EXISTS (SELECT 1 FROM items i WHERE i.entity = e.id) LIMIT ?)`,
  )

  function forget(run: number, itemCount: number): void {
    const end = run + itemCount
    const named = selectFailures.all(run, end).map((row) => row.failure)
    for (const { book, state, count } of countItems.all(run, end)) tally.archive(book, state, count)
    for (const deletion of deletions) deletion.run(run, end)
    deleteRun.run(run)
    failures.sweep(named)
  }

  return ({ endedBeforeMs, nowMs, limit }) => {
    const ended = selectEnded.all(endedBeforeMs, limit)
    for (const { no, item_count } of ended) forget(no, item_count)
    for (const deletion of jobDeletions) deletion.run(endedBeforeMs)
    deleteEntities.run(endedBeforeMs, limit)
    return { runs: ended.length, effects: deleteEffects.run(nowMs, limit).changes }
  }
}
