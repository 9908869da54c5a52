/** What can be seen of a server and of the store on it, for whoever checks an installation. Changes nothing. */
import type { Clock } from '../../../core/clock.ts'
import { HoldfastError } from '../../../core/errors.ts'
import type { TargetFound } from '../../transfer.ts'
import { findMove } from '../moving/moving.ts'
import { DEFAULT_POOL_SIZE, type Place, type PostgresLedgerOptions, visit } from '../place.ts'
import { pendingOf } from '../schema/migrate.ts'
import { RUNS_PER_PARTITION } from '../schema/partitions.ts'
import { QueryFailed, type Session } from '../transactions/connection.ts'

export interface ServerFacts {
  /** For messages. */
  readonly store: string
  /** Quoted. */
  readonly schema: string
  /** The quickest of three. */
  readonly roundTripMs: number
  /** How far the server's clock is ahead of this machine's, to within half a round trip. */
  readonly clockAheadMs: number
  readonly server: ServerSettings
  /** The most that each process of Holdfast opens. */
  readonly poolSize: number
  /** Names of migrations that are not applied, or why it cannot be worked with. */
  readonly schemaState: { readonly pending: readonly string[] } | { readonly refused: HoldfastError }
  readonly openTransactions: readonly OpenTransaction[]
  readonly lockWaits: readonly LockWait[]
  /** `unknown`: the schema is not there, or not the present one; `locked`: somebody keeps its tables from being read. */
  readonly contents: StoreContents | 'unknown' | 'locked'
}

/** As they are for this user in this database; times in milliseconds. */
export interface ServerSettings {
  readonly version: string
  readonly version_number: number
  readonly is_replica: boolean
  readonly role: string
  readonly fsync: boolean
  readonly full_page_writes: boolean
  readonly synchronous_commit: string
  readonly autovacuum: boolean
  readonly track_counts: boolean
  /** 0: none. */
  readonly idle_in_transaction_ms: number
  readonly max_connections: number
  /** Kept for others than this user. */
  readonly reserved_connections: number
  readonly used_connections: number
}

export interface OpenTransaction {
  readonly process_id: number
  readonly application: string
  readonly state: string
  readonly age_ms: number
}

export interface LockWait {
  readonly process_id: number
  readonly blocked_by: readonly number[]
  readonly waited_ms: number
}

export interface StoreContents {
  readonly bytes: number
  readonly tables: readonly TableState[]
  readonly history: HistoryState
  readonly move: TargetFound
}

/** By the server's own statistics, which may lag behind. */
export interface TableState {
  readonly name: string
  readonly live_rows: number
  readonly dead_rows: number
  /** `null`: never. */
  readonly vacuumed_ago_ms: number | null
}

export interface HistoryState {
  readonly partitions: number
  /** Rows that came before their partition. */
  readonly rest_rows: number
  /** The number of the newest run, and the first that no partition is for. */
  readonly newest_run: number
  readonly covered_below: number
}

const SAMPLES = 3
/** Whoever looks for what is wrong must not be stuck in it. */
const LIMITS = `SET lock_timeout = '2s'; SET statement_timeout = '30s'`
const GIVEN_UP: ReadonlySet<string | undefined> = new Set(['55P03', '57014'])

/** @throws HoldfastError `store_*`, `driver_missing`, `invalid_store_url` where the server cannot be asked. */
export function inspectServer(options: PostgresLedgerOptions): Promise<ServerFacts> {
  return visit(options, async (session, place) => {
    const { schema, description } = place
    await session.run(LIMITS)
    const schemaState = await readSchema(session, place)
    const isCurrent = 'pending' in schemaState && schemaState.pending.length === 0
    return {
      store: description,
      schema,
      ...(await measure(session, options.clock)),
      server: await readSettings(session),
      poolSize: options.poolSize ?? DEFAULT_POOL_SIZE,
      schemaState,
      openTransactions: await readTransactions(session),
      lockWaits: await readLockWaits(session),
      contents: isCurrent ? await contentsOf(session, schema) : 'unknown',
    }
  })
}

