/** Brings a store to the newest schema: each migration once, under a lock, however many processes open it at a time. */
import { HoldfastError } from '../../../core/errors.ts'
import { schemaTooNew } from '../../store-errors.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'

/** "Hold", in the header of the file: tells a Holdfast store from any other SQLite database. */
const APPLICATION_ID = 0x486f_6c64

export interface MigrationReport {
  readonly fromVersion: number
  readonly toVersion: number
  /** Names of those applied now. */
  readonly applied: readonly string[]
}

/**
 * Which migrations a store still needs.
 * @throws HoldfastError `schema_too_new`, `store_foreign`
 */
export function pendingOf(
  database: Database,
  store: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Migration[] {
  const version = pragma(database, 'user_version')
  const newest = migrations.at(-1)?.version ?? 0
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    if (version !== 0 || hasTables(database)) throw foreignStore(store)
  } else if (version > newest) throw schemaTooNew(store, version, newest)
  return migrations.filter((migration) => migration.version > version)
}

/**
 * Applies what is pending, all in one transaction.
 * @throws HoldfastError `schema_too_new`, `store_foreign`; and SQLite's "busy" where another process is writing.
 */
export function migrate(
  database: Database,
  store: string,
  migrations: readonly Migration[] = MIGRATIONS,
): MigrationReport {
  if (pendingOf(database, store, migrations).length === 0) return report(database, [])
  database.exec('BEGIN IMMEDIATE')
  try {
    // Asked again under the lock: another process may have applied them in the meantime.
    const pending = pendingOf(database, store, migrations)
    for (const migration of pending) {
      database.exec(migration.sql)
      database.exec(`PRAGMA user_version = ${migration.version}`)
    }
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
    database.exec('COMMIT')
    return report(database, pending)
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function report(database: Database, applied: readonly Migration[]): MigrationReport {
  const toVersion = pragma(database, 'user_version')
  return {
    fromVersion: applied[0] ? applied[0].version - 1 : toVersion,
    toVersion,
    applied: applied.map((migration) => migration.name),
  }
}

function pragma(database: Database, name: 'user_version' | 'application_id'): number {
  const row = prepare<Record<string, number>>(database, `PRAGMA ${name}`).get()
  return row?.[name] ?? 0
}

function hasTables(database: Database): boolean {
  return prepare<object>(database, 'SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined
}

function foreignStore(store: string): HoldfastError {
  return new HoldfastError({
    code: 'store_foreign',
    class: 'configuration',
    message: `${store} is a SQLite database of another program`,
    hint: 'Name a file of its own for Holdfast; this one was not touched.',
    details: { store },
  })
}
