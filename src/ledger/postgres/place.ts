/** Where a store is, and how it is reached: before there is a ledger. */
import type { Clock } from '../../core/clock.ts'
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import { QueryFailed, type Session, sessionOf } from './transactions/connection.ts'
import { createPool, type PostgresPool } from './transactions/driver.ts'
import { isPassing, storeError } from './transactions/errors.ts'
import type { TransactOptions } from './transactions/transact.ts'

export interface PostgresLedgerOptions {
  /** `postgres://user:password@host:5432/database?schema=holdfast`; `schema` is ours, everything else is for `pg`. */
  readonly url?: string
  /** A pool of the user's own instead of `url`; it is not closed with the ledger. It needs at least 3 connections. */
  readonly pool?: PostgresPool
  readonly clock: Clock
  /** Default: that of the URL, else `holdfast`. Lower case letters, digits and underscores. */
  readonly schema?: string
  /** The most connections of a pool of our own. Default 8. */
  readonly poolSize?: number
  /** How long a lost connection, a lock or a failover is waited out, in milliseconds, before an error. Default 30,000. */
  readonly retryForMs?: number
  /** The longest that one statement may take, in milliseconds, audits apart. Default 30,000. */
  readonly statementTimeoutMs?: number
  /** False behind a pooler that knows no prepared statements (PgBouncer before 1.21). Default true. */
  readonly keepPlans?: boolean
}

export interface Place {
  readonly pool: PostgresPool
  /** Quoted. */
  readonly schema: string
  readonly channel: string
  readonly description: string
  readonly closePool: () => Promise<void>
}

export const DEFAULT_POOL_SIZE = 8
const DEFAULT_RETRY_FOR_MS = 30_000
const DEFAULT_STATEMENT_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_MS = 10_000
/** The server gives up first; this is for a server, or a network, that says nothing any more. */
const SILENCE_MS = 5000
const OPEN_RETRY_DELAY_MS = 100
/** Whoever opens a store waits for it, perhaps at a terminal: an address that is wrong must show soon. */
const OPEN_FOR_MS = 5000

/**
 * On one connection, which is closed afterwards; tried for a while where the server is not there yet.
 * @throws HoldfastError `store_*`, `driver_missing`, `invalid_store_url`
 */
export async function visit<Result>(
  options: PostgresLedgerOptions,
  work: (session: Session, place: Place) => Promise<Result>,
): Promise<Result> {
  const place = await placeOf(options)
  try {
    return await patiently(options, place, (session) => work(session, place))
  } catch (error) {
    throw storeError(error, place.description)
  } finally {
    await place.closePool()
  }
}

export function settingsOf(
  options: PostgresLedgerOptions,
): Pick<TransactOptions, 'retryForMs' | 'statementTimeoutMs' | 'keepPlans'> {
  return {
    retryForMs: options.retryForMs ?? DEFAULT_RETRY_FOR_MS,
    statementTimeoutMs: options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS,
    keepPlans: options.keepPlans ?? true,
  }
}

/** Several processes may start at once, or before their server. */
export async function patiently<Result>(
  options: PostgresLedgerOptions,
  place: Place,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  const { clock } = options
  const sinceMs = clock.monotonicMs()
  for (;;) {
    try {
      return await onConnection(place.pool, work)
    } catch (error) {
      const waitedMs = clock.monotonicMs() - sinceMs
      if (!isPassing(error) || waitedMs >= Math.min(OPEN_FOR_MS, settingsOf(options).retryForMs)) throw error
    }
    await clock.sleep(OPEN_RETRY_DELAY_MS)
  }
}

/** A connection that failed is not used again: whatever it had begun ends with it. */
async function onConnection<Result>(pool: PostgresPool, work: (session: Session) => Promise<Result>): Promise<Result> {
  const client = await pool.connect().catch((cause: unknown) => {
    throw new QueryFailed(cause)
  })
  const ignore = (): void => {}
  client.on('error', ignore)
  let done = false
  try {
    const result = await work(sessionOf(client, { keepPlans: false }))
    done = true
    return result
  } finally {
    client.removeListener('error', ignore)
    client.release(!done)
  }
}

export async function placeOf(options: PostgresLedgerOptions): Promise<Place> {
  const url = options.url === undefined ? undefined : parseUrl(options.url)
  const name = options.schema ?? url?.searchParams.get('schema') ?? 'holdfast'
  // It is part of SQL text in many places, and of names that may have 63 letters.
  if (!/^[a-z_][a-z0-9_]{0,39}$/.test(name)) throw invalidSchema(name)
  const common = { schema: `"${name}"`, channel: `holdfast_${name}` }
  if (options.pool) {
    return { ...common, pool: options.pool, description: `postgres:(pool)?schema=${name}`, closePool: async () => {} }
  }
  if (!url) throw configurationError('invalid_store_url', 'A store needs a url or a pool', 'Give one of them.')
  const description = `postgres://${url.username}${url.username && '@'}${url.host}${url.pathname}?schema=${name}`
  url.searchParams.delete('schema')
  const pool = await createPool({
    connectionString: url.href,
    max: options.poolSize ?? DEFAULT_POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: settingsOf(options).statementTimeoutMs + SILENCE_MS,
    keepAlive: true,
    fallback_application_name: 'holdfast',
    pipeline: true,
  })
  // A connection that breaks while nobody uses it is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => {})
  return { ...common, pool, description, closePool: () => pool.end() }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url && (url.protocol === 'postgres:' || url.protocol === 'postgresql:')) return url
  throw configurationError(
    'invalid_store_url',
    'The address of the store is not a postgres:// URL',
    'Write it like postgres://user:password@host:5432/database. Special characters in it must be percent-encoded.',
  )
}

function invalidSchema(name: string): HoldfastError {
  return configurationError(
    'invalid_store_url',
    `"${name}" cannot be the name of the schema of a store`,
    'Use up to 40 lower case letters, digits and underscores, beginning with a letter.',
  )
}
