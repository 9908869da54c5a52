/** What people, and the engine on their behalf, do to items: to be called inside a transaction. */
import { parseItemId } from '../../../core/ids.ts'
import { type ItemState, isEndState } from '../../../core/item-state.ts'
import type {
  CancelOrder,
  DiscardOrder,
  NewTurn,
  OperatorOrder,
  OperatorReceipt,
  ReplayOrder,
  ResolveOrder,
} from '../../port.ts'
import { type Refusal, whyNoCancel, whyNoDiscard, whyNoReplay, whyNoResolve } from '../../refusals.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { EndedItem } from '../work/dependents.ts'
import type { Effects } from '../work/effects.ts'
import type { Tally } from '../work/tally.ts'
import type { Turns } from '../work/turns.ts'

export interface Operators {
  replay(order: ReplayOrder, nowMs: number): OperatorReceipt
  discard(order: DiscardOrder, nowMs: number): OperatorReceipt
  cancel(order: CancelOrder, nowMs: number): OperatorReceipt
  resolve(order: ResolveOrder, nowMs: number): OperatorReceipt
}

interface ItemRow {
  itemId: string
  tenant: string
  entity: number | null
  no: number
  run: number
  book: number
  state: ItemState
  replays: number
  edits: number
  optional: number
  dependents: string | null
  summary: string | null
  reason: string | null
}

const NO_DEAD_LETTER = 'fingerprint = NULL, summary = NULL, hint = NULL, cause = NULL, dead_since_ms = NULL'

