/** The embedded store: one SQLite file, or a database in memory for tests and simulations. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Ledger } from '../port.ts'
import { createLedger } from './ledger.ts'
import { type MigrationReport, migrate, pendingOf } from './schema/migrate.ts'
import { enforceLegalTransitions } from './schema/transitions.ts'
import { connect, type Database, prepare, shareStatements } from './transactions/connection.ts'
import { isBusy, storeBusy, storeError } from './transactions/errors.ts'
import { isInMemory } from './transactions/memory.ts'

export interface SqliteLedgerOptions {
  /** A file, made where it is missing; `:memory:`, or a `sharedMemoryPath`, for a store that ends with the process. */
  readonly path: string
  readonly clock: Clock
  /**
   * How long a write waits while another process writes, in milliseconds, without blocking this one. Default 30,000; then
   * it is refused with `store_busy`.
   */
  readonly busyTimeoutMs?: number
  /** How often it is looked whether another process has written, in milliseconds: how late `watch` may be. Default 200. */
  readonly watchEveryMs?: number
}

export type SqliteLedger = Ledger & { readonly migrationReport: MigrationReport }

const DEFAULT_BUSY_TIMEOUT_MS = 30_000
const DEFAULT_WATCH_EVERY_MS = 200
/** SQLite waits with the thread: long enough for another's commit, short enough for the event loop. */
const BUSY_WAIT_MS = 10
const BUSY_RETRY_DELAY_MS = 20
/** Pages of the write-ahead log before it is copied back: 4 MiB. A log that is soon written over need not grow, which is dear. */
const CHECKPOINT_PAGES = 1000
/** More is not faster: what was written is seldom read again soon, and memory that is touched for the first time is slow. */
const CACHE_KIBIBYTES = 16_384

/**
 * Opens the store, and brings it to the newest schema. Any number of processes of one machine may open one file.
 * @throws HoldfastError `store_folder_missing`, `store_unavailable`, `store_corrupt`, `store_foreign`, `store_read_only`,
 *   `store_full`, `store_busy`, `schema_too_new`
 */
export async function openSqliteLedger(options: SqliteLedgerOptions): Promise<SqliteLedger> {
  const { path, clock } = options
  const { busyTimeoutMs = DEFAULT_BUSY_TIMEOUT_MS, watchEveryMs = DEFAULT_WATCH_EVERY_MS } = options
  const store = `sqlite:${path}`
  return opened(path, store, async (database) => {
    const patiently = { clock, store, busyTimeoutMs }
    // Before anything is changed: it may be a file of somebody else.
    await whenNotBusy(patiently, () => pendingOf(database, store))
    await whenNotBusy(patiently, () => configure(database, path))
    const migrationReport = await whenNotBusy(patiently, () => migrate(database, store))
    enforceLegalTransitions(database)
    const ledger = createLedger({ database, path, clock, busyTimeoutMs, watchEveryMs, busyWaitMs: BUSY_WAIT_MS })
    return { ...ledger, migrationReport }
  })
}

/** A store in memory that several ledgers of this thread share. */
export interface SharedStore extends Disposable {
  /** Another ledger on it, as of another process. Closing that leaves the store open. */
  connect(clock: Clock): Ledger
}

/**
 * One connection and its prepared statements for all, which makes a ledger cheap to open: for simulations, whose processes take
 * turns on one thread, so that none ever sees another's transaction.
 */
export function openSharedStore(): SharedStore {
  const path = ':memory:'
  const database = connect(path, { busyWaitMs: BUSY_WAIT_MS })
  shareStatements(database)
  configure(database, path)
  migrate(database, `sqlite:${path}`)
  enforceLegalTransitions(database)
  const shared = { commits: 0, standing: new Map() }
  const limits = {
    busyTimeoutMs: DEFAULT_BUSY_TIMEOUT_MS,
    watchEveryMs: DEFAULT_WATCH_EVERY_MS,
    busyWaitMs: BUSY_WAIT_MS,
  }
  return {
    connect: (clock) => createLedger({ database, path, clock, ...limits, shared }),
    [Symbol.dispose]: () => database.close(),
  }
}

/**
 * Names of the migrations that opening the file would apply, oldest first; changes nothing. All of them where the file
 * does not exist.
 * @throws HoldfastError as {@link openSqliteLedger}
 */
export async function pendingMigrations(path: string): Promise<string[]> {
  const inMemory = isInMemory(path) || !existsSync(path)
  const store = `sqlite:${path}`
  return opened(inMemory ? ':memory:' : path, store, async (database) => {
    const names = pendingOf(database, store).map((migration) => migration.name)
    database.close()
    return names
  })
}

/** Hands over a connection, and closes it where that fails. */
async function opened<Result>(
  path: string,
  store: string,
  use: (database: Database) => Promise<Result>,
): Promise<Result> {
  assertFolder(path)
  let database: Database | undefined
  try {
    database = connect(path, { busyWaitMs: BUSY_WAIT_MS })
    return await use(database)
  } catch (error) {
    if (database?.isOpen) database.close()
    throw storeError(error, store)
  }
}

function configure(database: Database, path: string): void {
  // FULL: a commit is on disk before anyone hears of it (rule 1). WAL: readers and the writer do not wait for each other.
  database.exec('PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF')
  database.exec(`PRAGMA cache_size = -${CACHE_KIBIBYTES}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  const mode = prepare<{ journal_mode: string }>(database, 'PRAGMA journal_mode = WAL').get()?.journal_mode
  if (!isInMemory(path) && mode !== 'wal') throw noWriteAheadLog(path, mode)
}

interface Patience {
  readonly clock: Clock
  readonly store: string
  readonly busyTimeoutMs: number
}

/** Opening takes locks too, and several processes may start at once. */
async function whenNotBusy<Result>(patience: Patience, work: () => Result): Promise<Result> {
  const sinceMs = patience.clock.monotonicMs()
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      const waitedMs = patience.clock.monotonicMs() - sinceMs
      if (waitedMs >= patience.busyTimeoutMs) throw storeBusy(patience.store, waitedMs)
    }
    await patience.clock.sleep(BUSY_RETRY_DELAY_MS)
  }
}

function assertFolder(path: string): void {
  const folder = dirname(resolve(path))
  if (isInMemory(path) || existsSync(folder)) return
  throw new HoldfastError({
    code: 'store_folder_missing',
    class: 'configuration',
    message: `The folder of the store ${path} does not exist: ${folder}`,
    hint: `Make it (mkdir -p ${folder}), or correct "store" in the configuration.`,
    details: { path, folder },
  })
}

function noWriteAheadLog(path: string, mode: string | undefined): HoldfastError {
  return new HoldfastError({
    code: 'store_unavailable',
    class: 'configuration',
    message: `The store ${path} cannot use a write-ahead log; SQLite offers "${mode}" there`,
    hint: 'SQLite needs a local disk: put the store on one, not on a network folder.',
    details: { path, mode },
  })
}
