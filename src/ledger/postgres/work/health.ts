/** Shared health records, changed by compare-and-swap; updates are to be called inside a transaction. */
import { type HealthRow, toHealthRecord } from '../../health-rows.ts'
import type { HealthChange, HealthReceipt, HealthRecord } from '../../port.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'
import { rounds } from './rounds.ts'

export interface Health {
  changedSince(session: Session, revision: number): Promise<{ records: HealthRecord[]; revision: number }>
  update(session: Session, changes: readonly HealthChange[], nowMs: number): Promise<HealthReceipt[]>
}

export function prepareHealth(s: string): Health {
  const columns = 'key, revision, state, updated_at_ms'
  const selectSince = prepare<HealthRow>(`SELECT ${columns} FROM ${s}.health WHERE revision > $1 ORDER BY revision`)
  const selectSome = prepare<HealthRow>(`SELECT ${columns} FROM ${s}.health WHERE key = ANY($1::text[])`)
  const selectNewest = prepare<{ revision: number }>(`SELECT coalesce(max(revision), 0) AS revision FROM ${s}.health`)
  const takeRevisions = prepare<{ value: number }>(
    // The row stays locked until the commit, so revisions are seen in their order: a reader that has seen one has seen all
    // before it.
    `UPDATE ${s}.turns SET value = value + $1 WHERE name = 'health' RETURNING value`,
  )
  const apply = prepare<{ key: string; revision: number }>(
    `WITH wanted AS (
       SELECT * FROM unnest($3::text[], $4::bigint[], $5::text[]) WITH ORDINALITY n (key, from_revision, state, ord)),
     made AS (
       INSERT INTO ${s}.health (key, revision, state, updated_at_ms)
       SELECT key, $1 + ord, state, $2 FROM wanted WHERE from_revision = 0 ORDER BY key
       ON CONFLICT (key) DO NOTHING RETURNING key, revision),
     changed AS (
       UPDATE ${s}.health h SET revision = $1 + w.ord, state = w.state, updated_at_ms = $2
       FROM wanted w WHERE h.key = w.key AND h.revision = w.from_revision AND w.from_revision > 0
       RETURNING h.key, h.revision)
     SELECT key, revision FROM made UNION ALL SELECT key, revision FROM changed`,
  )

  async function updateRound(
    session: Session,
    changes: readonly HealthChange[],
    nowMs: number,
  ): Promise<HealthReceipt[]> {
    const [taken] = await session.rows(takeRevisions, [changes.length])
    const rows = await session.rows(apply, [
      (taken?.value ?? 0) - changes.length,
      nowMs,
      column(changes, (change) => change.key),
      column(changes, (change) => change.fromRevision),
      column(changes, (change) => JSON.stringify(change.state)),
    ])
    const applied = new Map(rows.map((row) => [row.key, row.revision]))
    const refused = changes.filter((change) => !applied.has(change.key)).map((change) => change.key)
    const current = refused.length === 0 ? [] : await session.rows(selectSome, [refused])
    const known = new Map(current.map((row) => [row.key, toHealthRecord(row)]))
    return changes.map(({ key }) => {
      const revision = applied.get(key)
      return revision === undefined
        ? { applied: false, key, current: known.get(key) }
        : { applied: true, key, revision }
    })
  }

  return {
    async changedSince(session, revision) {
      const records = (await session.rows(selectSince, [revision])).map(toHealthRecord)
      const newest = records.at(-1)?.revision
      if (newest !== undefined) return { records, revision: newest }
      const [row] = await session.rows(selectNewest)
      // What came in between the two statements is for the next reading.
      return { records, revision: Math.min(row?.revision ?? 0, revision) }
    },
    update: (session, changes, nowMs) =>
      rounds(
        changes,
        (change) => change.key,
        (round) => updateRound(session, round, nowMs),
      ),
  }
}
