/** What SQLite does beyond what the port promises of claims that stand: all that a commit makes due is leased, as far as they reach. */
import { expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import {
  channel,
  claim,
  expectAudited,
  idOf,
  LEASE_MS,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  stateOf,
} from '../../conformance/support.ts'
import type { ClaimChannel, Ledger, NewRun, StandingLease, SubmitReceipt } from '../../port.ts'
import { openSharedStore, openSqliteLedger, sharedMemoryPath } from '../index.ts'
import { connect } from '../transactions/connection.ts'

const NOW_MS = START_MS
const ALWAYS_MS = START_MS + 1e9

function open(): Promise<Ledger> {
  return openSqliteLedger({ path: ':memory:', clock: impatientClock(NOW_MS) })
}

function waiting(ledger: Ledger, workerId = 'waiting') {
  const told: StandingLease[] = []
  const stand = (...channels: ClaimChannel[]): Promise<boolean> =>
    ledger.standClaim({ workerId, leaseMs: LEASE_MS, untilMs: ALWAYS_MS, channels }, (lease) => told.push(lease))
  return { told, stand, ids: () => told.flatMap(({ items }) => items.map(({ itemId }) => itemId)) }
}

function isLeased(receipt: SubmitReceipt | undefined): boolean | undefined {
  return receipt?.outcome === 'accepted' ? receipt.isLeased : undefined
}

it('of a call with many runs it gets as many as it wants, the oldest first; their receipts say so', async () => {
  await using ledger = closing(await open())
  const { stand, told, ids } = waiting(ledger)
  const old = newRun()
  await ledger.submit([old])
  await stand(channel({ limit: 3 }))
  const runs = [newRun(), newRun(), newRun()]
  const receipts = await ledger.submit(runs)
  await stand()
  expect(told).toHaveLength(1)
  expect(ids()).toEqual([old, ...runs].slice(0, 3).map((run) => idOf(run)))
  expect(receipts.map(isLeased)).toEqual([true, true, undefined])
  expect((await claim(ledger)).map(({ runId }) => runId)).toEqual([runs[2]?.id])
})

it('of what comes in large numbers nothing: claims take more at once', async () => {
  await using ledger = closing(await open())
  const { stand, told } = waiting(ledger)
  await stand(channel())
  const receipts = await ledger.submit(Array.from({ length: 17 }, () => newRun()))
  await stand()
  expect(told).toEqual([])
  expect(receipts.some(isLeased)).toBe(false)
  expect(await claim(ledger)).toHaveLength(17)
})

it('who has most room is given to first', async () => {
  await using ledger = closing(await open())
  const small = waiting(ledger, 'small')
  const large = waiting(ledger, 'large')
  await small.stand(channel({ limit: 2 }))
  await large.stand(channel({ limit: 3 }))
  await ledger.submit(Array.from({ length: 4 }, () => newRun()))
  await Promise.all([small.stand(), large.stand()])
  expect([small.ids().length, large.ids().length]).toEqual([1, 3])
})

it('of a run with several steps that need nothing, it is leased when all of them are', async () => {
  await using ledger = closing(await open())
  const { stand, ids } = waiting(ledger)
  await stand(channel())
  const now = newItem({ step: 'now' })
  const later = newItem({ step: 'later', dueAtMs: NOW_MS + 1000 })
  const elsewhere = newItem({ step: 'elsewhere', endpoint: 'POST /others' })
  const after = newItem({ step: 'after', after: ['now'] })
  const runs = [
    [now, later],
    [now, elsewhere],
    [now, { ...now, step: 'too' }, after],
  ].map((items) => newRun({ items }))
  const receipts: SubmitReceipt[] = []
  for (const run of runs) receipts.push(...(await ledger.submit([run])))
  await stand()
  expect(receipts.map(isLeased)).toEqual([undefined, undefined, true])
  expect(ids()).toEqual([...runs.map((run) => idOf(run, 'now')), idOf(runs[2] as NewRun, 'too')])
})

it('a run that is known already gives nothing away', async () => {
  await using ledger = closing(await open())
  const { stand, told } = waiting(ledger)
  const known = newRun()
  await ledger.submit([known])
  await stand(channel())
  expect(await ledger.submit([{ ...known, id: 'again' }])).toEqual([{ outcome: 'duplicate', runId: known.id }])
  await stand()
  expect(told).toEqual([])
})

it('what has to wait for its turn is not leased, and what has it is', async () => {
  await using ledger = closing(await open())
  const { stand, ids } = waiting(ledger)
  await stand(channel())
  const turn = { series: 'onboard.crm', entity: 'ada', rule: 'hold' as const }
  const [first, second] = [newRun({ items: [newItem({ turn })] }), newRun({ items: [newItem({ turn })] })]
  const receipts = [...(await ledger.submit([first])), ...(await ledger.submit([second]))]
  await stand()
  expect(receipts.map(isLeased)).toEqual([true, undefined])
  expect(ids()).toEqual([idOf(first)])
  expect(await stateOf(ledger, idOf(second))).toBe('waiting')
})

it('what shares a commit with a run that cannot be stored is leased once, and the room is used once', async () => {
  await using ledger = closing(await open())
  const { stand, told, ids } = waiting(ledger)
  const known = newRun()
  await ledger.submit([known])
  await claim(ledger)
  await stand(channel({ limit: 4 }))
  const good = [newRun(), newRun(), newRun(), newRun(), newRun()]
  const runs = [...good.slice(0, 2), { ...newRun(), id: known.id }, ...good.slice(2)]
  const results = await Promise.allSettled(runs.map((run) => ledger.submit([run])))
  await stand()
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, true, true, true])
  expect(ids()).toEqual(good.slice(0, 4).map((run) => idOf(run)))
  expect(new Set(told.map(({ leaseUntilMs }) => leaseUntilMs))).toEqual(new Set([NOW_MS + LEASE_MS]))
  expect((await claim(ledger)).map(({ runId }) => runId)).toEqual([good[4]?.id])
})

