/** `retain` of the port, and what else is put in order meanwhile. */
import { prepare, type Session } from '../transactions/connection.ts'

export type RetainRequest = { readonly endedBeforeMs: number; readonly nowMs: number; readonly limit: number }

export interface Retain {
  /** Inside a transaction. */
  forget(session: Session, request: RetainRequest): Promise<{ runs: number; effects: number }>
  /** Inside a transaction: sums up the tallies of many writers, and forgets writers that are gone. */
  tidy(session: Session, nowMs: number): Promise<void>
}

/** Far longer than any transaction. */
const WRITER_GONE_AFTER_MS = 7 * 86_400_000

export function prepareRetain(s: string): Retain {
  const forgetRuns = prepare<{ runs: number }>(
    // Runs are numbered as they were accepted, so the oldest, which are the likeliest to have ended, come first. Their
    // attempts and operations go with their partition.
    `WITH ended AS (
       SELECT r.no, r.tenant FROM ${s}.runs r WHERE r.created_at_ms < $1 AND NOT EXISTS (
         SELECT 1 FROM ${s}.items i WHERE i.run = r.no AND i.tenant = r.tenant
           AND (i.ended_at_ms IS NULL OR i.ended_at_ms >= $1))
       ORDER BY r.no LIMIT $2 FOR UPDATE SKIP LOCKED),
     items AS (DELETE FROM ${s}.items i USING ended e WHERE i.run = e.no AND i.tenant = e.tenant),
     edits AS (DELETE FROM ${s}.edits i USING ended e WHERE i.run = e.no AND i.tenant = e.tenant),
     runs AS (DELETE FROM ${s}.runs r USING ended e WHERE r.no = e.no AND r.tenant = e.tenant RETURNING 1)
     SELECT count(*) AS runs FROM runs`,
  )
  const forgetEffects = prepare<{ effects: number }>(
    `WITH expired AS (
       SELECT tenant, key FROM ${s}.effects WHERE keep_until_ms <= $1 ORDER BY keep_until_ms LIMIT $2
       FOR UPDATE SKIP LOCKED),
     gone AS (DELETE FROM ${s}.effects e USING expired x WHERE e.tenant = x.tenant AND e.key = x.key RETURNING 1)
     SELECT count(*) AS effects FROM gone`,
  )
  const forgetJobs = prepare(
    `WITH ended AS (SELECT id FROM ${s}.jobs WHERE ended_at_ms < $1 FOR UPDATE SKIP LOCKED),
     members AS (DELETE FROM ${s}.job_members m USING ended e WHERE m.job = e.id)
     DELETE FROM ${s}.jobs j USING ended e WHERE j.id = e.id`,
  )
  const forgetEntities = prepare(
    // As long as a run of its items is kept, what is older is known as such.
    `WITH idle AS (
       SELECT e.id FROM ${s}.entities e WHERE e.updated_at_ms < $1
         AND NOT EXISTS (SELECT 1 FROM ${s}.items i WHERE i.entity = e.id)
       ORDER BY e.id LIMIT $2 FOR UPDATE SKIP LOCKED)
     DELETE FROM ${s}.entities e USING idle WHERE e.id = idle.id
       AND NOT EXISTS (SELECT 1 FROM ${s}.items i WHERE i.entity = e.id)`,
  )
  const sumTallies = prepare(
    `WITH free AS (SELECT book, kind, slot FROM ${s}.tallies WHERE slot <> 0 ORDER BY book, kind, slot
       FOR UPDATE SKIP LOCKED),
     taken AS (DELETE FROM ${s}.tallies t USING free f
       WHERE t.book = f.book AND t.kind = f.kind AND t.slot = f.slot RETURNING t.book, t.kind, t.count)
     INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
     SELECT book, kind, 0, sum(count) FROM taken GROUP BY book, kind ORDER BY book, kind
     ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count`,
  )
  const forgetWriters = prepare(`DELETE FROM ${s}.commits WHERE at_ms < $1`)

  return {
    async forget(session, { endedBeforeMs, nowMs, limit }) {
      const [forgotten] = await session.rows(forgetRuns, [endedBeforeMs, limit])
      await session.rows(forgetJobs, [endedBeforeMs])
      await session.rows(forgetEntities, [endedBeforeMs, limit])
      const [expired] = await session.rows(forgetEffects, [nowMs, limit])
      return { runs: forgotten?.runs ?? 0, effects: expired?.effects ?? 0 }
    },
    async tidy(session, nowMs) {
      await session.rows(sumTallies)
      await session.rows(forgetWriters, [nowMs - WRITER_GONE_AFTER_MS])
    },
  }
}
