/** Claims that stand (decision 035), as far as they are PostgreSQL's own: between processes, and told of by the server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import type { Clock } from '../../../core/clock.ts'
import { claim, ENDPOINT, expectAudited, LANE, newRun, SUCCEEDED, settle } from '../../conformance/support.ts'
import type { ClaimedItem, NewRun, StandingLease, Where } from '../../port.ts'
import { openPostgresLedger } from '../index.ts'

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

/** A worker that listens and knows its channel, and a process that submits. */
async function scene() {
  const impatient = impatientClock()
  // What the server takes is real time: how long it is waited for is never over.
  const clock: Clock = {
    ...impatient,
    setTimer: (delayMs, callback) =>
      delayMs < 1000 ? impatient.setTimer(delayMs, callback) : { cancel: () => undefined },
  }
  const schema = `standing_${++schemas}`
  const options = { url: server.url, schema, clock }
  const [working, submitting] = [await openPostgresLedger(options), await openPostgresLedger(options)]
  const heard = Promise.withResolvers<Where>()
  const watching = working.watch((where) => heard.resolve(where))
  await heard.promise
  const told: ClaimedItem[] = []
  let next = Promise.withResolvers<StandingLease>()
  /** Leaves a claim; with none, all that was leased to it is told when it is taken back. */
  const stand = (limit = 5) => {
    const nowMs = clock.wallMs()
    const channels = limit > 0 ? [{ lane: LANE, endpoint: ENDPOINT, limit, laneConcurrency: 10 }] : []
    return working.standClaim({ workerId: 'waiting', leaseMs: 30_000, untilMs: nowMs + 60_000, channels }, (lease) => {
      told.push(...lease.items)
      next.resolve(lease)
      next = Promise.withResolvers()
    })
  }
  // So that the channel exists.
  await working.submit([newRun()])
  const [first] = await claim(working)
  if (first) await settle(working, first, SUCCEEDED)
  return {
    clock,
    schema,
    working,
    submitting,
    stand,
    told,
    nextLease: () => next.promise,
    async end() {
      await stand(0)
      for (const item of told) await settle(working, item, SUCCEEDED)
      watching[Symbol.dispose]()
      await expectAudited(working)
      for (const ledger of [working, submitting]) await ledger.close()
    },
  }
}

