/** `recode` and `scrub` of the port. Rewriting is to be done inside a transaction. */
import type { Clock } from '../../../core/clock.ts'
import type { Failure } from '../../../core/failure.ts'
import {
  placeOf,
  type RecodeReceipt,
  type RecodeScope,
  type Rewrite,
  rewritten,
  type Shelf,
  type ShelfRow,
  textOfPlace,
} from '../../recoding.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { connect, type Database, prepare, prepareAgain, type SqlValue } from '../transactions/connection.ts'
import { storeBusy } from '../transactions/errors.ts'
import { isInMemory } from '../transactions/memory.ts'
import type { Failures } from '../work/failures.ts'

interface SqliteShelf extends Shelf {
  /** For the rows of some runs; `undefined`: none of it is of a run. */
  readonly fromRuns: string | undefined
}

const OF_RUNS = `runs r CROSS JOIN items i ON ${ITEMS_OF_RUNS}`
const OF_ITEM = 'CROSS JOIN items i ON i.no = x.item CROSS JOIN runs r ON r.no = i.run'

const SHELVES: readonly SqliteShelf[] = [
  {
    name: 'runs',
    from: 'runs x',
    fromRuns: 'runs r CROSS JOIN runs x ON x.no = r.no',
    key: ['no'],
    runId: 'x.id',
    columns: { input: 'input', input_fingerprint: 'fingerprint', key: 'key', labels: 'labels' },
  },
  {
    name: 'items',
    from: 'items x CROSS JOIN runs r ON r.no = x.run',
    fromRuns: `${OF_RUNS} CROSS JOIN items x ON x.no = i.no`,
    key: ['no'],
    runId: 'r.id',
    columns: {
      output: 'output',
      memo: 'memo',
      reason: 'text',
      cancel_reason: 'text',
      summary: 'text',
      hint: 'text',
      external_id: 'external_id',
      success_key: 'derived_key',
    },
  },
  {
    name: 'edits',
    from: `edits x ${OF_ITEM}`,
    fromRuns: `${OF_RUNS} CROSS JOIN edits x ON x.item = i.no`,
    key: ['item', 'number'],
    runId: 'r.id',
    columns: { input: 'input' },
  },
  {
    name: 'operations',
    from: `operations x ${OF_ITEM}`,
    fromRuns: `${OF_RUNS} CROSS JOIN operations x ON x.item = i.no`,
    key: ['id'],
    runId: 'r.id',
    columns: { note: 'text' },
  },
  {
    name: 'attempts',
    from: `attempts x ${OF_ITEM}`,
    fromRuns: `${OF_RUNS} CROSS JOIN attempts x ON x.item = i.no`,
    key: ['item', 'number'],
    runId: 'r.id',
    columns: { note: 'text', idempotency_key: 'derived_key' },
  },
  {
    name: 'failures',
    from: 'failures x',
    // Runs share them: see `recodeFailures`.
    fromRuns: undefined,
    key: ['id'],
    runId: `''`,
    columns: { text: 'failure' },
  },
  {
    name: 'effects',
    from: 'effects x',
    fromRuns: `effects x CROSS JOIN runs r ON r.id = substr(x.owner, 1, instr(x.owner, '.') - 1)`,
    key: ['rowid'],
    runId: `''`,
    columns: { key: 'effect_key', fingerprint: 'fingerprint', output: 'output', external_id: 'external_id' },
  },
  {
    name: 'actions',
    from: 'actions x',
    fromRuns: undefined,
    key: ['id'],
    runId: `''`,
    columns: { reason: 'text', details: 'details' },
  },
  {
    name: 'jobs',
    from: 'jobs x',
    fromRuns: undefined,
    key: ['id'],
    runId: `''`,
    columns: { state: 'details' },
  },
  {
    name: 'lanes',
    from: 'lanes x',
    fromRuns: undefined,
    key: ['lane'],
    runId: `''`,
    columns: { gate_reason: 'text', suspended_reason: 'text' },
  },
]
const ACTIONS = SHELVES.findIndex(({ name }) => name === 'actions')
const IS_OF_RUNS = 'r.id IN (SELECT value FROM json_each(?))'

export type Recode = (scope: RecodeScope, rewrite: Rewrite) => RecodeReceipt