it('what is rolled back is told to nobody, and leaves the room as it was', async () => {
  const path = sharedMemoryPath('standing claims')
  await using ledger = closing(await openSqliteLedger({ path, clock: impatientClock(NOW_MS) }))
  const { stand, ids } = waiting(ledger)
  await stand(channel({ limit: 1 }))
  using database = connect(path, { busyWaitMs: 0 })
  // The books are written after the leases.
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON tallies BEGIN SELECT RAISE(ABORT, 'not now'); END`)
  await expect(ledger.submit([newRun()])).rejects.toMatchObject({ code: 'store_failed' })
  database.exec('DROP TRIGGER refuse')
  const run = newRun()
  expect((await ledger.submit([run])).map(isLeased)).toEqual([true])
  await stand()
  expect(ids()).toEqual([idOf(run)])
})

it('a claim of the same turn comes before it', async () => {
  await using ledger = closing(await open())
  const { stand, told } = waiting(ledger)
  await stand(channel())
  const [receipts, claimed] = await Promise.all([ledger.submit([newRun()]), claim(ledger)])
  await stand()
  expect([claimed.length, told.length, receipts.map(isLeased)]).toEqual([1, 0, [undefined]])
})

it('it is told before whoever takes it back hears that, and after that nothing', async () => {
  await using ledger = closing(await open())
  const { stand, told } = waiting(ledger)
  await stand(channel())
  const submitted = ledger.submit([newRun()]).then(() => stand())
  await submitted
  expect(told).toHaveLength(1)
  await ledger.submit([newRun()])
  expect(told).toHaveLength(1)
})

it('ledgers that share a connection give to workers of each other, and settle what the other has leased', async () => {
  using store = openSharedStore()
  await using one = closing(store.connect(impatientClock(NOW_MS)))
  await using two = closing(store.connect(impatientClock(NOW_MS)))
  const { stand, told } = waiting(two)
  await stand(channel({ limit: 2 }))
  const [first, second] = [newRun(), newRun({ items: [newItem({ step: 'a' }), newItem({ step: 'b', after: ['a'] })] })]
  expect((await one.submit([first])).map(isLeased)).toEqual([true])
  expect((await one.submit([second])).map(isLeased)).toEqual([true])
  await stand()
  const items = told.flatMap((lease) => lease.items)
  expect(items.map(({ itemId }) => itemId)).toEqual([idOf(first), idOf(second)])
  for (const item of items) expect(await settle(two, item, SUCCEEDED)).toMatchObject({ outcome: 'settled' })
  expect(await stateOf(one, idOf(second, 'b'))).toBe('queued')
})

it('nothing is left waiting by a ledger that is closed', async () => {
  using store = openSharedStore()
  await using one = closing(store.connect(impatientClock(NOW_MS)))
  const two = store.connect(impatientClock(NOW_MS))
  await waiting(two).stand(channel())
  await two.close()
  expect((await one.submit([newRun()])).map(isLeased)).toEqual([undefined])
})

/** Audits and closes it at the end. */
function closing(ledger: Ledger): Ledger & AsyncDisposable {
  return {
    ...ledger,
    async [Symbol.asyncDispose]() {
      await expectAudited(ledger)
      await ledger.close()
    },
  }
}
