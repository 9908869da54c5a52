/** `run`, `item`, `items` and `groups` of the port. */
import { HoldfastError } from '../../core/errors.ts'
import { parseItemId } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { ItemFilter, ItemRecord, ItemSummary, Page, PageOf, RunRecord } from '../port.ts'
import { type Attempts, type KeptSuccess, keptSuccess } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import { hotItemsFor, itemConditions } from './filter.ts'
import { ITEMS_OF_RUNS, itemsOfRun } from './item-numbers.ts'
import { labelsOf, SUMMARY_COLUMNS, SUMMARY_JOINS, type SummaryRow, toSummary } from './summary.ts'

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
  labels: string | null
  input: string
}

interface RecordRow extends SummaryRow, KeptSuccess {
  recorded: number
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
    `SELECT r.no, r.id, f.tenant, f.pipeline, coalesce(r.key, r.id) AS key, b.batch, r.created_at_ms,
       coalesce(r.correlation_id, r.id) AS correlation_id, r.labels, r.input
     FROM runs r JOIN flows f ON f.id = r.flow JOIN books b ON b.id = r.book WHERE r.id = ?`,
  )
  const selectItemsOfRun = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${SUMMARY_JOINS} WHERE r.no = ? AND ${ITEMS_OF_RUNS} ORDER BY i.no`,
  )
  const selectItem = prepare<RecordRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS}, i."after", i.memo, i.output, i.slow_lane_tries, i.cancel_reason, i.recorded,
       i.success_from_ms, i.success_at_ms, i.success_status, i.success_key, r.input,
       coalesce(r.correlation_id, r.id) AS correlation_id
     FROM items i ${SUMMARY_JOINS} WHERE r.id = ? AND ${ITEMS_OF_RUNS} AND i.step = ?`,
  )
  const selectEdits = prepare<{ input: string; by: string; at_ms: number; replay: number }>(
    database,
    'SELECT input, by, at_ms, replay FROM edits WHERE item = ? ORDER BY number',
  )
  const selectOperations = prepare<{ what: string; by: string; at_ms: number; note: string }>(
    database,
    'SELECT what, by, at_ms, note FROM operations WHERE item = ? ORDER BY id',
  )
  const selectDependents = prepare<{ step: string }>(
    database,
    `WITH RECURSIVE below (step) AS (
       SELECT value FROM items, json_each(items.dependents) WHERE items.no = ?2
       UNION
       SELECT value FROM below JOIN items ON ${itemsOfRun('?1')} AND items.step = below.step,
         json_each(items.dependents))
     SELECT step FROM below JOIN items USING (step) WHERE ${itemsOfRun('?1')} ORDER BY no`,
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
      labels: labelsOf(row),
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
    const kept = keptSuccess(row, row.recorded)
    return {
      ...toSummary(row),
      input: JSON.parse(row.input) as Json,
      edits: selectEdits.all(row.no).map((edit) => ({
        input: JSON.parse(edit.input) as Json,
        by: edit.by,
        atMs: edit.at_ms,
        replay: edit.replay,
      })),
      output: row.output === null ? undefined : (JSON.parse(row.output) as Json),
      after: row.after === null ? [] : (JSON.parse(row.after) as string[]),
      dependents: selectDependents.all(row.run, row.no).map((dependent) => dependent.step),
      attempts: [...attempts.of(row.no), ...(kept ? [kept] : [])],
      operations: selectOperations.all(row.no).map(({ what, by, at_ms, note }) => ({ what, by, atMs: at_ms, note })),
      correlationId: row.correlation_id,
      memo: row.memo ?? undefined,
      slowLaneTries: row.slow_lane_tries,
      cancelRequested: row.cancel_reason !== null,
    }
  }

  return { run, item, items: (filter, page) => listItems(database, filter, page) }
}

/** Newest first: by the number of the item, which grows as runs are accepted, so that a cursor stays true under inserts. */
function listItems(database: Database, filter: ItemFilter, page: Page): PageOf<ItemSummary> {
  const { sql, values } = itemConditions(filter)
  const hot = hotItemsFor(filter)
  const below = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : parseCursor(page.cursor)
  const rows = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${hot?.index ? `INDEXED BY ${hot.index}` : ''} ${SUMMARY_JOINS}
     WHERE ${hot?.condition ?? 'TRUE'} AND ${sql} AND i.no < ?
     ORDER BY i.no DESC LIMIT ?`,
  ).all(...values, below, page.limit + 1)
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
  return {
    rows: rows.slice(0, page.limit).map(toSummary),
    cursor: last && Buffer.from(JSON.stringify(last.no)).toString('base64url'),
  }
}

function parseCursor(cursor: string): number {
  try {
    const no: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Number.isSafeInteger(no)) return no as number
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