describe('a claim that stands, of another process', () => {
  it('is given what is submitted alone, with or without a key, and told of it; nobody else is', async () => {
    const { submitting, working, stand, nextLease, told, end } = await scene()
    await stand()
    const { key: _, inputFingerprint: __, ...bare } = newRun({ labels: { source: 'web' } })
    const runs: NewRun[] = [newRun({ key: 'its key' }), bare]
    for (const run of runs) {
      const lease = nextLease()
      expect(await submitting.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id, isLeased: true }])
      const { items, leaseUntilMs } = await lease
      expect(items).toMatchObject([{ runId: run.id, key: run.key ?? run.id, labels: run.labels, input: run.input }])
      expect(leaseUntilMs).toBeGreaterThan(run.createdAtMs)
    }
    expect(await claim(working)).toEqual([])
    expect(told).toHaveLength(2)
    await end()
  })

  it('what is known already takes none of its room, and is answered as ever', async () => {
    const { submitting, stand, nextLease, told, end } = await scene()
    const run = newRun({ key: 'once' })
    await submitting.submit([run, newRun()])
    await stand(1)
    expect(await submitting.submit([{ ...newRun(), ...run, id: newRun().id }])).toEqual([
      { outcome: 'duplicate', runId: run.id },
    ])
    const lease = nextLease()
    await submitting.submit([newRun()])
    await lease
    expect(told).toHaveLength(1)
    await end()
  })

  it('is told of what is far too large for a notification', async () => {
    const { submitting, stand, nextLease, end } = await scene()
    await stand()
    const lease = nextLease()
    const run = newRun({ input: JSON.stringify('ä'.repeat(100_000)) })
    await submitting.submit([run])
    expect((await lease).items).toMatchObject([{ runId: run.id, input: run.input, token: 1 }])
    await end()
  })

  it('whoever may connect may notify: what was told is not told again, what was not leased to it not at all', async () => {
    const { schema, submitting, working, stand, nextLease, told, end } = await scene()
    await stand()
    const lease = nextLease()
    await submitting.submit([newRun()])
    await lease
    // Two at once, of which nothing is leased.
    await submitting.submit([newRun(), newRun()])
    const [claimed] = await claim(working, { limit: 1 })
    const runs = await server.sql<{ no: string }>(`SELECT no FROM ${schema}.runs`)
    const [{ writer } = { writer: '' }] = await server.sql<{ writer: string }>(
      `SELECT writer FROM ${schema}.standing_claims`,
    )
    const forged = [...runs.map(({ no }) => no), '0', '99999999999999999999', '-1', '1 2', '{"run":1}', '']
    for (const text of forged) await server.sql(`SELECT pg_notify('holdfast_${schema}', '@${writer} ${text}')`)
    // Whatever they led to is over when something that was leased has been told.
    const last = nextLease()
    const run = newRun()
    await submitting.submit([run])
    expect((await last).items).toMatchObject([{ runId: run.id }])
    expect(told).toHaveLength(2)
    for (const item of [claimed, ...(await claim(working))]) if (item) await settle(working, item, SUCCEEDED)
    await end()
  })

  it('is not given what its process would not hear of: the session that listens has ended', async () => {
    const { submitting, working, stand, told, schema, end } = await scene()
    await stand()
    const listeners = await server.sql(
      `SELECT pg_terminate_backend(listener, 5000) AS ended FROM ${schema}.standing_claims`,
    )
    expect(listeners).toEqual([{ ended: true }])
    const run = newRun()
    expect(await submitting.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
    const claimed = await claim(working)
    expect(claimed).toMatchObject([{ runId: run.id }])
    for (const item of claimed) await settle(working, item, SUCCEEDED)
    expect(told).toEqual([])
    await end()
  })

  it('a server that takes no more notifications takes runs all the same', async () => {
    const { clock, schema, working, stand, told, end } = await scene()
    await server.sql(`CREATE SCHEMA ${schema}_full; CREATE FUNCTION ${schema}_full.pg_notify(text, text) RETURNS void LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END $$`)
    const url = new URL(server.url)
    url.searchParams.set('options', `-c search_path=${schema}_full,pg_catalog`)
    const full = await openPostgresLedger({ url: url.href, schema, clock })
    await stand()
    const run = newRun()
    expect(await full.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
    const claimed = await claim(working)
    expect(claimed).toMatchObject([{ runId: run.id }])
    for (const item of claimed) await settle(working, item, SUCCEEDED)
    expect(told).toEqual([])
    await full.close()
    await end()
  })

  it('taken back, it is told first of all that was leased to it', async () => {
    const { submitting, stand, told, end } = await scene()
    await stand()
    const receipts = []
    for (let count = 0; count < 5; count++) receipts.push(...(await submitting.submit([newRun()])))
    await stand(0)
    expect(told.map(({ runId }) => runId).toSorted()).toEqual(receipts.map(({ runId }) => runId).toSorted())
    expect(await submitting.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await end()
  })

  it('claims of workers that were lost are forgotten after an hour', async () => {
    const { schema, stand, end } = await scene()
    await stand()
    await server.sql(
      `INSERT INTO ${schema}.standing_claims SELECT channel, 'lost', writer, listener, room, given, lane_concurrency, lease_ms,
         until_ms - 7200000 FROM ${schema}.standing_claims`,
    )
    await stand()
    expect(await server.sql(`SELECT worker FROM ${schema}.standing_claims`)).toEqual([{ worker: 'waiting' }])
    await end()
  })
})
