/** The server that all contenders share, and a database of its own for each measurement. */
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../../test/support/postgres.ts'
import type { HelperCpu } from './stopwatch.ts'

/** Durable as it comes, and with room: nobody should wait for a checkpoint. */
export const SETTINGS = [
  'fsync=on',
  'synchronous_commit=on',
  'full_page_writes=on',
  'shared_buffers=1GB',
  'max_wal_size=8GB',
  'checkpoint_timeout=1h',
  'max_connections=200',
]

export function startServer(folder: string): Promise<PostgresServer> {
  return startPostgres(SETTINGS, folder)
}

/** @throws Error where the server would answer before it is on disk: its figures would be of something else. */
export async function describeServer(url: string): Promise<string> {
  const names = ['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size']
  const settings = await query<{ name: string; setting: string }>(
    url,
    `SELECT name, current_setting(name) AS setting FROM unnest('{${names.join(',')}}'::text[]) name`,
  )
  const unsafe = settings.find(
    ({ name, setting }) => (name === 'fsync' || name === 'synchronous_commit') && isOff(setting),
  )
  if (unsafe) throw new RangeError(`The server has ${unsafe.name} = ${unsafe.setting}: nothing there is durable`)
  return settings.map(({ name, setting }) => `${name} ${setting}`).join(', ')
}

const isOff = (setting: string): boolean => setting === 'off' || setting === 'local'

export interface Place extends AsyncDisposable {
  readonly url: string
  readonly serverCpu: HelperCpu
  query<Row extends object>(text: string): Promise<Row[]>
}

let databases = 0

/** An empty database, which goes with it. What others have written is on disk by then, and not paid for by the next. */
export async function createDatabase(serverUrl: string): Promise<Place> {
  const name = `holdfast_bench_${process.pid}_${++databases}`
  await query(serverUrl, 'CHECKPOINT')
  await query(serverUrl, `CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    serverCpu: await serverCpuOf(serverUrl),
    query: (text) => query(url.href, text),
    [Symbol.asyncDispose]: async () => void (await query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)),
  }
}

async function query<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

/** Ticks of the kernel's accounting, https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICK_MS = 10

/** CPU of a server on this machine, where the system tells (Linux); elsewhere 0, and it counts as foreign. */
async function serverCpuOf(url: string): Promise<HelperCpu> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const [own] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows
  const parent = own && statOf(own.pid)?.parent
  await client.end()
  if (parent === undefined) return async () => 0
  return async () => cpuOfFamily(parent)
}

/** Of the parent, its living children, and those that have ended: the parent inherits their time. */
function cpuOfFamily(parent: number): number {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = statOf(Number(name))
    if (Number(name) === parent) ticks += (stat?.ticks ?? 0) + (stat?.endedChildrenTicks ?? 0)
    else if (stat?.parent === parent) ticks += stat.ticks
  }
  return ticks * TICK_MS
}

function statOf(pid: number): { parent: number; ticks: number; endedChildrenTicks: number } | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // It has ended meanwhile, or this system has no such files.
    return undefined
  }
  // After the name, which may hold anything: state, parent, ...
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (index: number): number => Number(fields[index])
  return { parent: number(1), ticks: number(11) + number(12), endedChildrenTicks: number(13) + number(14) }
}
