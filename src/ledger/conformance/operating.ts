import { describe, expect } from 'vitest'
import {
  attempt,
  behaviour,
  chainRun,
  claim,
  claimOne,
  deadLettered,
  FACTS,
  FAILED_ATTEMPT,
  idOf,
  type MakeStore,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  stateOf,
  unknownOutcome,
  workOne,
} from './support.ts'

const BY = 'cli:ada'
const LATER_MS = START_MS + 3_600_000

/** What people, and the engine on their behalf, do to items. */
export function operating(make: MakeStore): void {
  describe('replay', () => {
    behaviour(
      make,
      'R057 R136 R137: the same item again: counters kept, a new budget, facts in the history',
      async ({ ledger }) => {
        const run = newRun()
        await ledger.submit([run])
        await workOne(ledger, deadLettered({}, LATER_MS), { attempt: FAILED_ATTEMPT, deferral: true })
        const order = { itemId: idOf(run), by: BY, dueAtMs: LATER_MS + 5 }
        const receipts = await ledger.replay([order], LATER_MS)
        expect(receipts).toEqual([{ outcome: 'done', itemId: idOf(run), state: 'queued' }])
        const item = await ledger.item(idOf(run))
        expect(item).toMatchObject({ state: 'queued', dueAtMs: LATER_MS + 5, deadLetter: undefined })
        expect(item?.operations).toMatchObject([{ what: 'replay', by: BY, atMs: LATER_MS }])
        expect(item?.operations[0]?.note).toContain(FACTS.summary)
        expect(item?.attempts).toHaveLength(1)
        expect(await claim(ledger, { nowMs: LATER_MS + 4 })).toEqual([])
        expect(await claimOne(ledger, { nowMs: LATER_MS + 5 })).toMatchObject({
          key: run.key,
          input: run.input,
          counters: { attempts: 1, deferrals: 1, crashes: 0, replays: 1 },
          attemptsBeforeBudget: 1,
          budgetFromMs: LATER_MS,
          createdAtMs: START_MS,
        })
      },
    )

    behaviour(
      make,
      'R136: an edited payload is sent from then on, and the original stays beside it',
      async ({ ledger }) => {
        const run = newRun({ input: '{"company":""}' })
        await ledger.submit([run])
        await workOne(ledger, deadLettered())
        const order = { itemId: idOf(run), by: BY, dueAtMs: START_MS }
        await ledger.replay([{ ...order, editedInput: '{"company":"Example"}' }], START_MS + 1)
        expect((await workOne(ledger, deadLettered())).input).toBe('{"company":"Example"}')
        await ledger.replay([order], START_MS + 2)
        expect((await workOne(ledger, deadLettered())).input).toBe('{"company":"Example"}')
        await ledger.replay([{ ...order, editedInput: '{"company":"Other"}' }], START_MS + 3)
        expect((await claimOne(ledger)).input).toBe('{"company":"Other"}')
        expect(await ledger.item(idOf(run))).toMatchObject({
          input: { company: '' },
          edits: [
            { input: { company: 'Example' }, by: BY, atMs: START_MS + 1, replay: 1 },
            { input: { company: 'Other' }, by: BY, atMs: START_MS + 3, replay: 3 },
          ],
        })
      },
    )

    behaviour(make, 'rule 3: an unknown outcome only on a word that it did not happen', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      await workOne(ledger, unknownOutcome())
      const order = { itemId: idOf(run), by: BY, dueAtMs: START_MS }
      expect(await ledger.replay([order], START_MS)).toMatchObject([{ outcome: 'refused', state: 'unknown_outcome' }])
      expect(await stateOf(ledger, idOf(run))).toBe('unknown_outcome')
      expect(await ledger.replay([{ ...order, knownNotApplied: true }], START_MS)).toMatchObject([{ outcome: 'done' }])
    })

    behaviour(make, 'nothing else is replayed; each order has its own receipt', async ({ ledger }) => {
      const [open, dead] = [newRun(), newRun()]
      await ledger.submit([dead])
      await workOne(ledger, deadLettered())
      await ledger.submit([open])
      const receipts = await ledger.replay(
        [idOf(open), 'no-such-run.crm', 'nonsense', idOf(dead), idOf(dead)].map((itemId) => ({
          itemId,
          by: BY,
          dueAtMs: START_MS,
        })),
        START_MS,
      )
      expect(receipts.map((receipt) => receipt.outcome)).toEqual([
        'refused',
        'not_found',
        'not_found',
        'done',
        'refused',
      ])
    })
  })

  describe('discard', () => {
    behaviour(make, 'ends an item with its reason, and what needs it', async ({ ledger }) => {
      const run = newRun({
        items: [
          newItem({ step: 'a' }),
          newItem({ step: 'b', after: ['a'] }),
          newItem({ step: 'c', after: ['b'] }),
          newItem({ step: 'd', dueAtMs: START_MS + 1 }),
        ],
      })
      await ledger.submit([run])
      await workOne(ledger, deadLettered())
      const receipts = await ledger.discard([{ itemId: idOf(run, 'a'), by: BY, reason: 'test data' }], LATER_MS)
      expect(receipts).toEqual([{ outcome: 'done', itemId: idOf(run, 'a'), state: 'discarded' }])
      const record = await ledger.run(run.id)
      expect(record?.items.map((item) => item.state)).toEqual(['discarded', 'discarded', 'discarded', 'queued'])
      expect(await ledger.item(idOf(run, 'a'))).toMatchObject({
        reason: 'test data',
        endedAtMs: LATER_MS,
        deadLetter: undefined,
        operations: [{ what: 'discard', by: BY, atMs: LATER_MS }],
      })
    })

    behaviour(make, 'an optional step that is discarded lets the rest go on', async ({ ledger }) => {
      const run = chainRun({}, { optional: true })
      await ledger.submit([run])
      await ledger.discard([{ itemId: idOf(run, 'a'), by: BY, reason: 'r' }], START_MS)
      expect(await stateOf(ledger, idOf(run, 'b'))).toBe('queued')
    })

    behaviour(make, 'works on whatever is not being processed and has not ended', async ({ ledger }) => {
      const held = [
        { state: 'queued', reason: 'r' },
        { state: 'retrying', dueAtMs: LATER_MS, reason: 'r' },
        { state: 'parked', dueAtMs: LATER_MS, reason: 'r' },
        unknownOutcome(),
        deadLettered(),
      ] as const
      const runs = held.map(() => newRun())
      await ledger.submit(runs)
      for (const [index, item] of (await claim(ledger)).entries()) {
        await settle(ledger, item, held[index] ?? expect.fail('all were due'))
      }
      const waiting = chainRun()
      await ledger.submit([waiting])
      const ids = [...runs.map((run) => idOf(run)), idOf(waiting, 'b')]
      const discard = ids.map((itemId) => ({ itemId, by: BY, reason: 'r' }))
      expect((await ledger.discard(discard, START_MS)).map(({ outcome }) => outcome)).toEqual(ids.map(() => 'done'))
      const again = await ledger.discard(discard, START_MS)
      expect(again.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'refused'))
      const busy = await claimOne(ledger)
      const order = { itemId: busy.itemId, by: BY, reason: 'r' }
      expect(await ledger.discard([order], START_MS)).toMatchObject([{ outcome: 'refused', state: 'processing' }])
    })
  })

  describe('cancel', () => {
    behaviour(make, 'ends what is not being processed, and what needs it', async ({ ledger }) => {
      const run = chainRun()
      await ledger.submit([run])
      const receipts = await ledger.cancel([{ itemId: idOf(run, 'a'), by: BY, reason: 'gave up' }], LATER_MS)
      expect(receipts).toEqual([{ outcome: 'done', itemId: idOf(run, 'a'), state: 'cancelled' }])
      expect((await ledger.run(run.id))?.items.map((item) => item.state)).toEqual(['cancelled', 'cancelled'])
    })

    behaviour(make, 'marks what is being processed, which then ends as cancelled', async (test) => {
      const run = newRun()
      await test.ledger.submit([run])
      const item = await claimOne(test.ledger)
      const order = { itemId: item.itemId, by: BY, reason: 'gave up' }
      const other = await test.another()
      expect(await other.cancel([order], START_MS)).toEqual([{ outcome: 'marked', itemId: item.itemId }])
      expect(await other.item(item.itemId)).toMatchObject({ state: 'processing', cancelRequested: true })
      const retry = { state: 'retrying', dueAtMs: LATER_MS, reason: '503' } as const
      expect(await settle(test.ledger, item, retry, { attempt: FAILED_ATTEMPT })).toEqual({
        outcome: 'settled',
        state: 'cancelled',
        queued: [],
      })
      expect(await other.item(item.itemId)).toMatchObject({
        state: 'cancelled',
        reason: 'gave up',
        dueAtMs: undefined,
        attempts: [{ outcome: 'failed' }],
        operations: [{ what: 'cancel', by: BY }],
      })
    })

    behaviour(make, 'does not undo a success', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const item = await claimOne(ledger)
      await ledger.cancel([{ itemId: item.itemId, by: BY, reason: 'late' }], START_MS)
      expect(await settle(ledger, item, SUCCEEDED, { attempt: attempt() })).toMatchObject({ state: 'succeeded' })
    })

    behaviour(make, 'is seen by whoever takes the item over', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const item = await claimOne(ledger)
      await ledger.cancel([{ itemId: item.itemId, by: BY, reason: 'gave up' }], START_MS)
      const [taken] = await ledger.reclaimExpired({ workerId: 'w', nowMs: LATER_MS, leaseUntilMs: LATER_MS, limit: 1 })
      expect(taken?.cancelRequested).toBe(true)
    })

    behaviour(make, 'is refused for what ended, and for what a person must decide', async ({ ledger }) => {
      const ends = [SUCCEEDED, deadLettered(), unknownOutcome()]
      const runs = ends.map(() => newRun())
      await ledger.submit(runs)
      for (const [index, item] of (await claim(ledger)).entries()) {
        await settle(ledger, item, ends[index] ?? expect.fail('all were due'))
      }
      const orders = runs.map((run) => ({ itemId: idOf(run), by: BY, reason: 'r' }))
      const receipts = await ledger.cancel(orders, START_MS)
      expect(receipts).toMatchObject(ends.map(({ state }) => ({ outcome: 'refused', state })))
    })
  })

  describe('resolve', () => {
    behaviour(make, 'R093: what a person saw happen has succeeded, and the run goes on', async ({ ledger }) => {
      const [unknown, dead] = [chainRun(), chainRun()]
      await ledger.submit([unknown, dead])
      const [first, second] = await claim(ledger)
      if (!first || !second) return expect.fail('two steps were due')
      await settle(ledger, first, unknownOutcome(), { attempt: FAILED_ATTEMPT })
      await settle(ledger, second, deadLettered())
      const orders = [unknown, dead].map((run) => ({
        itemId: idOf(run, 'a'),
        by: BY,
        output: '{"id":"9"}',
        externalId: '9',
        reason: 'seen in the CRM',
      }))
      const receipts = await ledger.resolve(orders, LATER_MS)
      expect(receipts).toMatchObject([
        { outcome: 'done', state: 'succeeded' },
        { outcome: 'done', state: 'succeeded' },
      ])
      expect(await ledger.item(idOf(unknown, 'a'))).toMatchObject({
        output: { id: '9' },
        externalId: '9',
        endedAtMs: LATER_MS,
        deadLetter: undefined,
        operations: [{ what: 'resolve', by: BY, atMs: LATER_MS }],
      })
      const next = await claim(ledger, { nowMs: LATER_MS })
      expect(next.map((item) => [item.step, item.outputs])).toEqual([
        ['b', { a: '{"id":"9"}' }],
        ['b', { a: '{"id":"9"}' }],
      ])
    })

    behaviour(make, 'is refused for anything else', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const order = { itemId: idOf(run), by: BY, output: 'null', reason: 'r' }
      expect(await ledger.resolve([order], START_MS)).toMatchObject([{ outcome: 'refused', state: 'queued' }])
    })
  })

  describe('wake', () => {
    behaviour(make, 'makes parked items due, by lane and endpoint, up to the limit', async ({ ledger }) => {
      const endpoints = ['one', 'one', 'one', 'two']
      await ledger.submit(endpoints.map((endpoint) => newRun({ items: [newItem({ endpoint })] })))
      for (const endpoint of ['one', 'two']) {
        for (const item of await claim(ledger, { endpoint })) {
          await settle(ledger, item, { state: 'parked', dueAtMs: LATER_MS, reason: 'breaker open' })
        }
      }
      const nowMs = START_MS + 10
      expect(await ledger.wake({ what: 'parked', endpoint: 'one', limit: 2 }, nowMs)).toBe(2)
      expect(await claim(ledger, { endpoint: 'one', nowMs })).toMatchObject([{ from: 'queued' }, { from: 'queued' }])
      expect(await claim(ledger, { endpoint: 'two', nowMs })).toEqual([])
      expect(await ledger.wake({ what: 'parked', lane: 'another lane', limit: 9 }, nowMs)).toBe(0)
      expect(await ledger.wake({ what: 'parked', limit: 9 }, nowMs)).toBe(2)
    })

    behaviour(
      make,
      'D23: makes dead letters of an outage due for the slow lane, and only those',
      async ({ ledger }) => {
        const ends = [
          deadLettered({ cause: 'outage' }, LATER_MS),
          deadLettered({ cause: 'data' }, LATER_MS),
          deadLettered({ cause: 'outage' }),
          { state: 'parked', dueAtMs: LATER_MS, reason: 'gate' },
        ] as const
        const runs = ends.map(() => newRun())
        await ledger.submit(runs)
        for (const [index, item] of (await claim(ledger)).entries()) {
          await settle(ledger, item, ends[index] ?? expect.fail('all were due'))
        }
        expect(await ledger.wake({ what: 'slow_lane', limit: 9 }, START_MS)).toBe(1)
        expect(await claimOne(ledger)).toMatchObject({ runId: runs[0]?.id, from: 'dead_lettered', slowLaneTries: 1 })
      },
    )
  })
}
