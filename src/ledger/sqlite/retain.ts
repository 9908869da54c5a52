/** `retain` of the port, to be called inside a transaction. */
import type { ItemState } from '../../core/item-state.ts'
import { type Database, prepare } from './connection.ts'
import type { Tally } from './tally.ts'

export type Retain = (request: { endedBeforeMs: number; nowMs: number; limit: number }) => {
  runs: number
  effects: number
}

export function prepareRetain(database: Database, tally: Tally): Retain {
  const selectEnded = prepare<{ no: number }>(
    database,
    // Runs are numbered as they were accepted, so the oldest, which are the likeliest to have ended, come first.
    `SELECT no FROM runs WHERE created_at_ms < ?1 AND NOT EXISTS (
       SELECT 1 FROM items WHERE run = no AND (ended_at_ms IS NULL OR ended_at_ms >= ?1))
     ORDER BY no LIMIT ?2`,
  )
  const countItems = prepare<{ book: number; state: ItemState; count: number }>(
    database,
    'SELECT book, state, count(*) AS count FROM items WHERE run = ? GROUP BY book, state',
  )
  const deletions = ['attempts', 'edits', 'operations', 'items'].map((table) =>
    prepare(database, `DELETE FROM ${table} WHERE run = ?`),
  )
  const deleteRun = prepare(database, 'DELETE FROM runs WHERE no = ?')
  const deleteEffects = prepare(
    database,
    'DELETE FROM effects WHERE rowid IN (SELECT rowid FROM effects WHERE keep_until_ms <= ? LIMIT ?)',
  )

  function forget(run: number): void {
    for (const { book, state, count } of countItems.all(run)) tally.archive(book, state, count)
    for (const deletion of deletions) deletion.run(run)
    deleteRun.run(run)
  }

  return ({ endedBeforeMs, nowMs, limit }) => {
    const ended = selectEnded.all(endedBeforeMs, limit)
    for (const { no } of ended) forget(no)
    return { runs: ended.length, effects: deleteEffects.run(nowMs, limit).changes }
  }
}
