/** What is submitted in one turn shares statements; nobody may see that. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { claim, expectAudited, LANE, newRun, START_MS } from '../../conformance/support.ts'
import type { Ledger, NewItem, NewRun } from '../../port.ts'
import { openSqliteLedger, sharedMemoryPath } from '../index.ts'
import { connect, prepare } from '../transactions/connection.ts'

/** Few values, so that neighbours are often alike, and keys often known. */
const runs: fc.Arbitrary<readonly NewRun[]> = fc
  .array(
    fc.record({
      key: fc.option(fc.constantFrom('ada', 'bob', 'cyd', 'dee', 'eve'), { nil: undefined }),
      batch: fc.constantFrom('one', 'one', 'one', 'two'),
      laterMs: fc.constantFrom(0, 0, 0, 1),
      dueInMs: fc.constantFrom(0, 0, 0, 500),
      lane: fc.constantFrom(LANE, LANE, LANE, 'mail/default'),
      steps: fc.constantFrom(1, 1, 1, 1, 2),
      optional: fc.constantFrom(false, false, false, true),
      ordered: fc.constantFrom(false, false, false, true),
    }),
    { minLength: 20, maxLength: 60 },
  )
  .map((drawn) =>
    drawn.map(({ key, batch, laterMs, dueInMs, lane, steps, optional, ordered }, index) => {
      const createdAtMs = START_MS + laterMs
      const turn = ordered ? { turn: { series: 'onboard.crm', entity: 'ada', rule: 'hold' as const } } : {}
      const first: NewItem = {
        step: 'crm',
        lane,
        endpoint: 'POST /contacts',
        after: [],
        dueAtMs: START_MS + dueInMs,
        optional,
        ...turn,
      }
      const second: NewItem = { ...first, step: 'mail', after: ['crm'] }
      const { key: _key, inputFingerprint: _fingerprint, ...plain } = newRun()
      return {
        ...plain,
        id: `run-${index}`,
        correlationId: `run-${index}`,
        ...(key !== undefined && { key, inputFingerprint: key }),
        batch,
        createdAtMs,
        items: steps === 1 ? [first] : [first, second],
      }
    }),
  )

let stores = 0

async function withLedger<Result>(use: (ledger: Ledger, path: string) => Promise<Result>): Promise<Result> {
  const path = sharedMemoryPath(`submitted together ${stores++}`)
  const ledger = await openSqliteLedger({ path, clock: impatientClock() })
  try {
    return await use(ledger, path)
  } finally {
    await ledger.close()
  }
}

/** Every row of what submitting writes. */
function rowsOf(path: string): unknown {
  using database = connect(path, { busyWaitMs: 0 })
  const tables = ['runs', 'items', 'channels', 'books', 'flows', 'tallies', 'entities', 'places']
  return tables.map((table) => prepare<object>(database, `SELECT * FROM ${table} ORDER BY 1, 2`).all())
}

it('what is submitted in one turn leaves the same rows and receipts as what is submitted one after the other', async () => {
  await fc.assert(
    fc.asyncProperty(runs, async (drawn) => {
      const together = await withLedger(async (ledger, path) => {
        const receipts = await Promise.all(drawn.map((run) => ledger.submit([run])))
        await expectAudited(ledger)
        return { receipts, rows: rowsOf(path) }
      })
      const apart = await withLedger(async (ledger, path) => {
        const receipts = []
        for (const run of drawn) receipts.push(await ledger.submit([run]))
        return { receipts, rows: rowsOf(path) }
      })
      expect(together).toEqual(apart)
    }),
    { numRuns: 30 },
  )
})

it('a claim of the same turn finds what was submitted before it', async () => {
  await withLedger(async (ledger) => {
    const submitted = Promise.all([newRun(), newRun(), newRun()].map((run) => ledger.submit([run])))
    const claimed = claim(ledger, { nowMs: START_MS })
    const ids = (await submitted).flat().map(({ runId }) => runId)
    expect((await claimed).map(({ runId }) => runId)).toEqual(ids)
    await expectAudited(ledger)
  })
})

it('a run that cannot be stored takes none of its neighbours along, however they were to be written', async () => {
  await withLedger(async (ledger) => {
    const known = newRun()
    await ledger.submit([known])
    const good = Array.from({ length: 9 }, () => newRun())
    const bad = { ...newRun(), id: known.id }
    const mixed = [...good.slice(0, 4), bad, ...good.slice(4)]
    const results = await Promise.allSettled(mixed.map((run) => ledger.submit([run])))
    expect(results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([4])
    expect((await claim(ledger, { nowMs: START_MS })).map(({ runId }) => runId).toSorted()).toEqual(
      [known, ...good].map(({ id }) => id).toSorted(),
    )
    await expectAudited(ledger)
  })
})
