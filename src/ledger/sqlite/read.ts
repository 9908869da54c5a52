/** `run`, `item`, `items` and `groups` of the port. */
import { HoldfastError } from '../../core/errors.ts'
import { parseItemId } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { ItemFilter, ItemRecord, ItemSummary, Page, PageOf, RunRecord } from '../port.ts'
import type { Attempts } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import { hotIndexFor, itemConditions } from './filter.ts'
import { SUMMARY_COLUMNS, SUMMARY_JOINS, type SummaryRow, toSummary } from './summary.ts'

export interface Reading {
  run(runId: string): RunRecord | undefined
  item(itemId: string): ItemRecord | undefined
  items(filter: ItemFilter, page: Page): PageOf<ItemSummary>
}

interface RunRow {
  no: number
  id: string
  tenant: string
  pipeline: string
  key: string
  batch: string
  created_at_ms: number
  correlation_id: string
  labels: string
  input: string
}

interface RecordRow extends SummaryRow {
  after: string | null
  memo: string | null
  output: string | null
  slow_lane_tries: number
  cancel_reason: string | null
  input: string
  correlation_id: string
}

export function prepareReading(database: Database, attempts: Attempts): Reading {
  const selectRun = prepare<RunRow>(
    database,
    'SELECT r.*, b.batch FROM runs r JOIN books b ON b.id = r.book WHERE r.id = ?',
  )
  const selectItemsOfRun = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${SUMMARY_JOINS} WHERE i.run = ? ORDER BY i.position`,
  )
  const selectItem = prepare<RecordRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS}, i."after", i.memo, i.output, i.slow_lane_tries, i.cancel_reason, r.input, r.correlation_id
     FROM items i ${SUMMARY_JOINS} WHERE r.id = ? AND i.step = ?`,
  )
  const selectEdits = prepare<{ input: string; by: string; at_ms: number; replay: number }>(
    database,
    'SELECT input, by, at_ms, replay FROM edits WHERE run = ? AND step = ? ORDER BY number',
  )
  const selectOperations = prepare<{ what: string; by: string; at_ms: number; note: string }>(
    database,
    'SELECT what, by, at_ms, note FROM operations WHERE run = ? AND step = ? ORDER BY id',
  )
  const selectDependents = prepare<{ step: string }>(
    database,
    `WITH RECURSIVE below (step) AS (
       SELECT value FROM items, json_each(items.dependents) WHERE items.run = ?1 AND items.step = ?2
       UNION
       SELECT value FROM below JOIN items ON items.run = ?1 AND items.step = below.step, json_each(items.dependents))
     SELECT i.step FROM below JOIN items i ON i.run = ?1 AND i.step = below.step ORDER BY i.position`,
  )

  function run(runId: string): RunRecord | undefined {
    const row = selectRun.get(runId)
    if (!row) return undefined
    return {
      id: row.id,
      tenant: row.tenant,
      pipeline: row.pipeline,
      key: row.key,
      input: JSON.parse(row.input) as Json,
      labels: JSON.parse(row.labels) as Record<string, string>,
      batch: row.batch,
      correlationId: row.correlation_id,
      createdAtMs: row.created_at_ms,
      items: selectItemsOfRun.all(row.no).map(toSummary),
    }
  }

  function item(id: string): ItemRecord | undefined {
    const at = parseItemId(id)
    const row = at && selectItem.get(at.runId, at.step)
    if (!row) return undefined
    return {
      ...toSummary(row),
      input: JSON.parse(row.input) as Json,
      edits: selectEdits.all(row.run, row.step).map((edit) => ({
        input: JSON.parse(edit.input) as Json,
        by: edit.by,
        atMs: edit.at_ms,
        replay: edit.replay,
      })),
      output: row.output === null ? undefined : (JSON.parse(row.output) as Json),
      after: row.after === null ? [] : (JSON.parse(row.after) as string[]),
      dependents: selectDependents.all(row.run, row.step).map((dependent) => dependent.step),
      attempts: attempts.of(row.run, row.step),
      operations: selectOperations
        .all(row.run, row.step)
        .map(({ what, by, at_ms, note }) => ({ what, by, atMs: at_ms, note })),
      correlationId: row.correlation_id,
      memo: row.memo ?? undefined,
      slowLaneTries: row.slow_lane_tries,
      cancelRequested: row.cancel_reason !== null,
    }
  }

  return { run, item, items: (filter, page) => listItems(database, filter, page) }
}

/** Newest first: by the number of the run, which grows as runs are accepted, so that a cursor stays true under inserts. */
function listItems(database: Database, filter: ItemFilter, page: Page): PageOf<ItemSummary> {
  const { sql, values } = itemConditions(filter)
  const index = hotIndexFor(filter)
  const from = page.cursor === undefined ? undefined : parseCursor(page.cursor)
  const rows = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${index ? `INDEXED BY ${index.name}` : ''} ${SUMMARY_JOINS}
     WHERE ${index?.condition ?? 'TRUE'} AND ${sql} ${from ? 'AND (i.run, i.step) < (?, ?)' : ''}
     ORDER BY i.run DESC, i.step DESC LIMIT ?`,
  ).all(...values, ...(from ?? []), page.limit + 1)
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
  return {
    rows: rows.slice(0, page.limit).map(toSummary),
    cursor: last && Buffer.from(JSON.stringify([last.run, last.step])).toString('base64url'),
  }
}

function parseCursor(cursor: string): [run: number, step: string] {
  try {
    const [run, step] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof run === 'number' && typeof step === 'string') return [run, step]
  } catch (cause) {
    throw invalidCursor(cursor, cause)
  }
  throw invalidCursor(cursor)
}

function invalidCursor(cursor: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'invalid_cursor',
    class: 'validation',
    message: `"${cursor}" is not a cursor of a page`,
    hint: 'Pass the `cursor` of the page before, unchanged, or none for the first page.',
    cause,
  })
}
