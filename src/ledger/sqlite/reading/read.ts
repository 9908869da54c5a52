/** `run`, `item`, `items` and `groups` of the port. */
import { parseItemId } from '../../../core/ids.ts'
import { cursorOf, parseCursor } from '../../cursor.ts'
import { toSummary } from '../../item-rows.ts'
import { type KeptSuccess, keptSuccess } from '../../kept-success.ts'
import type { ItemFilter, ItemRecord, ItemSummary, Page, PageOf, RunRecord } from '../../port.ts'
import { type EditRow, type OperationRow, type RecordRow, type RunRow, toRecord, toRun } from '../../record-rows.ts'
import { type TurnRow, toTurn } from '../../turns.ts'
import { ITEMS_OF_RUNS, itemsOfRun } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Attempts } from '../work/attempts.ts'
import { hotItemsFor, itemConditions } from './filter.ts'
import { SUMMARY_COLUMNS, SUMMARY_JOINS, type SummaryRow } from './summary.ts'

export interface Reading {
  run(runId: string): RunRecord | undefined
  item(itemId: string): ItemRecord | undefined
  items(filter: ItemFilter, page: Page): PageOf<ItemSummary>
}

interface NumberedRun extends RunRow {
  no: number
}

interface NumberedRecord extends RecordRow, SummaryRow, KeptSuccess {
  recorded: number
}

export function prepareReading(database: Database, attempts: Attempts): Reading {
  const selectRun = prepare<NumberedRun>(
    database,
    `SELECT r.no, r.id, f.tenant, f.pipeline, coalesce(r.key, r.id) AS key, b.batch, r.created_at_ms,
       coalesce(r.correlation_id, r.id) AS correlation_id, r.labels, r.input
     FROM runs r JOIN flows f ON f.id = r.flow JOIN books b ON b.id = r.book WHERE r.id = ?`,
  )
  const selectItemsOfRun = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${SUMMARY_JOINS} WHERE r.no = ? AND ${ITEMS_OF_RUNS} ORDER BY i.no`,
  )
  const selectItem = prepare<NumberedRecord>(
    database,
    `SELECT ${SUMMARY_COLUMNS}, i."after", i.memo, i.output, i.slow_lane_tries, i.cancel_reason, i.recorded,
       i.success_from_ms, i.success_at_ms, i.success_status, i.success_key, r.input,
       coalesce(r.correlation_id, r.id) AS correlation_id
     FROM items i ${SUMMARY_JOINS} WHERE r.id = ? AND ${ITEMS_OF_RUNS} AND i.step = ?`,
  )
  const selectEdits = prepare<EditRow>(
    database,
    'SELECT input, by, at_ms, replay FROM edits WHERE item = ? ORDER BY number',
  )
  const selectOperations = prepare<OperationRow>(
    database,
    'SELECT what, by, at_ms, note FROM operations WHERE item = ? ORDER BY id',
  )
  const selectTurn = prepare<TurnRow>(
    database,
    `SELECT e.series, e.name AS entity, p.rule, p.standing, r.id AS before_run, b.step AS before_step,
       (SELECT count(*) FROM places w WHERE w.entity = p.entity AND w.place > p.place AND w.standing = 'waits') AS behind
     FROM places p JOIN entities e ON e.id = p.entity
     LEFT JOIN items b ON b.no = (SELECT f.item FROM places f WHERE f.entity = p.entity AND f.place < p.place
       AND f.standing <> 'passed' ORDER BY f.place DESC LIMIT 1)
     LEFT JOIN runs r ON r.no = b.run
     WHERE p.item = ?`,
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
    return row && toRun(row, selectItemsOfRun.all(row.no))
  }

  function item(id: string): ItemRecord | undefined {
    const at = parseItemId(id)
    const row = at && selectItem.get(at.runId, at.step)
    if (!row) return undefined
    const kept = keptSuccess(row, row.recorded)
    return toRecord(row, {
      edits: selectEdits.all(row.no),
      operations: selectOperations.all(row.no),
      attempts: [...attempts.of(row.no), ...(kept ? [kept] : [])],
      dependents: selectDependents.all(row.run, row.no).map((dependent) => dependent.step),
      turn: toTurn(selectTurn.get(row.no)),
    })
  }

  return { run, item, items: (filter, page) => listItems(database, filter, page) }
}

/** Newest first: by the number of the item, which grows as runs are accepted, so that a cursor stays true under inserts. */
function listItems(database: Database, filter: ItemFilter, page: Page): PageOf<ItemSummary> {
  const { sql, values } = itemConditions(filter)
  const hot = hotItemsFor(filter)
  const below = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : parseCursor(page.cursor, isNumber)
  const rows = prepare<SummaryRow>(
    database,
    `SELECT ${SUMMARY_COLUMNS} FROM items i ${hot?.index ? `INDEXED BY ${hot.index}` : ''} ${SUMMARY_JOINS}
     WHERE ${hot?.condition ?? 'TRUE'} AND ${sql} AND i.no < ?
     ORDER BY i.no DESC LIMIT ?`,
  ).all(...values, below, page.limit + 1)
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
  return {
    rows: rows.slice(0, page.limit).map(toSummary),
    cursor: last && cursorOf(last.no),
  }
}

function isNumber(end: unknown): end is number {
  return Number.isSafeInteger(end)
}
