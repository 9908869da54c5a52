import { describe, expect } from 'vitest'
import { behaviour, claim, idOf, LANE, type MakeStore, newItem, newRun, START_MS } from './support.ts'

/** What workers share through the ledger: gates, suspensions, health. */
export function sharing(make: MakeStore): void {
  describe('lanes', () => {
    behaviour(make, 'D11: a gate only moves later, in whatever order it is told', async (test) => {
      const other = await test.another()
      await test.ledger.closeGates([{ lane: LANE, untilMs: START_MS + 500, reason: 'first' }])
      await other.closeGates([
        { lane: LANE, untilMs: START_MS + 900, reason: 'longer' },
        { lane: LANE, untilMs: START_MS + 700, reason: 'shorter' },
      ])
      await test.ledger.closeGates([{ lane: LANE, untilMs: START_MS + 100, reason: 'late' }])
      const [lane] = await test.ledger.lanes()
      expect(lane).toEqual({
        lane: LANE,
        gateUntilMs: START_MS + 900,
        gateReason: 'longer',
        suspended: undefined,
        processing: 0,
      })
    })

    behaviour(make, 'a gate opens by itself at its time, to the millisecond', async ({ ledger }) => {
      await ledger.submit([newRun()])
      await ledger.closeGates([{ lane: LANE, untilMs: START_MS + 900, reason: '429' }])
      expect(await claim(ledger, { nowMs: START_MS + 899 })).toEqual([])
      expect(await claim(ledger, { nowMs: START_MS + 900 })).toHaveLength(1)
    })

    behaviour(make, 'an operator opens a gate at once', async (test) => {
      await test.ledger.submit([newRun()])
      await test.ledger.closeGates([{ lane: LANE, untilMs: START_MS + 900, reason: '429' }])
      await test.ledger.openGates([LANE, 'no-such-lane'])
      expect(await test.ledger.lanes()).toMatchObject([{ lane: LANE, gateUntilMs: 0, gateReason: '' }])
      expect(await claim(await test.another())).toHaveLength(1)
    })

    behaviour(
      make,
      'D01: a suspended lane gives nothing until it is resumed, and opening its gate is not enough',
      async ({ ledger }) => {
        await ledger.submit([newRun()])
        await ledger.suspendLanes([{ lane: LANE, reason: '401', atMs: START_MS }])
        await ledger.suspendLanes([{ lane: LANE, reason: 'key revoked', atMs: START_MS + 5 }])
        await ledger.openGates([LANE])
        expect(await claim(ledger)).toEqual([])
        const [lane] = await ledger.lanes()
        expect(lane?.suspended).toEqual({ reason: 'key revoked', atMs: START_MS + 5 })
        await ledger.resumeLanes([LANE])
        expect((await ledger.lanes())[0]?.suspended).toBeUndefined()
        expect(await claim(ledger)).toHaveLength(1)
      },
    )

    behaviour(make, 'all lanes are listed: those with items, and those only gated or suspended', async ({ ledger }) => {
      await ledger.submit([newRun({ items: [newItem({ lane: 'b' })] })])
      await ledger.closeGates([{ lane: 'a', untilMs: START_MS, reason: 'r' }])
      await ledger.suspendLanes([{ lane: 'c', reason: 'r', atMs: START_MS }])
      expect((await ledger.lanes()).map((lane) => lane.lane).toSorted()).toEqual(['a', 'b', 'c'])
    })
  })

  describe('health', () => {
    behaviour(make, 'D16: a change applies only to the revision it was made from', async (test) => {
      const other = await test.another()
      const key = 'breaker:crm:POST /contacts'
      const [made] = await test.ledger.updateHealth([{ key, fromRevision: 0, state: { phase: 'open' } }], START_MS)
      if (!made?.applied) return expect.fail('a new record applies')
      const [late] = await other.updateHealth([{ key, fromRevision: 0, state: { phase: 'closed' } }], START_MS + 1)
      const current = { key, revision: made.revision, state: { phase: 'open' }, updatedAtMs: START_MS }
      expect(late).toEqual({ applied: false, key, current })
      const [next] = await other.updateHealth([{ key, fromRevision: made.revision, state: [1, null] }], START_MS + 2)
      expect(next).toMatchObject({ applied: true })
      const [stale] = await test.ledger.updateHealth([{ key, fromRevision: made.revision, state: 2 }], START_MS + 3)
      expect(stale).toMatchObject({ applied: false, current: { state: [1, null], updatedAtMs: START_MS + 2 } })
    })

    behaviour(make, 'a record that does not exist cannot be changed, only made', async ({ ledger }) => {
      const receipts = await ledger.updateHealth([{ key: 'k', fromRevision: 7, state: 1 }], START_MS)
      expect(receipts).toEqual([{ applied: false, key: 'k', current: undefined }])
    })

    behaviour(make, 'reading gives what changed since, and the newest revision', async (test) => {
      const { ledger } = test
      expect((await ledger.readHealth(0)).records).toEqual([])
      await ledger.updateHealth(
        [
          { key: 'a', fromRevision: 0, state: 1 },
          { key: 'b', fromRevision: 0, state: 2 },
        ],
        START_MS,
      )
      const first = await (await test.another()).readHealth(0)
      expect(first.records.map((record) => [record.key, record.state])).toEqual([
        ['a', 1],
        ['b', 2],
      ])
      const a = first.records[0] ?? expect.fail('a was made')
      await ledger.updateHealth([{ key: 'a', fromRevision: a.revision, state: 3 }], START_MS)
      const second = await ledger.readHealth(first.revision)
      expect(second.records.map((record) => [record.key, record.state])).toEqual([['a', 3]])
      expect(second.revision).toBeGreaterThan(first.revision)
      expect(await ledger.readHealth(second.revision)).toEqual({ records: [], revision: second.revision })
    })

    behaviour(make, 'of two who change the same revision at once, one applies', async (test) => {
      const other = await test.another()
      const change = { key: 'probe', fromRevision: 0, state: 'mine' }
      const receipts = await Promise.all([
        test.ledger.updateHealth([change], START_MS),
        other.updateHealth([change], START_MS),
      ])
      expect(receipts.map(([receipt]) => receipt?.applied).sort()).toEqual([false, true])
    })
  })

  describe('watch', () => {
    behaviour(make, 'hints that another connection made work due', async (test) => {
      const other = await test.another()
      const hinted = new Promise<void>((resolve) => {
        test.ledger.watch(() => resolve())
      })
      const run = newRun()
      await other.submit([run])
      await hinted
      expect(await test.ledger.item(idOf(run))).toBeDefined()
    })

    behaviour(make, 'is silent after it was disposed', async (test) => {
      const other = await test.another()
      let hints = 0
      const watching = test.ledger.watch(() => hints++)
      const still = new Promise<void>((resolve) => {
        test.ledger.watch(() => resolve())
      })
      watching[Symbol.dispose]()
      await other.submit([newRun()])
      await still
      expect(hints).toBe(0)
    })
  })
}
