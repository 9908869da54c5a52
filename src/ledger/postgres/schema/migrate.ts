/** Brings a store to the newest schema: each migration once, under a lock, however many processes open it at a time. */
import { HoldfastError } from '../../../core/errors.ts'
import { sha256Hex } from '../../../core/json.ts'
import { schemaTooNew } from '../../store-errors.ts'
import { submitProcedures } from '../intake/insert-runs.ts'
import type { Session } from '../transactions/connection.ts'
import { leaseProcedure } from '../work/claim.ts'
import { leasedProcedure } from '../work/standing.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'
import { createPartition } from './partitions.ts'
import { transitionGuard } from './transitions.ts'

export interface MigrationReport {
  readonly fromVersion: number
  readonly toVersion: number
  /** Names of those applied now. */
  readonly applied: readonly string[]
}

interface Found {
  readonly version: number
  /** Of what is made anew when it changes and is in place: the guard of transitions, and the procedures. */
  readonly guard: string
}

const NOTHING: Found = { version: 0, guard: '' }

/**
 * Which migrations a store still needs. Changes nothing.
 * @throws HoldfastError `schema_too_new`, `store_foreign`
 */
export async function pendingOf(session: Session, s: string, store: string): Promise<Migration[]> {
  const { version } = await find(session, s, store)
  return MIGRATIONS.filter((migration) => migration.version > version)
}

/**
 * Applies what is pending, all in one transaction.
 * @throws HoldfastError `schema_too_new`, `store_foreign`
 */
export async function migrate(session: Session, s: string, store: string): Promise<MigrationReport> {
  const { any, alike, awaited } = submitProcedures(s)
  const guard =
    transitionGuard(s) +
    leaseProcedure(s).create +
    leasedProcedure(s).create +
    any.create +
    alike.create +
    awaited.create
  const fingerprint = sha256Hex(guard)
  const before = await find(session, s, store)
  if (isCurrent(before, fingerprint)) return report(before.version, [])
  await session.run(`BEGIN; SET LOCAL lock_timeout = '30s'; SELECT pg_advisory_xact_lock(hashtext('holdfast ${s}'))`)
  // Asked again under the lock: another process may have applied them in the meantime.
  const found = await find(session, s, store)
  const pending = MIGRATIONS.filter((migration) => migration.version > found.version)
  if (found.version === 0) await session.run(`CREATE SCHEMA IF NOT EXISTS ${s}; ${migrationTable(s)}`)
  for (const { version, name, sql } of pending) {
    await session.run(sql(s))
    await session.run(`INSERT INTO ${s}.migrations (version, name) VALUES (${version}, '${name}')`)
  }
  if (found.version === 0) await createPartition(session, s, 0)
  if (found.guard !== fingerprint) {
    await session.run(`${guard} COMMENT ON FUNCTION ${s}.refuse_transition() IS '${fingerprint}'`)
  }
  await session.run('COMMIT')
  return report(found.version, pending)
}

function migrationTable(s: string): string {
  return `CREATE TABLE ${s}.migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL
    DEFAULT clock_timestamp())`
}

async function find(session: Session, s: string, store: string): Promise<Found> {
  const [row] = await session.once<{ ours: boolean; tables: number; guard: string | null }>(
    `SELECT to_regclass('${s}.migrations') IS NOT NULL AS ours,
       (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace('${s}')) AS tables,
       (SELECT obj_description(p.oid, 'pg_proc') FROM pg_proc p
        WHERE p.proname = 'refuse_transition' AND p.pronamespace = to_regnamespace('${s}')) AS guard`,
  )
  if (!row?.ours) {
    if (row && row.tables > 0) throw foreignStore(store)
    return NOTHING
  }
  const [newest] = await session.once<{ version: number }>(
    `SELECT coalesce(max(version), 0) AS version FROM ${s}.migrations`,
  )
  const version = newest?.version ?? 0
  const known = MIGRATIONS.at(-1)?.version ?? 0
  if (version > known) throw schemaTooNew(store, version, known)
  return { version, guard: row.guard ?? '' }
}

function isCurrent(found: Found, guard: string): boolean {
  return found.version === (MIGRATIONS.at(-1)?.version ?? 0) && found.guard === guard
}

function report(fromVersion: number, applied: readonly Migration[]): MigrationReport {
  const toVersion = applied.at(-1)?.version ?? fromVersion
  return { fromVersion, toVersion, applied: applied.map((migration) => migration.name) }
}

function foreignStore(store: string): HoldfastError {
  return new HoldfastError({
    code: 'store_foreign',
    class: 'configuration',
    message: `The schema of ${store} holds tables of another program`,
    hint: 'Name a schema of its own for Holdfast, e.g. postgres://.../db?schema=holdfast; this one was not touched.',
    details: { store },
  })
}
