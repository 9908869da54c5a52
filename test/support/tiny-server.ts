/**
 * A PostgreSQL server of which a part is on a disk of a few mebibytes, as a program: `tiny-server.ts tables|log DISK BALLAST_MB`.
 * It prints its address, and when it goes down; SIGUSR1 makes room, by what an administrator would do: a large file goes, and a
 * server that is down is started again. SIGTERM ends it.
 */
import { once } from 'node:events'
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../../src/system/system-clock.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'

const SETTINGS = ['wal_init_zero=on', 'autovacuum=off']

async function serve(part: string, disk: string, ballastMebibytes: number): Promise<void> {
  // As nobody: there is no other user here, so root's ways of starting a server are not taken.
  const server = await startPostgres(SETTINGS, dirname(disk))
  if (part === 'tables') await placeTables(server, join(disk, 'tables'))
  else await placeLog(server, join(disk, 'log'))
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(ballastMebibytes * 1024 * 1024))
  process.on('SIGUSR1', () => void makeRoom(server, ballast))
  // A server that has gone down must not take this program along.
  const holdOpen = setInterval(() => {}, 60_000)
  const asked = once(process, 'SIGTERM')
  console.log(server.url)
  void server.ended().then(() => console.log('the server is down'))
  await asked
  clearInterval(holdOpen)
  await server.remove()
  process.exit()
}

async function placeTables(server: PostgresServer, folder: string): Promise<void> {
  mkdirSync(folder, { mode: 0o700 })
  await server.sql(`CREATE TABLESPACE tiny LOCATION '${folder}'`)
  await server.sql(`ALTER DATABASE postgres SET default_tablespace = tiny`)
}

async function placeLog(server: PostgresServer, folder: string): Promise<void> {
  await server.stop()
  const log = join(server.folder, 'pg_wal')
  cpSync(log, folder, { recursive: true })
  rmSync(log, { recursive: true })
  symlinkSync(folder, log)
  await server.start()
  // A replica that is gone: the usual reason why a log is kept until the disk is full.
  await server.sql(`SELECT pg_create_physical_replication_slot('gone', true)`)
}

async function makeRoom(server: PostgresServer, ballast: string): Promise<void> {
  rmSync(ballast)
  while (!(await answers(server))) {
    if (!server.isRunning) await server.start()
    await systemClock.sleep(100)
  }
  console.log('there is room')
}

/** False while it recovers from a crash, and where that has failed. */
function answers(server: PostgresServer): Promise<boolean> {
  return server.sql('SELECT 1').then(
    () => true,
    () => false,
  )
}

const [part = '', disk = '', ballastMebibytes = ''] = process.argv.slice(2)
await serve(part, disk, Number(ballastMebibytes))
