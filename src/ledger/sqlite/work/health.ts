/** Shared health records, changed by compare-and-swap; updates are to be called inside a transaction. */
import { type HealthRow, toHealthRecord } from '../../health-rows.ts'
import type { HealthChange, HealthReceipt, HealthRecord } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Health {
  changedSince(revision: number): { records: HealthRecord[]; revision: number }
  update(change: HealthChange, nowMs: number): HealthReceipt
}

export function prepareHealth(database: Database): Health {
  const selectSince = prepare<HealthRow>(database, 'SELECT * FROM health WHERE revision > ? ORDER BY revision')
  const selectOne = prepare<HealthRow>(database, 'SELECT * FROM health WHERE key = ?')
  const selectNewest = prepare<{ revision: number | null }>(database, 'SELECT max(revision) AS revision FROM health')
  const insert = prepare(
    database,
    'INSERT INTO health (revision, state, updated_at_ms, key) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
  )
  const swap = prepare(
    database,
    'UPDATE health SET revision = ?, state = ?, updated_at_ms = ? WHERE key = ? AND revision = ?',
  )

  function update(change: HealthChange, nowMs: number): HealthReceipt {
    const { key, fromRevision } = change
    // Records are never deleted, so the newest revision only grows.
    const revision = (selectNewest.get()?.revision ?? 0) + 1
    const state = JSON.stringify(change.state)
    const { changes } =
      fromRevision === 0 ? insert.run(revision, state, nowMs, key) : swap.run(revision, state, nowMs, key, fromRevision)
    if (changes === 1) return { applied: true, key, revision }
    const current = selectOne.get(key)
    return { applied: false, key, current: current && toHealthRecord(current) }
  }

  return {
    changedSince(revision) {
      const records = selectSince.all(revision).map(toHealthRecord)
      return { records, revision: records.at(-1)?.revision ?? selectNewest.get()?.revision ?? 0 }
    },
    update,
  }
}
