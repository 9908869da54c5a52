import { describe, expect } from 'vitest'
import { ITEM_STATES } from '../../core/item-state.ts'
import type { Ledger } from '../port.ts'
import {
  behaviour,
  chainRun,
  claim,
  claimOne,
  deadLettered,
  FAILED_ATTEMPT,
  FAILURE,
  idOf,
  type MakeStore,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  stateOf,
  unknownOutcome,
  workOne,
} from './support.ts'

/** Keeping the books: balance, audit, retention, closing. */
export function keeping(make: MakeStore): void {
  describe('balance (rule 2)', () => {
    behaviour(make, 'an empty store balances, with every state at zero', async ({ ledger }) => {
      const states = Object.fromEntries(ITEM_STATES.map((state) => [state, 0]))
      expect(await ledger.balance({})).toEqual({ accepted: 0, states, needsPerson: 0, balanced: true })
    })

    behaviour(make, 'for the whole, a batch, a pipeline and labels', async (test) => {
      const { ledger } = test
      await ledger.submit([
        newRun({ batch: 'file-1', pipeline: 'p1', labels: { team: 'emea' } }),
        newRun({ batch: 'file-1', pipeline: 'p2' }),
        chainRun({ batch: 'file-2', pipeline: 'p1', labels: { team: 'emea', tier: 'gold' } }),
      ])
      const [first] = await claim(ledger)
      await settle(ledger, first ?? expect.fail('it was due'), SUCCEEDED)
      const other = await test.another()
      const whole = { waiting: 1, processing: 2, succeeded: 1 }
      expect(await other.balance({})).toMatchObject({ accepted: 4, states: whole, balanced: true })
      expect(await other.balance({ batch: 'file-1' })).toMatchObject({
        accepted: 2,
        states: { processing: 1, succeeded: 1, waiting: 0 },
        balanced: true,
      })
      expect(await other.balance({ pipeline: 'p1' })).toMatchObject({ accepted: 3, balanced: true })
      expect(await other.balance({ pipeline: 'p1', batch: 'file-2' })).toMatchObject({ accepted: 2 })
      expect(await other.balance({ labels: { team: 'emea' } })).toMatchObject({
        accepted: 3,
        states: { processing: 1, succeeded: 1, waiting: 1 },
        balanced: true,
      })
      expect(await other.balance({ labels: { team: 'emea', tier: 'gold' } })).toMatchObject({ accepted: 2 })
      expect(await other.balance({ batch: 'no such' })).toMatchObject({ accepted: 0, balanced: true })
    })

    behaviour(make, 'counts what needs a person', async ({ ledger }) => {
      const ends = [deadLettered(), deadLettered({ cause: 'outage' }, START_MS + 9), unknownOutcome()]
      await ledger.submit(ends.map(() => newRun({ batch: 'file-1', labels: { a: 'b' } })))
      for (const [index, item] of (await claim(ledger)).entries()) {
        await settle(ledger, item, ends[index] ?? expect.fail('all were due'))
      }
      for (const filter of [{}, { batch: 'file-1' }, { labels: { a: 'b' } }]) {
        expect((await ledger.balance(filter)).needsPerson).toBe(2)
      }
    })

    behaviour(make, 'duplicates and conflicts are not counted', async ({ ledger }) => {
      await ledger.submit([newRun({ key: 'k' }), newRun({ key: 'k' }), newRun({ key: 'k', inputFingerprint: 'x' })])
      expect(await ledger.balance({})).toMatchObject({ accepted: 1, states: { queued: 1 } })
    })
  })

  describe('audit', () => {
    behaviour(
      make,
      'strikes the balance from the rows, whole and per batch, and names its checks',
      async ({ ledger }) => {
        await ledger.submit([newRun({ batch: 'one' }), newRun({ batch: 'two' }), chainRun({ batch: 'two' })])
        await settle(ledger, await claimOne(ledger, { limit: 1 }), deadLettered())
        const report = await ledger.audit()
        expect(report.balance).toEqual(await ledger.balance({}))
        expect(report.batches.toSorted((a, b) => a.batch.localeCompare(b.batch))).toEqual([
          { batch: 'one', ...(await ledger.balance({ batch: 'one' })) },
          { batch: 'two', ...(await ledger.balance({ batch: 'two' })) },
        ])
        expect(report.checks.length).toBeGreaterThan(10)
        for (const check of report.checks) expect(check).toMatchObject({ violations: 0, examples: [] })
      },
    )

    behaviour(make, 'is a snapshot: work goes on beside it', async (test) => {
      const { ledger } = test
      await ledger.submit(Array.from({ length: 300 }, () => newRun()))
      const other = await test.another()
      const report = other.audit()
      const [first] = await claim(ledger, { limit: 1 })
      await settle(ledger, first ?? expect.fail('it was due'), SUCCEEDED)
      expect((await report).balanced).toBe(true)
    })
  })

  describe('retain', () => {
    const ENDED_BEFORE_MS = START_MS + 1000
    const request = { endedBeforeMs: ENDED_BEFORE_MS, nowMs: START_MS + 2000, limit: 100 }

    behaviour(make, 'forgets runs that ended, and keeps their counts', async ({ ledger }) => {
      const runs = [newRun({ batch: 'file-1' }), newRun({ batch: 'file-1' })]
      await ledger.submit(runs)
      await settle(ledger, await claimOne(ledger, { limit: 1 }), SUCCEEDED, { nowMs: ENDED_BEFORE_MS - 1 })
      const before = await ledger.balance({ batch: 'file-1' })
      expect(await ledger.retain(request)).toEqual({ runs: 1, effects: 0 })
      expect(await ledger.run(runs[0]?.id ?? '')).toBeUndefined()
      expect(await ledger.item(idOf(runs[0] ?? expect.fail('it was made')))).toBeUndefined()
      expect(await ledger.run(runs[1]?.id ?? '')).toBeDefined()
      expect(await ledger.balance({ batch: 'file-1' })).toEqual(before)
      expect((await ledger.audit()).balance).toMatchObject({ accepted: 2, states: { succeeded: 1, queued: 1 } })
    })

    behaviour(make, 'keeps a run as long as one of its items has not ended, or ended later', async ({ ledger }) => {
      const [open, late] = [chainRun(), newRun()]
      await ledger.submit([open, late])
      const [a, crm] = await claim(ledger)
      if (!a || !crm) return expect.fail('two items were due')
      await settle(ledger, a, SUCCEEDED)
      await settle(ledger, crm, SUCCEEDED, { nowMs: ENDED_BEFORE_MS })
      expect(await ledger.retain(request)).toEqual({ runs: 0, effects: 0 })
      await workOne(ledger, deadLettered())
      expect(await ledger.retain(request)).toEqual({ runs: 0, effects: 0 })
      expect(await stateOf(ledger, idOf(open, 'b'))).toBe('dead_lettered')
    })

    behaviour(make, 'does no more than its limit at a time', async ({ ledger }) => {
      await ledger.submit(Array.from({ length: 5 }, () => newRun()))
      for (const item of await claim(ledger)) await settle(ledger, item, SUCCEEDED)
      const counts: number[] = []
      for (let turn = 0; turn < 4; turn++) counts.push((await ledger.retain({ ...request, limit: 2 })).runs)
      expect(counts).toEqual([2, 2, 1, 0])
      expect(await ledger.balance({})).toMatchObject({ accepted: 5, states: { succeeded: 5 }, balanced: true })
    })

    behaviour(make, 'D19: forgets effects whose time is over, and no others', async ({ ledger }) => {
      const effect = { tenant: 'default', fingerprint: 'f', owner: 'o', reservedUntilMs: START_MS }
      await ledger.beginEffects(
        [
          { ...effect, key: 'old', keepUntilMs: request.nowMs },
          { ...effect, key: 'new', keepUntilMs: request.nowMs + 1 },
        ],
        START_MS,
      )
      expect(await ledger.retain(request)).toEqual({ runs: 0, effects: 1 })
      const begun = ['old', 'new'].map((key) => ({ ...effect, key, owner: 'other', keepUntilMs: request.nowMs + 9 }))
      const receipts = await ledger.beginEffects(begun, request.nowMs)
      expect(receipts.map((receipt) => receipt.outcome)).toEqual(['started', 'unknown'])
    })

    behaviour(make, 'what is forgotten takes nothing from the history of what is kept', async (test) => {
      const [first, second] = [test.ledger, await test.another()]
      const endOne = async (ledger: Ledger, nowMs: number): Promise<string> => {
        await ledger.submit([newRun({ createdAtMs: START_MS })])
        const [item] = await claim(ledger, { nowMs })
        if (!item) return expect.fail('it was due')
        await settle(ledger, item, { state: 'skipped', reason: 'r' }, { attempt: FAILED_ATTEMPT, nowMs })
        return item.itemId
      }
      const failuresOf = async (id: string) => (await first.item(id))?.attempts.map((each) => each.failure)
      const early = await endOne(first, START_MS)
      const late = await endOne(first, START_MS + 1000)
      await second.retain({ endedBeforeMs: START_MS + 500, nowMs: START_MS, limit: 10 })
      expect(await failuresOf(early)).toBeUndefined()
      expect(await failuresOf(late)).toEqual([FAILURE])
      await second.retain({ endedBeforeMs: START_MS + 1500, nowMs: START_MS, limit: 10 })
      expect(await failuresOf(late)).toBeUndefined()
      expect(await failuresOf(await endOne(first, START_MS))).toEqual([FAILURE])
    })

    behaviour(make, 'a key that was forgotten is new again', async ({ ledger }) => {
      await ledger.submit([newRun({ key: 'ada' })])
      await workOne(ledger, SUCCEEDED)
      await ledger.retain(request)
      expect(await ledger.submit([newRun({ key: 'ada' })])).toMatchObject([{ outcome: 'accepted' }])
    })
  })

  describe('close', () => {
    behaviour(make, 'rule 1: writes what was asked for first; is idempotent; refuses more', async (test) => {
      const run = newRun()
      const submitting = test.ledger.submit([run])
      await Promise.all([test.ledger.close(), test.ledger.close()])
      expect(await submitting).toEqual([{ outcome: 'accepted', runId: run.id }])
      await test.ledger.close()
      const refused = { code: 'store_closed' }
      await expect(test.ledger.submit([newRun()])).rejects.toMatchObject(refused)
      await expect(test.ledger.balance({})).rejects.toMatchObject(refused)
      await expect(test.ledger.audit()).rejects.toMatchObject(refused)
      const later = await test.another()
      expect(await later.run(run.id)).toBeDefined()
    })
  })
}