async function measure(session: Session, clock: Clock): Promise<Pick<ServerFacts, 'roundTripMs' | 'clockAheadMs'>> {
  let best = { roundTripMs: Number.POSITIVE_INFINITY, clockAheadMs: 0 }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const askedMs = clock.monotonicMs()
    const [row] = await session.once<{ now_ms: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now_ms',
    )
    const roundTripMs = clock.monotonicMs() - askedMs
    if (roundTripMs >= best.roundTripMs) continue
    best = { roundTripMs, clockAheadMs: (row?.now_ms ?? 0) + roundTripMs / 2 - clock.wallMs() }
  }
  return best
}

async function readSchema(session: Session, { schema, description }: Place): Promise<ServerFacts['schemaState']> {
  try {
    return { pending: (await pendingOf(session, schema, description)).map((migration) => migration.name) }
  } catch (error) {
    if (error instanceof HoldfastError) return { refused: error }
    throw error
  }
}

async function readSettings(session: Session): Promise<ServerSettings> {
  const [row] = await session.once<ServerSettings>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_number,
       pg_is_in_recovery() AS is_replica, current_user::text AS role, current_setting('fsync')::boolean AS fsync,
       current_setting('full_page_writes')::boolean AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('autovacuum')::boolean AS autovacuum, current_setting('track_counts')::boolean AS track_counts,
       (SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS idle_in_transaction_ms,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved_connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used_connections`,
  )
  if (!row) throw new Error('the server told nothing of its settings')
  return row
}

/** Of this database; the oldest first. Those of other users are seen only with the right to (`pg_read_all_stats`). */
async function readTransactions(session: Session): Promise<OpenTransaction[]> {
  return session.once<OpenTransaction>(
    `SELECT pid AS process_id, application_name AS application, state,
       (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::double precision AS age_ms
     FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
       AND backend_type = 'client backend'
     ORDER BY xact_start LIMIT 10`,
  )
}

async function readLockWaits(session: Session): Promise<LockWait[]> {
  return session.once<LockWait>(
    `SELECT l.pid AS process_id, array_to_json(pg_blocking_pids(l.pid)) AS blocked_by,
       max(extract(epoch FROM clock_timestamp() - l.waitstart) * 1000)::double precision AS waited_ms
     FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE NOT l.granted AND a.datname = current_database() AND l.waitstart IS NOT NULL
     GROUP BY l.pid ORDER BY waited_ms DESC LIMIT 10`,
  )
}

async function contentsOf(session: Session, s: string): Promise<StoreContents | 'locked'> {
  try {
    return await readContents(session, s)
  } catch (error) {
    if (error instanceof QueryFailed && GIVEN_UP.has(error.state)) return 'locked'
    throw error
  }
}

async function readContents(session: Session, s: string): Promise<StoreContents> {
  const tables = await session.once<TableState>(
    `SELECT relname::text AS name, n_live_tup AS live_rows, n_dead_tup AS dead_rows,
       (extract(epoch FROM clock_timestamp() - greatest(last_autovacuum, last_vacuum)) * 1000)::double precision
         AS vacuumed_ago_ms
     FROM pg_stat_all_tables WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('${s}'))
     ORDER BY n_dead_tup DESC, relname`,
  )
  const [size] = await session.once<{ bytes: number }>(
    `SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class
     WHERE relnamespace = to_regnamespace('${s}') AND relkind = 'r'`,
  )
  const [history] = await session.once<HistoryState>(
    `SELECT count(*) AS partitions, (coalesce(max(number), -1) + 1) * ${RUNS_PER_PARTITION} AS covered_below,
       (SELECT count(*) FROM ${s}.attempts_rest) + (SELECT count(*) FROM ${s}.operations_rest) AS rest_rows,
       (SELECT coalesce(max(no), 0) FROM ${s}.runs) AS newest_run
     FROM (SELECT substring(c.relname FROM '_([0-9]+)$')::bigint AS number
       FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
       WHERE h.inhparent = '${s}.attempts'::regclass AND c.relname ~ '_[0-9]+$') parts`,
  )
  return {
    bytes: size?.bytes ?? 0,
    tables,
    history: history ?? { partitions: 0, rest_rows: 0, newest_run: 0, covered_below: 0 },
    move: await findMove(session, s),
  }
}
