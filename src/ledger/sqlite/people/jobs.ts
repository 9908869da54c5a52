/** Jobs and their members; what writes is to be called inside a transaction. */
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
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Jobs {
  update(change: JobChange): JobRecord | undefined
  list(filter: JobFilter, page: Page): PageOf<JobRecord>
  writeMembers(jobId: string, members: readonly JobMember[]): void
  items(jobId: string, request: { readonly after: number; readonly limit: number }): JobItem[]
  tallies(jobId: string, range: { readonly after: number; readonly upTo: number }): JobTally[]
}

/** LEFT JOINs, so that members whose items are forgotten are told too. */
const WITH_ITEMS = `LEFT JOIN runs r ON r.id = substr(m.item_id, 1, instr(m.item_id, '.') - 1)
  LEFT JOIN items i ON ${ITEMS_OF_RUNS} AND i.step = substr(m.item_id, instr(m.item_id, '.') + 1)`

export function prepareJobs(database: Database): Jobs {
  const insert = prepare(
    database,
    `INSERT INTO jobs (${JOB_COLUMNS}) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING`,
  )
  const swap = prepare(
    database,
    'UPDATE jobs SET revision = ?2, ended_at_ms = ?3, state = ?4 WHERE id = ?1 AND revision = ?2 - 1',
  )
  const select = prepare<JobRow>(
    database,
    `SELECT ${JOB_COLUMNS} FROM jobs
     WHERE id < ?1 AND (?2 IS NULL OR id = ?2) AND (?3 = 0 OR ended_at_ms IS NULL) ORDER BY id DESC LIMIT ?4`,
  )
  const upsertMember = prepare(
    database,
    `INSERT INTO job_members (job, position, item_id, replays_before, refused)
     VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM job_members WHERE job = ?1), ?2, ?3, ?4)
     ON CONFLICT (job, item_id) DO UPDATE SET refused = excluded.refused`,
  )
  const selectItems = prepare<JobItemRow>(
    database,
    `SELECT m.position, m.item_id, m.replays_before, m.refused, i.state, i.due_at_ms IS NOT NULL AS due, i.replays
     FROM job_members m ${WITH_ITEMS}
     WHERE m.job = ? AND m.position > ? ORDER BY m.position LIMIT ?`,
  )
  const countItems = prepare<JobTallyRow>(
    database,
    `SELECT m.refused IS NOT NULL AS refused, i.replays > m.replays_before AS moved, i.state,
       i.due_at_ms IS NOT NULL AS due, count(*) AS count
     FROM job_members m ${WITH_ITEMS} WHERE m.job = ?1 AND m.position > ?2 AND m.position <= ?3 GROUP BY 1, 2, 3, 4`,
  )
  return {
    update({ id, fromRevision, endedAtMs, state }) {
      const row = { id, revision: fromRevision + 1, ended_at_ms: endedAtMs ?? null, state: JSON.stringify(state) }
      const write = fromRevision === 0 ? insert : swap
      const { changes } = write.run(row.id, row.revision, row.ended_at_ms, row.state)
      return changes === 1 ? toJob(row) : undefined
    },
    list({ id, open }, { limit, cursor }) {
      const rows = select.all(jobsEndOf(cursor), id ?? null, open ? 1 : 0, limit + 1)
      const shown = rows.slice(0, limit).map(toJob)
      const last = shown.at(-1)
      return { rows: shown, cursor: last && rows.length > limit ? cursorOf(last.id) : undefined }
    },
    writeMembers(jobId, members) {
      for (const { itemId, replaysBefore, refused } of members) {
        upsertMember.run(jobId, itemId, replaysBefore, refused ?? null)
      }
    },
    items: (jobId, { after, limit }) => selectItems.all(jobId, after, limit).map(toJobItem),
    tallies: (jobId, { after, upTo }) => countItems.all(jobId, after, upTo).map(toJobTally),
  }
}