export function prepareOperators(
  database: Database,
  parts: { readonly effects: Effects; readonly tally: Tally; readonly turns: Turns },
): Operators {
  const { effects, tally, turns } = parts
  const select = prepare<ItemRow>(
    database,
    `SELECT ? AS itemId, i.no, i.run, i.book, i.state, i.replays, i.edits, i.optional, i.dependents, i.summary, i.reason,
       i.entity, f.tenant
     FROM runs r CROSS JOIN items i ON ${ITEMS_OF_RUNS} CROSS JOIN flows f ON f.id = r.flow
     WHERE r.id = ? AND i.step = ?`,
  )
  const requeue = prepare(
    database,
    `UPDATE items SET state = 'queued', due_at_ms = ?, updated_at_ms = ?, budget_from_ms = ?, reason = ?,
       edits = edits + ?, replays = replays + 1, memo = NULL, attempts_before_budget = attempts, ${NO_DEAD_LETTER}
     WHERE no = ?`,
  )
  /** Instead, where it takes a new place: from there it is given its turn. */
  const waitForTurn = prepare(
    database,
    `UPDATE items SET state = 'waiting', unmet = 1, not_before_ms = ?, due_at_ms = NULL, updated_at_ms = ?,
       budget_from_ms = ?, edits = edits + ?, replays = replays + 1, memo = NULL, attempts_before_budget = attempts,
       ${NO_DEAD_LETTER}
     WHERE no = ?`,
  )
  const selectState = prepare<{ state: ItemState }>(database, 'SELECT state FROM items WHERE no = ?')
  const end = prepare(
    database,
    `UPDATE items SET state = ?, reason = ?, ended_at_ms = ?, updated_at_ms = ?, output = ?, external_id = ?,
       due_at_ms = NULL, ${NO_DEAD_LETTER}
     WHERE no = ?`,
  )
  const mark = prepare(database, 'UPDATE items SET cancel_reason = ?, updated_at_ms = ? WHERE no = ?')
  const insertEdit = prepare(
    database,
    'INSERT INTO edits (item, number, replay, by, at_ms, input) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const insertOperation = prepare(
    database,
    'INSERT INTO operations (item, what, by, at_ms, note) VALUES (?, ?, ?, ?, ?)',
  )

  /** The frame of every order: find the item, refuse what does not fit its state, else do it and write down who did. */
  function carryOut<Order extends OperatorOrder>(
    order: Order,
    refusalFor: (state: ItemState) => Refusal,
    action: (row: ItemRow) => OperatorReceipt,
  ): OperatorReceipt {
    const { itemId } = order
    const at = parseItemId(itemId)
    const row = at && select.get(itemId, at.runId, at.step)
    if (!row) return { outcome: 'not_found', itemId }
    const why = refusalFor(row.state)
    return why === undefined ? action(row) : { outcome: 'refused', itemId, state: row.state, why }
  }

  function note(row: ItemRow, what: string, order: OperatorOrder, nowMs: number, text: string): void {
    insertOperation.run(row.no, what, order.by, nowMs, text)
  }

  function moved(row: ItemRow, state: ItemState, nowMs: number): OperatorReceipt {
    tally.move(row.book, row.state, state)
    if (!isEndState(state) && row.entity === null) return { outcome: 'done', itemId: row.itemId, state }
    const { state: became } = turns.follow(placed(row), state, nowMs)
    return { outcome: 'done', itemId: row.itemId, state: became }
  }

  function placed(row: ItemRow): EndedItem {
    return { ...row, optional: row.optional === 1 }
  }

  function replayRow(row: ItemRow, order: ReplayOrder, nowMs: number): OperatorReceipt {
    const edited = order.editedInput !== undefined
    if (edited) insertEdit.run(row.no, row.edits + 1, row.replays + 1, order.by, nowMs, order.editedInput)
    if (row.state === 'unknown_outcome') effects.endAllOf(row.itemId, 'not_done')
    note(row, 'replay', order, nowMs, `was ${row.state}: ${row.summary ?? row.reason ?? ''}`)
    const turn = order.turn ?? turns.passed(placed(row))
    if (turn) return rejoin(row, order, turn, nowMs)
    const reason = `replayed by ${order.by}${edited ? ', with an edited payload' : ''}`
    requeue.run(order.dueAtMs, nowMs, nowMs, reason, edited ? 1 : 0, row.no)
    return moved(row, 'queued', nowMs)
  }

  function rejoin(row: ItemRow, order: ReplayOrder, turn: NewTurn, nowMs: number): OperatorReceipt {
    turns.leave(placed(row), nowMs)
    waitForTurn.run(order.dueAtMs, nowMs, nowMs, order.editedInput === undefined ? 0 : 1, row.no)
    tally.move(row.book, row.state, 'waiting')
    turns.join(placed(row), row.tenant, turn, nowMs)
    return { outcome: 'done', itemId: row.itemId, state: selectState.get(row.no)?.state ?? 'waiting' }
  }

  function endRow(
    row: ItemRow,
    state: 'discarded' | 'cancelled',
    order: DiscardOrder | CancelOrder,
    nowMs: number,
  ): OperatorReceipt {
    const facts = row.summary === null ? '' : ` (was ${row.state}: ${row.summary})`
    note(row, state === 'discarded' ? 'discard' : 'cancel', order, nowMs, order.reason + facts)
    end.run(state, order.reason, nowMs, nowMs, null, null, row.no)
    return moved(row, state, nowMs)
  }

  function markRow(row: ItemRow, order: CancelOrder, nowMs: number): OperatorReceipt {
    note(row, 'cancel', order, nowMs, order.reason)
    mark.run(order.reason, nowMs, row.no)
    return { outcome: 'marked', itemId: row.itemId }
  }

  function resolveRow(row: ItemRow, order: ResolveOrder, nowMs: number): OperatorReceipt {
    note(row, 'resolve', order, nowMs, `${order.reason} (was ${row.state}: ${row.summary ?? ''})`)
    end.run('succeeded', order.reason, nowMs, nowMs, order.output, order.externalId ?? null, row.no)
    effects.endAllOf(row.itemId, order)
    return moved(row, 'succeeded', nowMs)
  }

  return {
    replay: (order, nowMs) =>
      carryOut(
        order,
        (state) => whyNoReplay(state, order),
        (row) => replayRow(row, order, nowMs),
      ),
    discard: (order, nowMs) => carryOut(order, whyNoDiscard, (row) => endRow(row, 'discarded', order, nowMs)),
    cancel: (order, nowMs) =>
      carryOut(order, whyNoCancel, (row) =>
        row.state === 'processing' ? markRow(row, order, nowMs) : endRow(row, 'cancelled', order, nowMs),
      ),
    resolve: (order, nowMs) => carryOut(order, whyNoResolve, (row) => resolveRow(row, order, nowMs)),
  }
}
