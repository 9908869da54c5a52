import { itemId } from '../../../core/ids.ts'
import { idTaken } from '../../new-runs.ts'
import type { NewRun, SubmitReceipt, SupersededItem } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Tally } from '../work/tally.ts'
import type { Turns } from '../work/turns.ts'
import type { Names } from './names.ts'
import { dependentsText, prepareNewItems } from './new-items.ts'

export interface Submit {
  /** `submit` of the port, to be called inside a transaction with runs that `assertRuns` let through. */
  submit(runs: readonly NewRun[]): SubmitReceipt[]
  /** To be called before anything else looks at items: some of those that were submitted in this transaction may not be written yet. */
  writeItems(): void
  /** At the end of each transaction: the next numbers may be taken by another process. */
  beforeCommit(): void
  afterRollback(): void
}

export interface SubmitParts {
  readonly names: Names
  readonly tally: Tally
  readonly turns: Turns
}

export function prepareSubmit(database: Database, { names, tally, turns }: SubmitParts): Submit {
  const items = prepareNewItems(database, names, tally)
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
    if (only && !only.turn) items.addOnly(no, book, run, only)
    else {
      items.addAll(no, book, run)
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

  function receiptOfKnown(run: NewRun, flow: number): SubmitReceipt {
    const known = run.key === undefined ? undefined : selectKnown.get(run.key, flow)
    if (!known) throw idTaken(run)
    const outcome = known.input_fingerprint === run.inputFingerprint ? 'duplicate' : 'conflict'
    return { outcome, runId: known.id }
  }

  return {
    submit: (runs) => runs.map(submitOne),
    writeItems: items.write,
    beforeCommit() {
      items.write()
      nextNumber = undefined
    },
    afterRollback() {
      items.drop()
      nextNumber = undefined
    },
  }
}

function labelsText(labels: NewRun['labels']): string | null {
  for (const _label in labels) return JSON.stringify(labels)
  return null
}
