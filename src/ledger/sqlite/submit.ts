import { itemId } from '../../core/ids.ts'
import { dependentsOf, idTaken } from '../new-runs.ts'
import type { NewItem, NewRun, SubmitReceipt, SupersededItem } from '../port.ts'
import { unmetOf } from '../turns.ts'
import { type Database, prepare } from './connection.ts'
import type { Names } from './names.ts'
import type { Tally } from './tally.ts'
import type { Turns } from './turns.ts'

/** About what the columns of a lease and of an end take that a new item does not have yet; see `items.room`. */
const ROOM_FOR_A_LIFE_BYTES = 28

export interface Submit {
  /** `submit` of the port, to be called inside a transaction with runs that `assertRuns` let through. */
  submit(runs: readonly NewRun[]): SubmitReceipt[]
  /** At the end of each transaction: the next numbers may be taken by another process. */
  forgetNumbers(): void
}

export interface SubmitParts {
  readonly names: Names
  readonly tally: Tally
  readonly turns: Turns
}

export function prepareSubmit(database: Database, { names, tally, turns }: SubmitParts): Submit {
  const selectNext = prepare<{ next: number }>(database, 'SELECT coalesce(max(no), 0) + 1 AS next FROM items')
  const insertRun = prepare(
    database,
    `INSERT INTO runs (no, id, flow, book, item_count, created_at_ms, key, input_fingerprint, correlation_id, labels, input)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  // The fewer values are bound, the less it costs: the usual run came with nothing but its input.
  const insertPlainRun = prepare(
    database,
    `INSERT INTO runs (no, id, flow, book, item_count, created_at_ms, input) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  )
  // The only step of its run waits for none, and none for it: the usual case, with fewer values to bind.
  const insertOnlyItem = prepare(
    database,
    `INSERT INTO items (no, run, step, channel, book, state, due_at_ms, optional, unmet, updated_at_ms, room)
     VALUES (?1, ?1, ?2, ?3, ?4, 'queued', ?5, ?6, 0, ?7, zeroblob(${ROOM_FOR_A_LIFE_BYTES}))`,
  )
  const insertItem = prepare(
    database,
    `INSERT INTO items (no, run, step, channel, book, state, due_at_ms, optional, unmet, updated_at_ms, not_before_ms,
       "after", dependents, room)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, zeroblob(${ROOM_FOR_A_LIFE_BYTES}))`,
  )
  const selectKnown = prepare<{ id: string; input_fingerprint: string }>(
    database,
    'SELECT id, input_fingerprint FROM runs WHERE key = ? AND flow = ?',
  )
  /** Of the transaction under way. */
  let nextNumber: number | undefined

  function submitOne(run: NewRun): SubmitReceipt {
    nextNumber ??= selectNext.get()?.next ?? 1
    const book = names.book(run.batch, run.pipeline)
    const flow = names.flow(run.tenant, run.pipeline)
    if (!insertRow(nextNumber, flow, book, run)) return receiptOfKnown(run, flow)
    const no = nextNumber
    nextNumber += run.items.length
    const only = run.items.length === 1 ? run.items[0] : undefined
    if (only && !only.turn) insertOne(no, book, run, only)
    else if (insertItems(no, book, run)) {
      const superseded = takePlaces(no, book, run)
      if (superseded.length > 0) return { outcome: 'accepted', runId: run.id, superseded }
    }
    return { outcome: 'accepted', runId: run.id }
  }

  function takePlaces(no: number, book: number, run: NewRun): SupersededItem[] {
    return run.items.flatMap(({ step, turn, optional }, position) => {
      if (!turn) return []
      const dependents = dependentsText(step, run.items)
      const item = {
        itemId: itemId(run.id, step),
        no: no + position,
        run: no,
        book,
        entity: null,
        dependents,
        optional,
      }
      return turns.join(item, run.tenant, turn, run.createdAtMs)
    })
  }

  /** False where its key, or its id, is known. */
  function insertRow(no: number, flow: number, book: number, run: NewRun): boolean {
    const { id, key, createdAtMs, input } = run
    const count = run.items.length
    const labels = labelsText(run.labels)
    if (key === undefined && labels === null && run.correlationId === id) {
      return insertPlainRun.run(no, id, flow, book, count, createdAtMs, input).changes === 1
    }
    const fingerprint = key === undefined ? null : (run.inputFingerprint ?? '')
    const correlationId = run.correlationId === id ? null : run.correlationId
    const values = [no, id, flow, book, count, createdAtMs, key ?? null, fingerprint, correlationId, labels, input]
    return insertRun.run(...values).changes === 1
  }

  function insertOne(no: number, book: number, run: NewRun, item: NewItem): void {
    const { step, lane, endpoint, dueAtMs, optional } = item
    insertOnlyItem.run(no, step, names.channel(lane, endpoint), book, dueAtMs, optional ? 1 : 0, run.createdAtMs)
    tally.accept(book, 'queued', 1)
  }

  /** True where some of them take places in the order of their entities. */
  function insertItems(no: number, book: number, run: NewRun): boolean {
    let ordered = false
    for (const [position, item] of run.items.entries()) {
      const unmet = unmetOf(item)
      const waits = unmet > 0
      ordered ||= item.turn !== undefined
      const state = waits ? 'waiting' : 'queued'
      insertItem.run(
        no + position,
        no,
        item.step,
        names.channel(item.lane, item.endpoint),
        book,
        state,
        waits ? null : item.dueAtMs,
        item.optional ? 1 : 0,
        unmet,
        run.createdAtMs,
        waits && item.dueAtMs > run.createdAtMs ? item.dueAtMs : null,
        item.after.length > 0 ? JSON.stringify(item.after) : null,
        dependentsText(item.step, run.items),
      )
      tally.accept(book, state, 1)
    }
    return ordered
  }

  function receiptOfKnown(run: NewRun, flow: number): SubmitReceipt {
    const known = run.key === undefined ? undefined : selectKnown.get(run.key, flow)
    if (!known) throw idTaken(run)
    const outcome = known.input_fingerprint === run.inputFingerprint ? 'duplicate' : 'conflict'
    return { outcome, runId: known.id }
  }

  return {
    submit: (runs) => runs.map(submitOne),
    forgetNumbers: () => {
      nextNumber = undefined
    },
  }
}

function labelsText(labels: NewRun['labels']): string | null {
  for (const _label in labels) return JSON.stringify(labels)
  return null
}

function dependentsText(step: string, items: readonly NewItem[]): string | null {
  const dependents = dependentsOf(step, items)
  return dependents.length === 0 ? null : JSON.stringify(dependents)
}
