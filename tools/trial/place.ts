/** Where the books of a trial are kept: a file, a PostgreSQL server of its own, or one that is there already. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configurationError } from '../../src/core/errors.ts'
import { startPostgres } from '../../test/support/postgres.ts'

export type RestartMode =
  /** The server drops everything where it stands, and recovers from its log: as by a loss of power. */
  | 'immediate'
  /** It ends all transactions and connections, and stops in good order. */
  | 'fast'

export interface TrialPlace extends AsyncDisposable {
  /** For `store` of a configuration. */
  readonly store: string
  /** Without a password. */
  readonly description: string
  /** Only where the server is the trial's own. */
  readonly restart: ((mode: RestartMode) => Promise<void>) | undefined
}

/** Room for all processes, and for connections of the dead that the server has not noticed yet. */
const SERVER_SETTINGS = ['max_connections=300']

/**
 * @param kind `postgres`, `sqlite`, or the address of a server.
 * @throws HoldfastError `invalid_options`
 */
export async function openPlace(kind: string): Promise<TrialPlace> {
  if (kind === 'postgres') return ownServer()
  if (kind === 'sqlite') return ownFile()
  if (/^postgres(ql)?:\/\//.test(kind)) return foreignServer(kind)
  throw configurationError(
    'invalid_options',
    `--store ${kind} is no store that a trial can use`,
    'Use postgres (a server of its own), sqlite (a file of its own), or postgres://user@host/database.',
  )
}

async function ownServer(): Promise<TrialPlace> {
  const server = await startPostgres(SERVER_SETTINGS)
  const [row] = await server.sql<{ server_version: string }>('SHOW server_version')
  return {
    store: server.url,
    description: `a PostgreSQL ${row?.server_version ?? ''} of its own, fsync on`,
    async restart(mode) {
      if (mode === 'fast') return server.restart()
      await server.crash()
      await server.start()
    },
    [Symbol.asyncDispose]: () => server.remove(),
  }
}

async function ownFile(): Promise<TrialPlace> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-trial-'))
  return {
    store: `sqlite:${join(folder, 'holdfast.db')}`,
    description: 'a SQLite file of its own',
    restart: undefined,
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** It must be empty: what others have there would spoil the count. It is left as it is, for whoever wants to look. */
async function foreignServer(address: string): Promise<TrialPlace> {
  const url = new URL(address)
  if (!url.searchParams.has('schema')) url.searchParams.set('schema', `trial_${process.pid}`)
  return {
    store: url.href,
    description: `${url.host}${url.pathname}, schema ${url.searchParams.get('schema')} (it is left there)`,
    restart: undefined,
    [Symbol.asyncDispose]: async () => {},
  }
}
