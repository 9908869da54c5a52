/** `submit` as part of a transaction that a user has open. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import { chainRun, claim, expectAudited, idOf, newRun, START_MS, SUCCEEDED, settle } from '../../conformance/support.ts'
import { openPostgresLedger } from '../index.ts'

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

describe('joining a transaction of the user', () => {
  async function scene() {
    const schema = `joined_${++schemas}`
    const ledger = await openPostgresLedger({ url: server.url, schema, clock: impatientClock() })
    await server.sql(`CREATE TABLE ${schema}.orders (id text PRIMARY KEY)`)
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    const end = async (): Promise<void> => {
      await client.end()
      await expectAudited(ledger)
      await ledger.close()
    }
    return { schema, ledger, client, end }
  }

  it('the business write and its work commit together', async () => {
    const { schema, ledger, client, end } = await scene()
    const run = chainRun()
    await client.query('BEGIN')
    await client.query(`INSERT INTO ${schema}.orders VALUES ('17')`)
    expect(await ledger.joining(client).submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
    expect(await ledger.run(run.id)).toBeUndefined()
    expect(await ledger.balance({})).toMatchObject({ accepted: 0 })
    await client.query('COMMIT')
    expect(await ledger.balance({})).toMatchObject({ accepted: 2, states: { queued: 1, waiting: 1 } })
    const [item] = await claim(ledger)
    expect(item?.itemId).toBe(idOf(run, 'a'))
    await end()
  })

  it('they are rolled back together, and the key is new again', async () => {
    const { ledger, client, end } = await scene()
    const run = newRun({ key: 'order-17' })
    await client.query('BEGIN')
    await ledger.joining(client).submit([run])
    await client.query('ROLLBACK')
    expect(await ledger.balance({})).toMatchObject({ accepted: 0, balanced: true })
    expect(await ledger.submit([newRun({ key: 'order-17' })])).toMatchObject([{ outcome: 'accepted' }])
    await end()
  })

  it('a long transaction holds up neither submits nor workers', async () => {
    const { ledger, client, end } = await scene()
    await ledger.submit([newRun()])
    await client.query('BEGIN')
    await ledger.joining(client).submit([newRun(), newRun()])
    await ledger.joining(client).submit([newRun()])
    await ledger.submit([newRun()])
    for (const item of await claim(ledger)) await settle(ledger, item, SUCCEEDED)
    await ledger.retain({ endedBeforeMs: START_MS + 1, nowMs: START_MS, limit: 10 })
    expect(await ledger.balance({})).toMatchObject({ accepted: 2, states: { succeeded: 2 } })
    await client.query('COMMIT')
    expect(await ledger.balance({})).toMatchObject({ accepted: 5, states: { succeeded: 2, queued: 3 } })
    await end()
  })

  it('duplicates are told; what is refused leaves the transaction as it was', async () => {
    const { ledger, client, end } = await scene()
    const known = newRun({ key: 'ada' })
    await ledger.submit([known])
    await client.query('BEGIN')
    const joined = ledger.joining(client)
    expect(await joined.submit([newRun({ key: 'ada' })])).toEqual([{ outcome: 'duplicate', runId: known.id }])
    const thief = newRun({ id: known.id })
    await expect(joined.submit([newRun(), thief])).rejects.toMatchObject({ code: 'invalid_run' })
    expect(await joined.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await client.query('COMMIT')
    expect(await ledger.balance({})).toMatchObject({ accepted: 2 })
    await end()
  })

  it('a client without a transaction is refused: it would not be what was meant', async () => {
    const { ledger, client, end } = await scene()
    await expect(ledger.joining(client).submit([newRun()])).rejects.toMatchObject({ code: 'no_transaction' })
    expect(await ledger.balance({})).toMatchObject({ accepted: 0 })
    await end()
  })
})
