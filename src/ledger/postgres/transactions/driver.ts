/**
 * The little that is used of the `pg` package, as types of our own: it is an optional peer, and whoever does not use
 * PostgreSQL has neither it nor its types. A `Pool`, `PoolClient` or `Client` of `pg` fits.
 */
import { configurationError } from '../../../core/errors.ts'

export interface PostgresQuery {
  text: string
  values?: unknown[]
  name?: string
  /** How long an answer is waited for, in milliseconds. Default: as the pool is set. */
  query_timeout?: number
  types?: { getTypeParser(oid: number, format?: string): (value: string) => unknown }
}

export interface PostgresResult {
  readonly rows: unknown[]
  readonly command: string
}

export interface PostgresClient {
  /** True where it sends a query without waiting for the answer to the one before. */
  readonly pipeline?: boolean
  /** The socket, where it can hold back what is written: `pg` has it so. */
  readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void; readonly writableCorked?: number } }
  query(query: PostgresQuery): Promise<PostgresResult>
}

export interface PooledClient extends PostgresClient {
  release(destroy?: boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'notification', listener: (message: Notification) => void): unknown
  removeListener(event: 'error' | 'notification', listener: (message: Notification & Error) => void): unknown
}

interface Notification {
  readonly payload?: string | undefined
}

export interface PostgresPool {
  connect(): Promise<PooledClient>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'connect', listener: (client: PooledClient) => void): unknown
}

export interface PoolSettings {
  readonly connectionString: string
  readonly max: number
  readonly connectionTimeoutMillis: number
  readonly query_timeout: number
  readonly keepAlive: boolean
  readonly fallback_application_name: string
  /** Sends a query without waiting for the answer to the one before; older versions of `pg` ignore it. */
  readonly pipeline: boolean
}

/**
 * A pool of the `pg` package, which is loaded only here.
 * @throws HoldfastError `driver_missing`
 */
export async function createPool(settings: PoolSettings): Promise<PostgresPool> {
  const { Pool } = await loadDriver()
  const pool = new Pool(settings)
  // From its first moment on: one that is ended while it is being handed over would else end the process. Whoever uses it
  // hears of it by the query that fails.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

async function loadDriver(): Promise<{ readonly Pool: new (settings: PoolSettings) => PostgresPool }> {
  const name = 'pg'
  try {
    // By a variable: the types of an optional package must not be needed to compile against this one.
    return (await import(name)) as { readonly Pool: new (settings: PoolSettings) => PostgresPool }
  } catch (cause) {
    throw configurationError(
      'driver_missing',
      'The store is a PostgreSQL server, and the package "pg" is not installed',
      'Run: npm install pg',
      undefined,
      cause,
    )
  }
}
