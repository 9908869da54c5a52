/** Jobs and their members. */
import { cursorOf } from '../../cursor.ts'
import {
  JOB_COLUMNS,
  type JobChange,
  type JobFilter,
  type JobItem,
  type JobItemRow,
  type JobMember,
  type JobRecord,
  type JobRow,
  type JobTally,
  type JobTallyRow,
  jobsEndOf,
  toJob,
  toJobItem,
  toJobTally,
} from '../../jobs.ts'
import type { Page, PageOf } from '../../port.ts'
import { column, prepare, type Session, storable } from '../transactions/connection.ts'

export interface Jobs {
  update(session: Session, change: JobChange): Promise<JobRecord | undefined>
  list(session: Session, filter: JobFilter, page: Page): Promise<PageOf<JobRecord>>
  writeMembers(session: Session, jobId: string, members: readonly JobMember[]): Promise<void>
  items(
    session: Session,
    jobId: string,
    request: { readonly after: number; readonly limit: number },
  ): Promise<JobItem[]>
  tallies(
    session: Session,
    jobId: string,
    range: { readonly after: number; readonly upTo: number },
  ): Promise<JobTally[]>
}

export function prepareJobs(s: string): Jobs {
  /** LEFT JOINs, so that members whose items are forgotten are told too. */
  const withItems = `LEFT JOIN ${s}.runs r ON r.id = split_part(m.item_id, '.', 1)
    LEFT JOIN ${s}.items i ON i.run = r.no AND i.tenant = r.tenant
      AND i.step = substr(m.item_id, position('.' IN m.item_id) + 1)`
  const insert = prepare<JobRow>(
    `INSERT INTO ${s}.jobs (${JOB_COLUMNS}) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING RETURNING ${JOB_COLUMNS}`,
  )
  const swap = prepare<JobRow>(
    `UPDATE ${s}.jobs SET revision = $2, ended_at_ms = $3, state = $4 WHERE id = $1 AND revision = $2::bigint - 1
     RETURNING ${JOB_COLUMNS}`,
  )
  const select = prepare<JobRow>(
    `SELECT ${JOB_COLUMNS} FROM ${s}.jobs
     WHERE id < $1 AND ($2::text IS NULL OR id = $2) AND (NOT $3::boolean OR ended_at_ms IS NULL)
     ORDER BY id DESC LIMIT $4::int`,
  )
  const upsertMembers = prepare(
    `INSERT INTO ${s}.job_members (job, position, item_id, replays_before, refused)
     SELECT $1::text, (SELECT coalesce(max(position), 0) FROM ${s}.job_members WHERE job = $1) + n.ord,
       n.item_id, n.replays_before, n.refused
     FROM unnest($2::text[], $3::int[], $4::text[]) WITH ORDINALITY n (item_id, replays_before, refused, ord)
     ORDER BY n.ord
     ON CONFLICT (job, item_id) DO UPDATE SET refused = excluded.refused`,
  )
  const selectItems = prepare<JobItemRow>(
    `SELECT m.position, m.item_id, m.replays_before, m.refused, i.state, i.due_at_ms IS NOT NULL AS due, i.replays
     FROM ${s}.job_members m ${withItems}
     WHERE m.job = $1 AND m.position > $2 ORDER BY m.position LIMIT $3::int`,
  )
  const countItems = prepare<JobTallyRow>(
    `SELECT m.refused IS NOT NULL AS refused, i.replays > m.replays_before AS moved, i.state,
       i.due_at_ms IS NOT NULL AS due, count(*) AS count
     FROM ${s}.job_members m ${withItems} WHERE m.job = $1 AND m.position > $2 AND m.position <= $3 GROUP BY 1, 2, 3, 4`,
  )
  return {
    async update(session, { id, fromRevision, endedAtMs, state }) {
      const values = [storable(id), fromRevision + 1, endedAtMs ?? null, JSON.stringify(state)]
      const [row] = await session.rows(fromRevision === 0 ? insert : swap, values)
      return row && toJob(row)
    },
    async list(session, { id, open }, { limit, cursor }) {
      const wanted = id === undefined ? null : storable(id)
      const rows = await session.rows(select, [jobsEndOf(cursor), wanted, open ?? false, limit + 1])
      const shown = rows.slice(0, limit).map(toJob)
      const last = shown.at(-1)
      return { rows: shown, cursor: last && rows.length > limit ? cursorOf(last.id) : undefined }
    },
    async writeMembers(session, jobId, members) {
      if (members.length === 0) return
      await session.rows(upsertMembers, [
        jobId,
        column(members, ({ itemId }) => itemId),
        column(members, ({ replaysBefore }) => replaysBefore),
        column(members, ({ refused }) => refused),
      ])
    },
    async items(session, jobId, { after, limit }) {
      return (await session.rows(selectItems, [jobId, after, limit])).map(toJobItem)
    },
    async tallies(session, jobId, { after, upTo }) {
      return (await session.rows(countItems, [jobId, after, upTo])).map(toJobTally)
    },
  }
}
