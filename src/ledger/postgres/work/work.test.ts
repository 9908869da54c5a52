/** Decision 012: what of claims and settlements waits for what. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import { attempt, claim, expectAudited, LANE, newRun, START_MS, SUCCEEDED } from '../../conformance/support.ts'
import type { ClaimedItem, Settlement } from '../../port.ts'
import { openPostgresLedger } from '../index.ts'

/** Settlements that are worth a transaction of their own. */
const MUCH = 250

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

function succeededOf(items: readonly ClaimedItem[]): Settlement[] {
  return items.map(({ itemId, tenant, token }) => ({ itemId, tenant, token, to: SUCCEEDED, attempt: attempt() }))
}

/** Twice as much as is claimed; somebody else keeps its settlements from being written until `letGo`. */
async function scene() {
  const schema = `work_${++schemas}`
  const ledger = await openPostgresLedger({ url: server.url, schema, clock: impatientClock() })
  await ledger.submit(Array.from({ length: 2 * MUCH }, () => newRun()))
  const claimed = await claim(ledger, { limit: MUCH })
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query(`BEGIN; SELECT 1 FROM ${schema}.items WHERE state = 'processing' FOR UPDATE`)
  const end = async (): Promise<void> => {
    await expectAudited(ledger)
    await client.end()
    await ledger.close()
  }
  return { ledger, claimed, letGo: () => client.query('ROLLBACK'), end }
}

it('a claim that needs no place of what is being settled does not wait for it', async () => {
  const { ledger, claimed, letGo, end } = await scene()
  const settling = ledger.settle(succeededOf(claimed), START_MS)
  expect(await claim(ledger, { limit: MUCH, concurrency: 2 * MUCH })).toHaveLength(MUCH)
  await letGo()
  expect((await settling).every(({ outcome }) => outcome === 'settled')).toBe(true)
  await end()
})

it('a claim that needs places of what is being settled finds them free', async () => {
  const { ledger, claimed, letGo, end } = await scene()
  const settling = ledger.settle(succeededOf(claimed), START_MS)
  const claiming = claim(ledger, { limit: MUCH, concurrency: 2 * MUCH - 1 })
  await letGo()
  expect(await claiming).toHaveLength(MUCH)
  await settling
  await end()
})

it('a claim finds the gates closed that are being closed by what is settled before it', async () => {
  const { ledger, claimed, letGo, end } = await scene()
  const gate = { lane: LANE, untilMs: START_MS + 60_000, reason: 'HTTP 429' }
  const settlements = succeededOf(claimed).map((settlement, index) =>
    index === 7 ? { ...settlement, gate } : settlement,
  )
  const settling = ledger.settle(settlements, START_MS)
  const claiming = claim(ledger, { limit: MUCH, concurrency: 4 * MUCH })
  await letGo()
  expect(await claiming).toEqual([])
  await settling
  await end()
})
