import { afterAll, beforeAll, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import { attempt, claim, expectAudited, LEASE_MS, newRun, START_MS, SUCCEEDED } from '../../conformance/support.ts'
import type { ClaimedItem, Settlement } from '../../port.ts'
import { openPostgresLedger } from '../index.ts'

let server: PostgresServer
const SCHEMA = 'leases'

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

function succeededOf(items: readonly ClaimedItem[]): Settlement[] {
  return items.map(({ itemId, tenant, token }) => ({ itemId, tenant, token, to: SUCCEEDED, attempt: attempt() }))
}

function leasesThere(): Promise<{ slot: number; open: number; runs: number }[]> {
  return server.sql(`SELECT slot, open, cardinality(runs) AS runs FROM ${SCHEMA}.leases ORDER BY slot`)
}

it('decision 012: items that are claimed together share a few leases, whose slots are used again', async () => {
  const ledger = await openPostgresLedger({ url: server.url, schema: SCHEMA, clock: impatientClock() })
  const options = { limit: 450 }
  await ledger.submit(Array.from({ length: 900 }, () => newRun()))
  const first = await claim(ledger, options)
  expect(await leasesThere()).toEqual([
    { slot: 0, open: 200, runs: 200 },
    { slot: 1, open: 200, runs: 200 },
    { slot: 2, open: 50, runs: 50 },
  ])
  await expectAudited(ledger)

  // Of the second lease all but one item end; of the others none.
  const receipts = await ledger.settle(succeededOf(first.slice(200, 399)), START_MS)
  expect(receipts.every(({ outcome }) => outcome === 'settled')).toBe(true)
  expect((await ledger.settle(succeededOf(first.slice(398, 400)), START_MS)).map(({ outcome }) => outcome)).toEqual([
    'lease_lost',
    'settled',
  ])
  await expectAudited(ledger)
  const second = await claim(ledger, options)
  expect(second).toHaveLength(450)
  expect((await leasesThere()).map(({ slot, open }) => [slot, open])).toEqual([
    [0, 200],
    [1, 200],
    [2, 50],
    [3, 200],
    [4, 50],
  ])
  expect((await ledger.lanes())[0]?.processing).toBe(700)
  await expectAudited(ledger)

  // Who says that he is alive keeps what he holds, whoever else was claimed with it.
  const kept = first.slice(0, 3)
  expect(await ledger.extendLeases(kept, START_MS + 2 * LEASE_MS)).toEqual([])
  const nowMs = START_MS + LEASE_MS + 1
  const lost = await ledger.reclaimExpired({ nowMs, leaseUntilMs: nowMs + LEASE_MS, workerId: 'other', limit: 1000 })
  expect(lost).toHaveLength(697)
  expect(lost.some(({ itemId }) => kept.some((item) => item.itemId === itemId))).toBe(false)
  await expectAudited(ledger)
  await ledger.settle(succeededOf([...kept, ...lost]), nowMs)
  expect((await leasesThere()).every(({ open, runs }) => open === 0 && runs === 0)).toBe(true)
  await expectAudited(ledger)
  await ledger.close()
})

it('the audit finds a lease that counts wrongly', async () => {
  const ledger = await openPostgresLedger({ url: server.url, schema: 'miscounted', clock: impatientClock() })
  await ledger.submit([newRun(), newRun()])
  await claim(ledger, { limit: 2 })
  await server.sql('UPDATE miscounted.leases SET open = 1')
  const { checks } = await ledger.audit()
  expect(checks.filter(({ violations }) => violations > 0)).toMatchObject([{ name: 'leases_counted', violations: 1 }])
  await ledger.close()
})
