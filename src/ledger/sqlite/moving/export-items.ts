/** The items of many runs with all that is known of them: one range of each table. */
import { type KeptSuccess, keptSuccess } from '../../kept-success.ts'
import type {
  TransferredAttempt,
  TransferredEdit,
  TransferredHistory,
  TransferredItem,
  TransferredOperation,
} from '../../transfer.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface ExportedItem {
  /** The number of its run. */
  readonly run: number
  readonly item: TransferredItem
}

type Stored<Row> = { readonly item: number } & Row
type ItemRow = Omit<TransferredItem, 'optional' | 'released' | 'last_failure' | 'history'> &
  KeptSuccess & { readonly no: number; readonly run: number; readonly optional: number; readonly released: number }

/** Of a range of numbers, in their order. */
export function prepareItemExport(database: Database): (from: number, below: number) => ExportedItem[] {
  const selectItems = prepare<ItemRow>(
    database,
    `SELECT i.no, i.run, i.step, i.no - i.run AS position, c.lane, c.endpoint, i.state, i.due_at_ms,
       l.until_ms AS lease_until_ms, l.from_ms AS lease_from_ms, l.worker AS lease_worker, i.lease_token, i.attempts,
       i.deferrals, i.crashes, i.replays, i.recorded, i.edits, i.attempts_before_budget, i.budget_from_ms,
       i.slow_lane_tries, i.optional, i.unmet, i.released, i.first_attempt_at_ms, i.updated_at_ms, i.ended_at_ms,
       i.not_before_ms, i.reason, i.cancel_reason, i.external_id, i.fingerprint, i.summary, i.hint, i.cause,
       i.dead_since_ms, i."after", i.dependents, i.memo, i.output,
       e.series AS entity_series, e.name AS entity_name, p.place, p.rule AS place_rule, p.standing AS place_standing,
       i.success_from_ms, i.success_at_ms, i.success_status, i.success_key
     FROM items i CROSS JOIN channels c ON c.id = i.channel LEFT JOIN leases l ON l.id = i.lease
       LEFT JOIN entities e ON e.id = i.entity LEFT JOIN places p ON p.item = i.no
     WHERE i.no >= ? AND i.no < ? ORDER BY i.no`,
  )
  const selectAttempts = prepare<Stored<Omit<TransferredAttempt, 'counts'> & { counts: number }>>(
    database,
    `SELECT a.item, a.number, a.outcome, a.counts, a.started_at_ms, a.ended_at_ms, a.status, a.idempotency_key, a.note,
       f.text AS failure
     FROM attempts a LEFT JOIN failures f ON f.id = a.failure WHERE a.item >= ? AND a.item < ? ORDER BY a.item, a.number`,
  )
  const selectEdits = prepare<Stored<TransferredEdit>>(
    database,
    'SELECT item, number, replay, by, at_ms, input FROM edits WHERE item >= ? AND item < ? ORDER BY item, number',
  )
  const selectOperations = prepare<Stored<TransferredOperation>>(
    database,
    'SELECT item, what, by, at_ms, note FROM operations WHERE item >= ? AND item < ? ORDER BY id',
  )

  return (from, below) => {
    const attempts = Map.groupBy(selectAttempts.all(from, below), ({ item }) => item)
    const edits = Map.groupBy(selectEdits.all(from, below), ({ item }) => item)
    const operations = Map.groupBy(selectOperations.all(from, below), ({ item }) => item)
    return selectItems.all(from, below).map((row) => {
      const known = (attempts.get(row.no) ?? []).map(({ item: _, counts, ...rest }) => ({
        ...rest,
        counts: counts === 1,
      }))
      const history = {
        attempts: [...known, ...successOf(row)],
        edits: (edits.get(row.no) ?? []).map(({ item: _, ...edit }) => edit),
        operations: (operations.get(row.no) ?? []).map(({ item: _, ...operation }) => operation),
      }
      return { run: row.run, item: toItem(row, history) }
    })
  }
}

function toItem(row: ItemRow, history: TransferredHistory): TransferredItem {
  const { no, run, success_from_ms, success_at_ms, success_status, success_key, ...rest } = row
  return {
    ...rest,
    optional: row.optional === 1,
    released: row.released === 1,
    last_failure: history.attempts.findLast(({ failure }) => failure !== null)?.failure ?? null,
    history,
  }
}

function successOf(row: ItemRow): TransferredAttempt[] {
  const kept = keptSuccess(row, row.recorded)
  if (!kept) return []
  const { number, outcome, counts, startedAtMs, endedAtMs, status, idempotencyKey } = kept
  return [
    {
      number,
      outcome,
      counts,
      started_at_ms: startedAtMs,
      ended_at_ms: endedAtMs,
      status: status ?? null,
      idempotency_key: idempotencyKey ?? null,
      note: null,
      failure: null,
    },
  ]
}
