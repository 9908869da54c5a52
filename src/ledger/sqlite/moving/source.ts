/** A file as the source of a move. */
import { existsSync } from 'node:fs'
import type { Clock } from '../../../core/clock.ts'
import { configurationError } from '../../../core/errors.ts'
import type { MoveMark, TransferSource } from '../../transfer.ts'
import { openSqliteLedger } from '../open.ts'
import { connect } from '../transactions/connection.ts'
import { storeError } from '../transactions/errors.ts'
import { isInMemory } from '../transactions/memory.ts'
import { countRows, exportBatches } from './export.ts'
import { closeForWork, finishMove, readMark, reopen } from './moving.ts'

export interface SqliteSourceOptions {
  readonly path: string
  readonly clock: Clock
  /** About how many items, or effects, are moved at once. Default 1000. */
  readonly batchItems?: number
}

const DEFAULT_BATCH_ITEMS = 1000
/** How long closing the store waits, with the thread, for a process that writes: nothing else goes on here meanwhile. */
const BUSY_WAIT_MS = 30_000

/**
 * Opens a file to be moved, and brings it to the newest schema.
 * @throws HoldfastError `store_missing`, and as `openSqliteLedger`
 */
export async function openSqliteSource(options: SqliteSourceOptions): Promise<TransferSource> {
  const { path } = options
  if (isInMemory(path) || !existsSync(path)) throw noSuchFile(path)
  const ledger = await openSqliteLedger(options)
  const store = ledger.description
  const database = connect(path, { busyWaitMs: BUSY_WAIT_MS })
  database.exec('PRAGMA synchronous = FULL')

  async function guarded<Result>(work: () => Result): Promise<Result> {
    try {
      return work()
    } catch (error) {
      throw storeError(error, store)
    }
  }

  return {
    description: store,
    mark: () => guarded(() => readMark(database)),
    closeForWork: (mark) => guarded(() => closeForWork(database, mark)),
    reopen: () => guarded(() => reopen(database)),
    finish: (id) => guarded(() => finishMove(database, id, store)),
    batches: (reached) => exportBatches(database, reached, options.batchItems ?? DEFAULT_BATCH_ITEMS),
    counts: () => guarded(() => countRows(database)),
    audit: ledger.audit,
    async close() {
      database.close()
      await ledger.close()
    },
  }
}

function noSuchFile(path: string) {
  return configurationError(
    'store_missing',
    `There is no store in the file ${path}`,
    'Name the file that Holdfast has worked with so far: --from sqlite:./holdfast.db',
    { path },
  )
}

/**
 * What a file says of a move that was begun with it; `undefined`: none was. Changes nothing.
 * @throws HoldfastError `store_corrupt`, `store_unavailable`, ...
 */
export async function moveOf(path: string): Promise<MoveMark | undefined> {
  if (isInMemory(path) || !existsSync(path)) return undefined
  try {
    using database = connect(path, { busyWaitMs: BUSY_WAIT_MS, readOnly: true })
    return readMark(database)
  } catch (error) {
    throw storeError(error, `sqlite:${path}`)
  }
}
