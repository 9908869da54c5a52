/** The store for many machines: a schema of a PostgreSQL server. */
import { HoldfastError } from '../../core/errors.ts'
import type { TransferTarget } from '../transfer.ts'
import { createNames } from './intake/names.ts'
import { createLedger, type ServerLedger } from './ledger.ts'
import { createPass } from './moving/moving.ts'
import { createTarget } from './moving/target.ts'
import { type PostgresLedgerOptions, patiently, placeOf, settingsOf, visit } from './place.ts'
import { type MigrationReport, migrate, pendingOf } from './schema/migrate.ts'
import { prepare, type Session } from './transactions/connection.ts'
import { storeError } from './transactions/errors.ts'
import { createTransactor, type TransactOptions } from './transactions/transact.ts'
import { createWatcher } from './work/watch.ts'

export type PostgresLedger = ServerLedger & { readonly migrationReport: MigrationReport }

export const OLDEST_SERVER = 140_000

/**
 * Opens the store, makes its schema where it is missing, and brings it to the newest. Any number of processes on any number
 * of machines may open it, and may do so at once.
 * @throws HoldfastError `store_unavailable`, `store_access_denied`, `store_missing`, `store_read_only`, `store_busy`,
 *   `store_foreign`, `store_too_old`, `schema_too_new`, `driver_missing`, `invalid_store_url`
 */
export async function openPostgresLedger(options: PostgresLedgerOptions): Promise<PostgresLedger> {
  const { transactor, writer, migrationReport, ...place } = await openTransactor(options)
  const { clock } = options
  const names = createNames(place.schema, transactor)
  const watcher = createWatcher({ ...place, clock, transactor, names, writer })
  return { ...createLedger({ ...place, clock, transactor, names, watcher, writer }), migrationReport }
}

/**
 * Opens a store to be moved to, as {@link openPostgresLedger} does.
 * @throws HoldfastError as {@link openPostgresLedger}
 */
export async function openPostgresTarget(options: PostgresLedgerOptions): Promise<TransferTarget> {
  const pass = createPass()
  const { transactor, ...place } = await openTransactor(options, { settings: pass.settings })
  return createTarget({ ...place, clock: options.clock, transactor, pass })
}

async function openTransactor(options: PostgresLedgerOptions, more: Pick<TransactOptions, 'settings'> = {}) {
  const place = await placeOf(options)
  const { clock } = options
  const { schema, description, pool } = place
  try {
    const { migrationReport, ...server } = await patiently(options, place, async (session) => {
      const facts = await readServer(session, description)
      return {
        migrationReport: await migrate(session, schema, description),
        ...facts,
        ...(await enrol(session, schema)),
      }
    })
    const transactor = createTransactor({
      ...settingsOf(options),
      ...server,
      ...more,
      pool,
      clock,
      schema,
      store: description,
    })
    return { ...place, transactor, migrationReport, writer: server.writer }
  } catch (error) {
    await place.closePool()
    throw storeError(error, description)
  }
}

/**
 * Names of the migrations that opening the store would apply, oldest first; changes nothing.
 * @throws HoldfastError as {@link openPostgresLedger}
 */
export async function pendingMigrations(options: PostgresLedgerOptions): Promise<string[]> {
  const pending = await visit(options, (session, { schema, description }) => pendingOf(session, schema, description))
  return pending.map((migration) => migration.name)
}

/**
 * Removes a store with everything in it, for good. What is not a store of Holdfast is refused.
 * @throws HoldfastError `store_foreign`, and as {@link openPostgresLedger}
 */
export async function dropStore(options: PostgresLedgerOptions): Promise<void> {
  await visit(options, async (session, { schema, description }) => {
    await pendingOf(session, schema, description)
    await session.run(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  })
}

async function readServer(session: Session, store: string): Promise<{ synchronousCommit: string }> {
  const [row] = await session.once<{ version: number; synchronous_commit: string }>(
    `SELECT current_setting('server_version_num')::int AS version,
       current_setting('synchronous_commit') AS synchronous_commit`,
  )
  if (row && row.version < OLDEST_SERVER) throw serverTooOld(store, row.version)
  const setting = row?.synchronous_commit ?? 'on'
  // Durable before acknowledged (rule 1), whatever the server is set to; stronger settings are kept.
  return { synchronousCommit: setting === 'off' || setting === 'local' ? 'on' : setting }
}

async function enrol(session: Session, schema: string): Promise<{ writer: number }> {
  const [row] = await session.rows(prepare<{ writer: number }>(`SELECT nextval('${schema}.writers') AS writer`))
  return { writer: row?.writer ?? 0 }
}

function serverTooOld(store: string, version: number): HoldfastError {
  return new HoldfastError({
    code: 'store_too_old',
    class: 'configuration',
    message: `The server of ${store} is PostgreSQL ${Math.floor(version / 10_000)}; Holdfast needs 14 or newer`,
    hint: 'Upgrade the server.',
    details: { store, version },
  })
}
