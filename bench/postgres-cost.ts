/**
 * What one item costs on PostgreSQL, counted by the server itself: the figures of docs/scale.md.
 *
 *   node bench/postgres-cost.ts [--items 20000] [--folder DIR]
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres } from '../test/support/postgres.ts'
import { openHoldfastQueue } from './support/holdfast-queue.ts'
import { createDatabase, type Place, SETTINGS } from './support/postgres-place.ts'
import { adding, addingBatches, draining, measureQueue, type QueueWork } from './support/queue-work.ts'

/** Counting needs modules, which the cases that are compared do without. */
const COUNTING = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track=top']

const WORKS: readonly [name: string, work: QueueWork, share: number][] = [
  ['submit, 1 at a time', adding(1), 0.1],
  ['submit, 32 in flight', adding(32), 1],
  ['submit, batches of 1000', addingBatches(1000), 1],
  ['claim and settle, concurrency 100', draining(100), 1],
  ['claim and settle, concurrency 1000', draining(1000), 1],
]

interface Counted {
  readonly statements: number
  readonly transactions: number
  readonly rows: number
  readonly hotUpdates: number
  readonly indexWrites: number
  readonly walBytes: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { items: { type: 'string', default: '20000' }, folder: { type: 'string', default: tmpdir() } },
  })
  const folder = mkdtempSync(join(values.folder, 'holdfast-cost-'))
  chmodSync(folder, 0o755)
  const server = await startPostgres([...SETTINGS, ...COUNTING], folder)
  try {
    console.log(
      '| work | statements | transactions | rows written | of these HOT | index entries | WAL bytes | server CPU us |',
    )
    console.log('|---|---|---|---|---|---|---|---|')
    for (const [name, work, share] of WORKS) {
      await using place = await createDatabase(server.url)
      console.log(await rowOf(name, work, Math.round(Number(values.items) * share), place))
    }
  } finally {
    await server.remove()
    rmSync(folder, { recursive: true })
  }
}

async function rowOf(name: string, work: QueueWork, items: number, place: Place): Promise<string> {
  await place.query('CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_walinspect')
  let from = ''
  let counted: Counted | undefined
  const observed: QueueWork = {
    ...work,
    async work(queue, jobs) {
      from = await position(place)
      await place.query('SELECT pg_stat_statements_reset()')
      await work.work(queue, jobs)
      counted = await count(place, from)
    },
  }
  const measured = await measureQueue(observed, {
    open: openHoldfastQueue,
    place: place.url,
    jobs: items,
    helperCpu: place.serverCpu,
  })
  if (!counted) throw new Error('nothing was counted')
  const { statements, transactions, rows, hotUpdates, indexWrites, walBytes } = counted
  const shown = [statements, transactions, rows, hotUpdates, indexWrites].map((value) => (value / items).toFixed(2))
  const bytes = Math.round(walBytes / items).toLocaleString('en')
  return `| ${[name, ...shown, bytes, Math.round((measured.helperCpuMs * 1000) / items)].join(' | ')} |`
}

async function position(place: Place): Promise<string> {
  const [row] = await place.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return row?.lsn ?? ''
}

/** From the log itself: what a server tells in its statistics it tells seconds later. */
async function count(place: Place, from: string): Promise<Counted> {
  const to = await position(place)
  const [row] = await place.query<Record<keyof Counted, string>>(`
    WITH records AS (
      SELECT "resource_manager/record_type" AS kind, count
      FROM pg_get_wal_stats('${from}', '${to}', true))
    SELECT (SELECT sum(calls) FROM pg_stat_statements WHERE query !~ 'pg_stat|pg_current_wal') AS statements,
      sum(count) FILTER (WHERE kind = 'Transaction/COMMIT') AS transactions,
      sum(count) FILTER (WHERE kind ~ '^Heap/(INSERT|UPDATE|HOT_UPDATE|DELETE)') AS rows,
      sum(count) FILTER (WHERE kind ~ '^Heap/HOT_UPDATE') AS "hotUpdates",
      sum(count) FILTER (WHERE kind ~ '^Btree/INSERT_(LEAF|POST)') AS "indexWrites",
      pg_wal_lsn_diff('${to}', '${from}') AS "walBytes"
    FROM records`)
  const number = (value: string | undefined): number => Number(value ?? 0)
  return {
    statements: number(row?.statements),
    transactions: number(row?.transactions),
    rows: number(row?.rows),
    hotUpdates: number(row?.hotUpdates),
    indexWrites: number(row?.indexWrites),
    walBytes: number(row?.walBytes),
  }
}

main().catch((error: unknown) => {
  console.error(error)
  // As in run.ts: `process.exitCode` would not be heard.
  process.exit(1)
})
