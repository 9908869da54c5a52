/** What happens to servers, connections and processes: against a real server, each time ending in a balanced audit. */

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type CuttingProxy, startCuttingProxy } from '../../../test/support/cutting-proxy.ts'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import { systemClock } from '../../system/system-clock.ts'
import {
  claim,
  claimOne,
  expectAudited,
  LEASE_MS,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
} from '../conformance/support.ts'
import type { Ledger, NewRun } from '../port.ts'
import { openPostgresLedger, type PostgresLedger, type PostgresLedgerOptions } from './index.ts'

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.remove())

function newSchema(): string {
  return `failing_${++schemas}`
}

function open(schema: string, options: Partial<PostgresLedgerOptions> = {}): Promise<PostgresLedger> {
  return openPostgresLedger({ url: server.url, schema, clock: systemClock, ...options })
}

describe('a connection that is cut in the middle of a commit', () => {
  let proxy: CuttingProxy
  beforeAll(async () => {
    proxy = await startCuttingProxy(server.port)
  })
  afterAll(() => proxy?.close())

  async function behindProxy(): Promise<PostgresLedger> {
    const url = new URL(server.url)
    url.port = String(proxy.port)
    return open(newSchema(), { url: url.href })
  }

  for (const cut of ['before the commit', 'after the commit', 'late commit'] as const) {
    it(`${cut}: the adapter finds out, and each thing is done once`, async () => {
      const ledger = await behindProxy()
      // So that names are known, and the next commit is the one that counts.
      await ledger.submit([newRun()])
      const cutsBefore = proxy.cuts
      const run = newRun()
      proxy.cutNext(cut)
      expect(await ledger.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
      proxy.cutNext(cut)
      const claimed = await claim(ledger)
      expect(claimed.map((item) => item.token)).toEqual([1, 1])
      for (const item of claimed) {
        proxy.cutNext(cut)
        expect(await settle(ledger, item, SUCCEEDED)).toEqual({ outcome: 'settled', state: 'succeeded', queued: [] })
      }
      proxy.cutNext(cut)
      const [change] = await ledger.updateHealth([{ key: 'k', fromRevision: 0, state: 1 }], START_MS)
      expect(change).toMatchObject({ applied: true })
      expect(proxy.cuts - cutsBefore).toBe(5)
      expect(await ledger.balance({})).toMatchObject({ accepted: 2, states: { succeeded: 2 } })
      await expectAudited(ledger)
      await ledger.close()
    })
  }

  it('nobody left to ask: the caller is told that it may have happened', async () => {
    const own = await startCuttingProxy(server.port)
    const url = new URL(server.url)
    url.port = String(own.port)
    const ledger = await open(newSchema(), { url: url.href, clock: impatientClock(), retryForMs: 200 })
    await ledger.submit([newRun()])
    own.cutNext('after the commit')
    const submitting = ledger.submit([newRun()])
    // From here on nobody gets through any more.
    const closing = own.close()
    await expect(submitting).rejects.toMatchObject({ code: 'store_unavailable' })
    await closing
    await ledger.close()
  })
})

describe('a server that goes away', () => {
  it('restarts and crashes while work goes on: nothing is lost, nothing doubled, nobody is told', async () => {
    const schema = newSchema()
    const first = await open(schema)
    const ledgers = [first, await open(schema)]
    const runs = Array.from({ length: 300 }, () => newRun())
    const done: string[] = []
    let submitted = false
    const submitting = submitOneByOne(first, runs).then(() => {
      submitted = true
    })
    const working = ledgers.map((ledger) => work(ledger, done, () => submitted))
    const reached = async (count: number): Promise<void> => {
      while (done.length < count) await systemClock.sleep(2)
    }
    await reached(40)
    await server.restart()
    await reached(120)
    await server.crash()
    await server.start()
    await Promise.all([submitting, ...working])
    expect(done.toSorted()).toEqual(runs.map((run) => `${run.id}.crm`).toSorted())
    expect(await first.balance({})).toMatchObject({ accepted: 300, states: { succeeded: 300 } })
    await expectAudited(first)
    for (const ledger of ledgers) await ledger.close()
  })

  it('rule 5: it crashes when a claim has just been answered: the claim is there', async () => {
    const ledger = await open(newSchema())
    await ledger.submit([newRun()])
    const { itemId, token } = await claimOne(ledger)
    // At once, before the server writes its log by itself.
    await server.crash()
    await server.start()
    expect(await ledger.item(itemId)).toMatchObject({ state: 'processing' })
    expect(await settle(ledger, { itemId, tenant: 'default', token }, SUCCEEDED)).toMatchObject({ outcome: 'settled' })
    await expectAudited(ledger)
    await ledger.close()
  })

  it('whoever watches hears of work again afterwards', async () => {
    const schema = newSchema()
    const [watching, writing] = [await open(schema), await open(schema)]
    let heard = Promise.withResolvers<void>()
    using _watcher = watching.watch(() => heard.resolve())
    await heard.promise
    heard = Promise.withResolvers()
    await server.restart()
    // It listens again, and says so, for something may have happened meanwhile.
    await heard.promise
    heard = Promise.withResolvers()
    await writing.submit([newRun()])
    await heard.promise
    await expectAudited(writing)
    for (const ledger of [watching, writing]) await ledger.close()
  })

  it('connections that are ended one after the other disturb nobody', async () => {
    const ledger = await open(newSchema())
    const runs = Array.from({ length: 100 }, () => newRun())
    let submitted = false
    const submitting = submitOneByOne(ledger, runs).then(() => {
      submitted = true
    })
    const done: string[] = []
    const working = work(ledger, done, () => submitted)
    for (let ended = 0; ended < 10; ended++) {
      const others = `pid <> pg_backend_pid() AND application_name = 'holdfast'`
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`)
    }
    await Promise.all([submitting, working])
    expect(new Set(done).size).toBe(100)
    await expectAudited(ledger)
    await ledger.close()
  })

  it('a server that stays away is told with what to do, and without the password', async () => {
    const ledger = await open(newSchema(), { clock: impatientClock() })
    await server.crash()
    const error = (await ledger.submit([newRun()]).catch((thrown: unknown) => thrown)) as Error & { hint: string }
    expect(error).toMatchObject({ code: 'store_unavailable', certainty: 'not_sent', hint: expect.stringMatching(/./) })
    expect(JSON.stringify([error, error.message, String(error.cause)])).not.toContain('no message may show')
    await server.start()
    expect(await ledger.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await expectAudited(ledger)
    await ledger.close()
  })
})

describe('a failover to a replica', () => {
  it('remote_apply: what was told as done is there, nothing is done twice, and nobody is told', async () => {
    const primary = await startPostgres()
    onTestFinished(() => primary.remove())
    const replica = await primary.startReplica()
    onTestFinished(() => replica.remove())
    const proxy = await startCuttingProxy(primary.port)
    onTestFinished(() => proxy.close())
    const url = new URL(primary.url)
    url.port = String(proxy.port)
    const ledger = await open(newSchema(), { url: url.href })
    const runs = Array.from({ length: 200 }, () => newRun())
    const done: string[] = []
    let submitted = false
    const submitting = submitOneByOne(ledger, runs).then(() => {
      submitted = true
    })
    const working = work(ledger, done, () => submitted)
    while (done.length < 60) await systemClock.sleep(2)
    await primary.crash()
    await replica.promote()
    proxy.turnTo(replica.port)
    await Promise.all([submitting, working])
    expect(done.toSorted()).toEqual(runs.map((run) => `${run.id}.crm`).toSorted())
    expect(await ledger.balance({})).toMatchObject({ accepted: 200, states: { succeeded: 200 } })
    await expectAudited(ledger)
    await ledger.close()
  })
})

describe('a server that is busy', () => {
  it('a statement that takes too long is refused, and works when what held it is gone', async () => {
    const schema = newSchema()
    const ledger = await open(schema, { statementTimeoutMs: 200, retryForMs: 300 })
    await ledger.submit([newRun()])
    const holder = new pg.Client({ connectionString: server.url })
    await holder.connect()
    await holder.query(`BEGIN; LOCK TABLE ${schema}.items IN ACCESS EXCLUSIVE MODE`)
    await expect(ledger.submit([newRun()])).rejects.toMatchObject({ code: 'store_busy' })
    await holder.query('ROLLBACK')
    await holder.end()
    expect(await claim(ledger)).toHaveLength(1)
    await expectAudited(ledger)
    await ledger.close()
  })

  it('a pool that is exhausted is told as such, and waited for', async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 2, connectionTimeoutMillis: 300 })
    pool.on('error', () => {})
    const ledger = await openPostgresLedger({ pool, schema: newSchema(), clock: impatientClock(), retryForMs: 100 })
    await ledger.submit([newRun()])
    const held = [await pool.connect(), await pool.connect()]
    await expect(ledger.submit([newRun()])).rejects.toMatchObject({ code: 'store_busy' })
    for (const client of held) client.release()
    expect(await ledger.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await expectAudited(ledger)
    await ledger.close()
    await pool.end()
  })

  it('transactions that lock each other out are tried again until both are done', async () => {
    const schema = newSchema()
    const first = await open(schema)
    const ledgers = [first, await open(schema)]
    const steps = ['a', 'b'].map((step) => ({ step, lane: 'l', endpoint: 'e', after: [] as string[] }))
    const items = [...steps, { ...steps[0], step: 'c', after: ['a', 'b'] }].map((item) => ({
      ...(item as (typeof steps)[0]),
      dueAtMs: START_MS,
      optional: false,
    }))
    await first.submit(Array.from({ length: 50 }, () => newRun({ items })))
    const claimed = await claim(first, { lane: 'l', endpoint: 'e' })
    expect(claimed).toHaveLength(100)
    // Both steps before each `c` end at the same time, in different processes and different orders.
    const [evens, odds] = [claimed.filter((_, index) => index % 2 === 0), claimed.filter((_, index) => index % 2 === 1)]
    const receipts = await Promise.all(
      [evens, odds.toReversed()].map((part, index) =>
        (ledgers[index] ?? first).settle(
          part.map(({ itemId, tenant, token }) => ({ itemId, tenant, token, to: SUCCEEDED })),
          START_MS,
        ),
      ),
    )
    expect(receipts.flat().filter((receipt) => receipt.outcome === 'settled')).toHaveLength(100)
    expect(await first.balance({})).toMatchObject({ states: { succeeded: 100, queued: 50, waiting: 0 } })
    await expectAudited(first)
    for (const ledger of ledgers) await ledger.close()
  })
})

describe('processes that are killed without warning', () => {
  it('nothing that was told as done is lost, and what they held is taken over once', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    const runs = Array.from({ length: 400 }, () => newRun())
    await ledger.submit(runs)
    const told: string[] = []
    for (let worker = 0; worker < 4; worker++) told.push(...(await killAfter(schema, `worker-${worker}`, 20)))
    for (const id of told) expect((await ledger.item(id))?.state).toBe('succeeded')
    const done: string[] = []
    await work(ledger, done, () => true, START_MS + 10 * LEASE_MS)
    expect(done.some((id) => told.includes(id))).toBe(false)
    expect(await ledger.balance({})).toMatchObject({ accepted: 400, states: { succeeded: 400 } })
    await expectAudited(ledger)
    await ledger.close()
  })
})

/** Submits one run after the other, so that each meets whatever happens at its moment. */
async function submitOneByOne(ledger: Ledger, runs: readonly NewRun[]): Promise<void> {
  for (const run of runs) expect(await ledger.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
}

/** Claims and settles until nothing is left; what was settled is noted. */
async function work(ledger: Ledger, done: string[], isOver: () => boolean, nowMs = START_MS): Promise<void> {
  for (;;) {
    const last = isOver()
    const taken = await ledger.reclaimExpired({ workerId: 'w', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 50 })
    const claimed = [...taken, ...(await claim(ledger, { limit: 5, nowMs }))]
    if (claimed.length === 0 && last) return
    for (const item of claimed) {
      const receipt = await settle(ledger, item, SUCCEEDED, { nowMs })
      expect(receipt).toMatchObject({ outcome: 'settled' })
      done.push(item.itemId)
    }
  }
}

/** A process of its own that works until it has told of so many items; then it is killed. Returns what it told. */
async function killAfter(schema: string, workerId: string, count: number): Promise<string[]> {
  const program = new URL('./test-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [program, server.url, schema, workerId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const told: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(line)
    if (told.length === count) child.kill('SIGKILL')
  }
  expect(told.length).toBeGreaterThanOrEqual(count)
  return told
}
