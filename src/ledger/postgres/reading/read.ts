/** `run`, `item`, `items`, `groups` and `failures` of the port. */
import { parseItemId } from '../../../core/ids.ts'
import { cursorOf, parseCursor } from '../../cursor.ts'
import { type GroupRow, groupsOf } from '../../groups.ts'
import { type ItemRow, toSummary } from '../../item-rows.ts'
import { type KeptSuccess, keptSuccess } from '../../kept-success.ts'
import type {
  DeadLetterGroup,
  FailureTally,
  ItemFilter,
  ItemRecord,
  ItemSummary,
  Page,
  PageOf,
  RunRecord,
} from '../../port.ts'
import {
  type AttemptRow,
  type EditRow,
  type OperationRow,
  type RecordRow,
  type RunRow,
  toAttempt,
  toRecord,
  toRun,
} from '../../record-rows.ts'
import { MOST_TALLIES, type TallyRow, toTally } from '../../tallies.ts'
import { type TurnRow, toTurn } from '../../turns.ts'
import { prepare, type Session } from '../transactions/connection.ts'
import { itemConditions } from './filter.ts'

export interface Reading {
  run(session: Session, runId: string): Promise<RunRecord | undefined>
  item(session: Session, itemId: string): Promise<ItemRecord | undefined>
  items(session: Session, filter: ItemFilter, page: Page): Promise<PageOf<ItemSummary>>
  groups(session: Session, filter: ItemFilter): Promise<DeadLetterGroup[]>
  failures(session: Session, sinceMs: number): Promise<FailureTally[]>
}

interface NumberedRun extends RunRow {
  no: number
}

interface FullRow extends RecordRow, KeptSuccess {
  edit_rows: EditRow[] | null
  operation_rows: OperationRow[] | null
  attempt_rows: AttemptRow[] | null
  recorded: number
  below: string[] | null
  turn: TurnRow | null
}

const COLUMNS = `i.run, i.step, i.state, i.reason, i.due_at_ms, i.attempts, i.deferrals, i.crashes, i.replays,
  i.first_attempt_at_ms, i.ended_at_ms, i.updated_at_ms, i.lease_worker, i.lease_until_ms, i.lease_from_ms, i.fingerprint,
  i.summary, i.hint, i.cause, i.dead_since_ms, i.external_id, i.optional, r.id, r.tenant, r.pipeline,
  coalesce(r.key, r.id) AS key, r.created_at_ms, r.labels, c.lane, c.endpoint, b.batch`