export function prepareRecode(database: Database, failures: Failures): Recode {
  const selectFailures = prepare<{ item: number; number: number; failure: number; text: string; runId: string }>(
    database,
    `SELECT x.item, x.number, x.failure, f.text, r.id AS runId
     FROM ${OF_RUNS} CROSS JOIN attempts x ON x.item = i.no CROSS JOIN failures f ON f.id = x.failure WHERE ${IS_OF_RUNS}`,
  )
  const setFailure = prepare(database, 'UPDATE attempts SET failure = ? WHERE item = ? AND number = ?')

  function select(shelf: SqliteShelf, from: string, condition: string, values: readonly SqlValue[]): ShelfRow[] {
    const key = shelf.key.map((column) => `x.${column}`)
    const columns = Object.keys(shelf.columns).map((column) => `x.${column}`)
    const rows = prepareAgain<{ at: string; runId: string; texts: string }>(
      database,
      `SELECT json_array(${key}) AS at, ${shelf.runId} AS runId, json_array(${columns}) AS texts
       FROM ${from} WHERE ${condition}`,
    ).all(...values)
    return rows.map(({ at, runId, texts }) => ({
      key: JSON.parse(at) as (string | number)[],
      runId,
      texts: JSON.parse(texts) as (string | null)[],
    }))
  }

  function writeRow(shelf: SqliteShelf, row: ShelfRow, rewrite: Rewrite): { seen: number; changed: number } {
    const { texts, seen, changed } = rewritten(shelf, row, rewrite)
    if (changed > 0) {
      const columns = Object.keys(shelf.columns).map((column) => `${column} = ?`)
      const at = shelf.key.map((column) => `${column} = ?`).join(' AND ')
      prepareAgain(database, `UPDATE ${shelf.name} SET ${columns} WHERE ${at}`).run(...texts, ...row.key)
    }
    return { seen, changed }
  }

  /** Others keep what they share with these runs. */
  function recodeFailures(runs: string, rewrite: Rewrite): { seen: number; changed: number } {
    const rows = selectFailures.all(runs)
    const left = new Set<number>()
    for (const { item, number, failure, text, runId } of rows) {
      const next = rewrite({ kind: 'failure', text, runId })
      if (typeof next !== 'string' || next === text) continue
      setFailure.run(failures.numberOf(JSON.parse(next) as Failure), item, number)
      left.add(failure)
    }
    failures.sweep(left)
    return { seen: rows.length, changed: left.size }
  }

  function recodeRuns(runIds: readonly string[], rewrite: Rewrite): RecodeReceipt {
    const runs = JSON.stringify(runIds)
    const counts = SHELVES.flatMap((shelf) =>
      shelf.fromRuns === undefined
        ? []
        : select(shelf, shelf.fromRuns, IS_OF_RUNS, [runs]).map((row) => writeRow(shelf, row, rewrite)),
    )
    return { ...summed([...counts, recodeFailures(runs, rewrite)]), reached: undefined }
  }

  return (scope, rewrite) => {
    if ('runs' in scope) return recodeRuns(scope.runs, rewrite)
    const [index, after] = scope.only && scope.after === undefined ? [ACTIONS, []] : placeOf(scope.after)
    const shelf = SHELVES[index]
    if (!shelf) return { seen: 0, changed: 0, reached: undefined }
    const key = shelf.key.map((column) => `x.${column}`).join(', ')
    const beyond = after.length === 0 ? 'TRUE' : `(${key}) > (${after.map(() => '?').join(', ')})`
    const rows = select(shelf, shelf.from, `${beyond} ORDER BY ${key} LIMIT ?`, [...after, scope.limit])
    const counted = summed(rows.map((row) => writeRow(shelf, row, rewrite)))
    const last = rows.length < scope.limit ? undefined : rows.at(-1)
    if (last) return { ...counted, reached: textOfPlace([index, last.key]) }
    const isEnd = scope.only !== undefined || index + 1 >= SHELVES.length
    return { ...counted, reached: isEnd ? undefined : textOfPlace([index + 1, []]) }
  }
}

function summed(counts: readonly { seen: number; changed: number }[]): { seen: number; changed: number } {
  return {
    seen: counts.reduce((sum, { seen }) => sum + seen, 0),
    changed: counts.reduce((sum, { changed }) => sum + changed, 0),
  }
}

export interface ScrubParts {
  readonly path: string
  readonly clock: Clock
  readonly store: string
  readonly busyTimeoutMs: number
}

const SCRUB_RETRY_DELAY_MS = 50

/**
 * Writes the file anew without what was overwritten or deleted, and empties the write-ahead log. It needs as much room again as
 * the file has, and blocks this thread and all writers meanwhile.
 */
export async function scrub({ path, clock, store, busyTimeoutMs }: ScrubParts): Promise<void> {
  if (isInMemory(path)) return
  using database = connect(path, { busyWaitMs: busyTimeoutMs })
  database.exec('PRAGMA secure_delete = ON')
  database.exec('VACUUM')
  const sinceMs = clock.monotonicMs()
  for (;;) {
    const [result] = prepare<{ busy: number }>(database, 'PRAGMA wal_checkpoint(TRUNCATE)').all()
    if (result?.busy === 0) return
    const waitedMs = clock.monotonicMs() - sinceMs
    if (waitedMs >= busyTimeoutMs) throw storeBusy(store, waitedMs)
    await clock.sleep(SCRUB_RETRY_DELAY_MS)
  }
}
