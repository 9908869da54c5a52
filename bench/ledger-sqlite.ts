/**
 * What the ledger costs per item: accepting runs, and claiming and settling them, each beside a hand-written loop over
 * `node:sqlite` that does the least a durable queue can do. Both keep every commit (`synchronous = FULL`).
 *
 *   node bench/ledger-sqlite.ts [items, default 50000]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId } from '../src/core/ids.ts'
import type { Ledger, NewRun } from '../src/ledger/port.ts'
import { openSqliteLedger } from '../src/ledger/sqlite/index.ts'
import { systemClock } from '../src/system/system-clock.ts'
import { systemRandom } from '../src/system/system-random.ts'

const LANE = 'crm/default'
const ENDPOINT = 'POST /contacts'
const SUBMIT_BATCH = 1000
const CLAIM_BATCH = 100
const PAYLOAD = JSON.stringify({ email: 'ada@example.com', company: 'Example', note: 'x'.repeat(150) })

async function main(): Promise<void> {
  const items = Number(process.argv[2] ?? 50_000)
  const rows: Record<string, string>[] = []
  for (let round = 1; round <= 3; round++) {
    rows.push({ round: String(round), ...(await measureLedger(items)), ...measureRaw(items) })
  }
  console.table(rows)
}

async function measureLedger(items: number): Promise<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const ledger = await openSqliteLedger({ path: join(folder, 'ledger.db'), clock: systemClock })
  const runs = Array.from({ length: items }, (_, index) => newRun(index))
  const submit = await perSecond(items, async () => {
    for (let from = 0; from < items; from += SUBMIT_BATCH) await ledger.submit(runs.slice(from, from + SUBMIT_BATCH))
  })
  const drain = await perSecond(items, () => drainAll(ledger))
  const { balanced } = await ledger.audit()
  await ledger.close()
  rmSync(folder, { recursive: true })
  if (!balanced) throw new Error('the books do not balance')
  return { 'ledger submit/s': submit, 'ledger drain/s': drain }
}

function newRun(index: number): NewRun {
  return {
    id: newId(systemClock, systemRandom),
    tenant: 'default',
    pipeline: 'onboard',
    key: `lead-${index}@example.com`,
    input: PAYLOAD,
    inputFingerprint: 'f'.repeat(64),
    labels: {},
    batch: 'default',
    correlationId: `correlation-${index}`,
    createdAtMs: systemClock.wallMs(),
    items: [{ step: 'crm', lane: LANE, endpoint: ENDPOINT, after: [], dueAtMs: systemClock.wallMs(), optional: false }],
  }
}

async function drainAll(ledger: Ledger): Promise<void> {
  for (;;) {
    const nowMs = systemClock.wallMs() + 1000
    const channels = [{ lane: LANE, endpoint: ENDPOINT, limit: CLAIM_BATCH, laneConcurrency: CLAIM_BATCH }]
    const claimed = await ledger.claim({ workerId: 'bench', nowMs, leaseUntilMs: nowMs + 60_000, channels })
    if (claimed.length === 0) return
    await ledger.settle(
      claimed.map(({ itemId, tenant, token }) => ({
        itemId,
        tenant,
        token,
        to: { state: 'succeeded', output: '{"id":"12345"}' },
        attempt: { startedAtMs: nowMs, endedAtMs: nowMs, outcome: 'succeeded', counts: true, status: 200 },
      })),
      nowMs,
    )
  }
}

/** One table, one partial index, one state change each way: no deduplication, history, fences or balance. */
function measureRaw(items: number): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const database = new DatabaseSync(join(folder, 'raw.db'))
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, run_at INTEGER NOT NULL, state INTEGER NOT NULL, payload TEXT NOT NULL);
    CREATE INDEX jobs_due ON jobs (run_at, id) WHERE state = 0`)
  const insert = database.prepare('INSERT INTO jobs (run_at, state, payload) VALUES (?, 0, ?)')
  const claim = database.prepare(
    `UPDATE jobs SET state = 1 WHERE id IN (SELECT id FROM jobs WHERE state = 0 AND run_at <= ? ORDER BY run_at, id LIMIT ?)
     RETURNING id, payload`,
  )
  const complete = database.prepare('UPDATE jobs SET state = 2 WHERE id = ? AND state = 1')
  const inTransaction = (work: () => void): void => {
    database.exec('BEGIN IMMEDIATE')
    work()
    database.exec('COMMIT')
  }
  const submit = timed(items, () => {
    for (let from = 0; from < items; from += SUBMIT_BATCH) {
      inTransaction(() => {
        for (let index = 0; index < SUBMIT_BATCH; index++) insert.run(from + index, PAYLOAD)
      })
    }
  })
  const drain = timed(items, () => {
    for (let done = 0; done < items; ) {
      let claimed: { id: number }[] = []
      inTransaction(() => {
        claimed = claim.all(items, CLAIM_BATCH) as unknown as { id: number }[]
      })
      inTransaction(() => {
        for (const { id } of claimed) complete.run(id)
      })
      done += claimed.length
    }
  })
  database.close()
  rmSync(folder, { recursive: true })
  return { 'raw submit/s': submit, 'raw drain/s': drain }
}

async function perSecond(items: number, work: () => Promise<void>): Promise<string> {
  const startMs = systemClock.monotonicMs()
  await work()
  return rate(items, systemClock.monotonicMs() - startMs)
}

function timed(items: number, work: () => void): string {
  const startMs = systemClock.monotonicMs()
  work()
  return rate(items, systemClock.monotonicMs() - startMs)
}

function rate(items: number, elapsedMs: number): string {
  return Math.round((items / elapsedMs) * 1000).toLocaleString('en')
}

void main()