export function prepareReading(s: string): Reading {
  const joins = `JOIN ${s}.runs r ON r.no = i.run AND r.tenant = i.tenant JOIN ${s}.channels c ON c.id = i.channel
    JOIN ${s}.books b ON b.id = i.book`
  const selectRun = prepare<NumberedRun>(
    `SELECT r.no, r.id, r.tenant, r.pipeline, coalesce(r.key, r.id) AS key, b.batch, r.created_at_ms, r.correlation_id,
       r.labels, r.input
     FROM ${s}.runs r JOIN ${s}.books b ON b.id = r.book WHERE r.id = $1`,
  )
  const selectItemsOfRun = prepare<ItemRow>(
    `SELECT ${COLUMNS} FROM ${s}.items i ${joins} WHERE i.run = $1 AND i.tenant = $2 ORDER BY i.position`,
  )
  const selectItem = prepare<FullRow>(
    // One statement, so that the item and its history are of one moment.
    `SELECT ${COLUMNS}, i."after", i.memo, i.output, i.slow_lane_tries, i.cancel_reason, r.input, r.correlation_id,
       i.recorded, i.success_from_ms, i.success_at_ms, i.success_status, i.success_key,
       (SELECT json_agg(e ORDER BY e.number) FROM ${s}.edits e
        WHERE e.run = i.run AND e.step = i.step AND e.tenant = i.tenant) AS edit_rows,
       (SELECT json_agg(o ORDER BY o.number) FROM ${s}.operations o
        WHERE o.run = i.run AND o.step = i.step AND o.tenant = i.tenant) AS operation_rows,
       (SELECT json_agg(a ORDER BY a.number) FROM ${s}.attempts a
        WHERE a.run = i.run AND a.step = i.step AND a.tenant = i.tenant) AS attempt_rows,
       CASE WHEN i.entity IS NOT NULL THEN (
         SELECT json_build_object('series', e.series, 'entity', e.name, 'rule', p.rule, 'standing', p.standing,
           'before_run', before.id, 'before_step', before.step, 'behind', (SELECT count(*) FROM ${s}.places w
             WHERE w.entity = p.entity AND w.place > p.place AND w.standing = 'waits'))
         FROM ${s}.places p JOIN ${s}.entities e ON e.id = p.entity AND e.tenant = p.tenant
         LEFT JOIN LATERAL (SELECT b.id, f.step FROM ${s}.places f JOIN ${s}.runs b ON b.no = f.run AND b.tenant = f.tenant
           WHERE f.entity = p.entity AND f.place < p.place AND f.standing <> 'passed'
           ORDER BY f.place DESC LIMIT 1) before ON true
         WHERE p.run = i.run AND p.step = i.step AND p.tenant = i.tenant) END AS turn,
       (WITH RECURSIVE below (step) AS (
          SELECT json_array_elements_text(i.dependents::json)
          UNION
          SELECT next.step FROM below JOIN ${s}.items w ON w.run = i.run AND w.tenant = i.tenant AND w.step = below.step
          CROSS JOIN LATERAL json_array_elements_text(w.dependents::json) next (step))
        SELECT json_agg(w.step ORDER BY w.position) FROM below
        JOIN ${s}.items w ON w.run = i.run AND w.tenant = i.tenant AND w.step = below.step) AS below
     FROM ${s}.items i ${joins} WHERE r.id = $1 AND i.step = $2`,
  )

  const selectFailures = prepare<TallyRow>(
    `SELECT c.lane, c.endpoint, a.ended_at_ms / 86400000 AS day, count(*) AS count, min(a.ended_at_ms) AS first_ms,
       max(a.ended_at_ms) AS last_ms, max(r.id || '.' || i.step) AS example, max(a.failure) AS failure
     FROM ${s}.attempts a JOIN ${s}.items i ON i.run = a.run AND i.step = a.step AND i.tenant = a.tenant ${joins}
     WHERE a.failure IS NOT NULL AND a.ended_at_ms >= $1
     GROUP BY c.lane, c.endpoint, day, a.failure::json ->> 'rule', a.failure::json ->> 'code', a.failure::json ->> 'status'
     ORDER BY count DESC, last_ms DESC LIMIT ${MOST_TALLIES}`,
  )

  async function run(session: Session, runId: string): Promise<RunRecord | undefined> {
    const [row] = await session.rows(selectRun, [runId])
    return row && toRun(row, await session.rows(selectItemsOfRun, [row.no, row.tenant]))
  }

  async function item(session: Session, id: string): Promise<ItemRecord | undefined> {
    const at = parseItemId(id)
    const [row] = at ? await session.rows(selectItem, [at.runId, at.step]) : []
    if (!row) return undefined
    const attempts = (row.attempt_rows ?? []).map(toAttempt)
    const kept = keptSuccess(row, row.recorded)
    return toRecord(row, {
      edits: row.edit_rows ?? [],
      operations: row.operation_rows ?? [],
      attempts: kept ? [...attempts, kept] : attempts,
      dependents: row.below ?? [],
      turn: toTurn(row.turn ?? undefined),
    })
  }

  /** Newest first: by the number of the run, which grows as runs are accepted, so that a cursor stays true. */
  async function items(session: Session, filter: ItemFilter, page: Page): Promise<PageOf<ItemSummary>> {
    const { sql, values } = itemConditions(s, filter)
    const from = page.cursor === undefined ? undefined : parseCursor(page.cursor, isPlace)
    const count = values.length
    const statement = prepare<ItemRow>(
      `SELECT ${COLUMNS} FROM ${s}.items i ${joins}
       WHERE ${sql} ${from ? `AND (i.run, i.step) < ($${count + 2}, $${count + 3})` : ''}
       ORDER BY i.run DESC, i.step DESC LIMIT $${count + 1}`,
    )
    const rows = await session.rows(statement, [...values, page.limit + 1, ...(from ?? [])])
    const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
    return { rows: rows.slice(0, page.limit).map(toSummary), cursor: last && cursorOf([last.run, last.step]) }
  }

  /** Dead letters and unknown outcomes by fingerprint; only those that need a person unless the filter asks otherwise. */
  async function groups(session: Session, filter: ItemFilter): Promise<DeadLetterGroup[]> {
    const { sql, values } = itemConditions(s, {
      ...filter,
      needsPerson: filter.needsPerson ?? filter.states === undefined,
    })
    const statement = prepare<GroupRow>(
      // The facts of a group are alike: any member may speak for it.
      `SELECT i.fingerprint, i.state, r.pipeline, c.endpoint, count(*) AS count, count(i.due_at_ms) AS will_retry,
         min(i.dead_since_ms) AS first_ms, max(i.dead_since_ms) AS last_ms, max(r.id || '.' || i.step) AS example,
         max(i.summary) AS summary, max(i.hint) AS hint, max(i.cause) AS cause
       FROM ${s}.items i ${joins}
       WHERE i.fingerprint IS NOT NULL AND i.state IN ('dead_lettered', 'unknown_outcome') AND ${sql}
       GROUP BY i.fingerprint, i.state, r.pipeline, c.endpoint`,
    )
    return groupsOf(await session.rows(statement, values))
  }

  async function failures(session: Session, sinceMs: number): Promise<FailureTally[]> {
    return (await session.rows(selectFailures, [sinceMs])).map(toTally)
  }

  return { run, item, items, groups, failures }
}

function isPlace(end: unknown): end is [run: number, step: string] {
  return Array.isArray(end) && Number.isSafeInteger(end[0]) && typeof end[1] === 'string'
}
