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
  FAILURE,
  idOf,
  LANE,
  LEASE_MS,
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

export function settling(make: MakeStore): void {
  describe('settle', () => {
    behaviour(make, 'R118: the result, the attempt and the state, together', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const nowMs = START_MS + 250
      const item = await claimOne(ledger)
      const receipt = await settle(
        ledger,
        item,
        { state: 'succeeded', output: '{"id":"42"}', externalId: '42', note: 'already there' },
        { attempt: attempt({ status: 201, idempotencyKey: 'k-1', note: 'n' }), nowMs },
      )
      expect(receipt).toEqual({ outcome: 'settled', state: 'succeeded', queued: [] })
      expect(await ledger.item(idOf(run))).toMatchObject({
        state: 'succeeded',
        reason: 'already there',
        output: { id: '42' },
        externalId: '42',
        endedAtMs: nowMs,
        updatedAtMs: nowMs,
        lease: undefined,
        deadLetter: undefined,
        counters: { attempts: 1, deferrals: 0, crashes: 0, replays: 0 },
        attempts: [{ number: 1, status: 201, idempotencyKey: 'k-1', note: 'n', counts: true, outcome: 'succeeded' }],
      })
    })

    behaviour(
      make,
      'R057: each attempt is kept with all that is known of it, whatever its kind',
      async ({ ledger }) => {
        const attempts = [
          FAILED_ATTEMPT,
          attempt({ outcome: 'not_found', counts: false, note: 'looked for it' }),
          attempt({ startedAtMs: START_MS + 20, endedAtMs: START_MS + 31, status: 201, idempotencyKey: 'k-1' }),
          attempt({ startedAtMs: START_MS + 5 }),
          attempt({ outcome: 'reconciled', counts: false, status: 200 }),
          attempt({ note: 'a remark' }),
          attempt({ outcome: 'succeeded', failure: FAILURE }),
        ]
        for (const [index, last] of attempts.entries()) {
          await ledger.submit([newRun()])
          const again = { state: 'retrying', dueAtMs: START_MS, reason: 'r' } as const
          await workOne(ledger, again, { attempt: FAILED_ATTEMPT })
          const { itemId } = await workOne(ledger, SUCCEEDED, { attempt: last })
          const item = await ledger.item(itemId)
          expect(item?.attempts, `attempt ${index}`).toEqual([
            { number: 1, ...FAILED_ATTEMPT },
            { number: 2, ...last },
          ])
          expect(item?.counters.attempts).toBe(last.counts ? 2 : 1)
        }
      },
    )

    behaviour(make, 'every state a claim may end in, with its due time', async ({ ledger }) => {
      const dueAtMs = START_MS + 1234
      const ends = [
        [{ state: 'skipped', reason: 'nothing to do' }, undefined],
        [{ state: 'cancelled', reason: 'given up' }, undefined],
        [{ state: 'queued', reason: 'given back' }, START_MS],
        [{ state: 'retrying', dueAtMs, reason: '503' }, dueAtMs],
        [{ state: 'parked', dueAtMs, reason: 'gate' }, dueAtMs],
        [unknownOutcome(), undefined],
        [unknownOutcome(dueAtMs), dueAtMs],
        [deadLettered(), undefined],
        [deadLettered({}, dueAtMs), dueAtMs],
      ] as const
      const runs = ends.map(() => newRun())
      await ledger.submit(runs)
      const claimed = await claim(ledger)
      for (const [index, [to, expectedDueAtMs]] of ends.entries()) {
        const item = claimed[index] ?? expect.fail('all were due')
        expect(await settle(ledger, item, to)).toEqual({ outcome: 'settled', state: to.state, queued: [] })
        expect(await ledger.item(item.itemId)).toMatchObject({
          state: to.state,
          reason: 'reason' in to ? to.reason : undefined,
          dueAtMs: expectedDueAtMs,
          lease: undefined,
        })
      }
    })

    behaviour(make, 'D14: what was not tried uses no attempt; a look is recorded and uses none', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const retry = { state: 'retrying', dueAtMs: START_MS, reason: 'r' } as const
      await workOne(ledger, { state: 'parked', dueAtMs: START_MS, reason: 'gate' }, { deferral: true })
      await workOne(ledger, retry, { attempt: FAILED_ATTEMPT })
      await workOne(ledger, retry, { attempt: attempt({ outcome: 'not_found', counts: false }) })
      await workOne(ledger, retry, { attempt: FAILED_ATTEMPT })
      const item = await ledger.item(idOf(run))
      expect(item?.counters).toEqual({ attempts: 2, deferrals: 1, crashes: 0, replays: 0 })
      expect(item?.attempts.map(({ number, outcome, counts }) => [number, outcome, counts])).toEqual([
        [1, 'failed', true],
        [2, 'not_found', false],
        [3, 'failed', true],
      ])
      expect(item?.attempts[0]?.failure).toEqual(FAILURE)
    })

    behaviour(make, 'the memo is kept, replaced or cleared', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const again = { state: 'queued', reason: 'again' } as const
      await workOne(ledger, again, { memo: '{"looks":1}' })
      expect((await workOne(ledger, again)).memo).toBe('{"looks":1}')
      expect((await workOne(ledger, again, { memo: null })).memo).toBe('{"looks":1}')
      expect((await workOne(ledger, SUCCEEDED)).memo).toBeUndefined()
    })

    behaviour(make, 'the gate closes with the settlement that saw the 429', async ({ ledger }) => {
      await ledger.submit([newRun(), newRun()])
      const untilMs = START_MS + 5000
      const item = await claimOne(ledger, { limit: 1 })
      await settle(
        ledger,
        item,
        { state: 'parked', dueAtMs: untilMs, reason: '429' },
        { gate: { lane: LANE, untilMs, reason: '429' } },
      )
      expect(await claim(ledger, { nowMs: untilMs - 1 })).toEqual([])
      expect(await claim(ledger, { nowMs: untilMs })).toHaveLength(2)
    })

    behaviour(
      make,
      'a dead letter carries its facts and since when; a success after it clears them',
      async ({ ledger }) => {
        const run = newRun()
        await ledger.submit([run])
        await workOne(ledger, deadLettered({ cause: 'outage' }, START_MS + 50))
        const facts = { ...FACTS, cause: 'outage', sinceMs: START_MS }
        expect((await ledger.item(idOf(run)))?.deadLetter).toEqual(facts)
        const again = await claimOne(ledger, { nowMs: START_MS + 50 })
        await settle(ledger, again, deadLettered({ cause: 'outage' }, START_MS + 90), { nowMs: START_MS + 60 })
        expect((await ledger.item(idOf(run)))?.deadLetter).toEqual(facts)
        await settle(ledger, await claimOne(ledger, { nowMs: START_MS + 90 }), SUCCEEDED)
        expect(await ledger.item(idOf(run))).toMatchObject({ state: 'succeeded', deadLetter: undefined })
      },
    )
  })

  describe('settle is fenced (rule 6)', () => {
    behaviour(make, 'a worker that lost its lease changes nothing', async (test) => {
      const run = chainRun()
      await test.ledger.submit([run])
      const zombie = await claimOne(test.ledger)
      const nowMs = START_MS + LEASE_MS
      const other = await test.another()
      const [taken] = await other.reclaimExpired({ workerId: 'w2', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 1 })
      const before = await other.item(idOf(run, 'a'))
      const receipt = await settle(test.ledger, zombie, SUCCEEDED, {
        attempt: attempt(),
        deferral: true,
        memo: '"zombie"',
        gate: { lane: LANE, untilMs: nowMs + 1e6, reason: 'zombie' },
      })
      expect(receipt).toEqual({ outcome: 'lease_lost' })
      expect(await other.item(idOf(run, 'a'))).toEqual(before)
      expect(await stateOf(other, idOf(run, 'b'))).toBe('waiting')
      expect(await other.lanes()).toMatchObject([{ gateUntilMs: 0 }])
      expect(await settle(other, taken ?? expect.fail('nothing was taken over'), SUCCEEDED)).toMatchObject({
        outcome: 'settled',
      })
    })

    behaviour(make, 'settling twice counts once', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const item = await claimOne(ledger)
      const receipts = await Promise.all([
        settle(ledger, item, SUCCEEDED, { attempt: attempt() }),
        settle(ledger, item, deadLettered(), { attempt: FAILED_ATTEMPT }),
      ])
      expect(receipts).toMatchObject([{ outcome: 'settled' }, { outcome: 'lease_lost' }])
      expect((await ledger.item(item.itemId))?.attempts).toHaveLength(1)
    })

    behaviour(make, 'tokens grow with each claim and are not used again', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const back = { state: 'queued', reason: 'given back' } as const
      const tokens = [(await workOne(ledger, back)).token, (await workOne(ledger, back)).token]
      const third = await claimOne(ledger)
      expect([...tokens, third.token]).toEqual([1, 2, 3])
      expect(await settle(ledger, { ...third, token: 2 }, SUCCEEDED)).toEqual({ outcome: 'lease_lost' })
    })

    behaviour(make, 'unknown items are lost leases, not errors', async ({ ledger }) => {
      for (const itemId of ['nothing', 'no-such-run.crm']) {
        const fence = { itemId, tenant: 'default', token: 1 }
        expect(await settle(ledger, fence, SUCCEEDED)).toEqual({ outcome: 'lease_lost' })
      }
    })

    behaviour(make, 'an expired lease that nobody took over still counts', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const item = await claimOne(ledger)
      expect(await settle(ledger, item, SUCCEEDED, { nowMs: START_MS + 10 * LEASE_MS })).toMatchObject({
        outcome: 'settled',
      })
    })
  })

  describe('settle queues what follows (rule 5)', () => {
    behaviour(make, 'R114: the next step is queued with the outputs it needs', async ({ ledger }) => {
      const run = newRun({
        items: [
          newItem({ step: 'enrich' }),
          newItem({ step: 'score' }),
          newItem({ step: 'crm', after: ['enrich', 'score'] }),
          newItem({ step: 'mail', after: ['crm'] }),
        ],
      })
      await ledger.submit([run])
      const [enrich, score] = await claim(ledger)
      if (!enrich || !score) return expect.fail('two steps were due')
      const first = await settle(ledger, enrich, { state: 'succeeded', output: '{"size":10}' })
      expect(first).toMatchObject({ queued: [] })
      const nowMs = START_MS + 40
      const second = await settle(ledger, score, { state: 'succeeded', output: '7' }, { nowMs })
      expect(second).toEqual({ outcome: 'settled', state: 'succeeded', queued: [idOf(run, 'crm')] })
      const crm = await claimOne(ledger, { nowMs })
      expect(crm).toMatchObject({ step: 'crm', from: 'queued', outputs: { enrich: '{"size":10}', score: '7' } })
      expect(await stateOf(ledger, idOf(run, 'mail'))).toBe('waiting')
    })

    behaviour(make, 'a step that asked to start later does so', async ({ ledger }) => {
      const dueAtMs = START_MS + 60_000
      const items = [newItem({ step: 'a' }), newItem({ step: 'b', after: ['a'], dueAtMs })]
      await ledger.submit([newRun({ items })])
      await workOne(ledger, SUCCEEDED)
      expect(await ledger.channels()).toMatchObject([{ earliestDueMs: dueAtMs }])
    })

    behaviour(make, 'a skipped step lets the next go on, without an output', async ({ ledger }) => {
      await ledger.submit([chainRun()])
      await workOne(ledger, { state: 'skipped', reason: 'nothing to do' })
      expect(await claimOne(ledger)).toMatchObject({ step: 'b', outputs: {} })
    })

    behaviour(make, 'R130: a dead letter keeps what follows waiting, until it succeeds', async ({ ledger }) => {
      const run = chainRun()
      await ledger.submit([run])
      await workOne(ledger, deadLettered())
      expect(await stateOf(ledger, idOf(run, 'b'))).toBe('waiting')
      await ledger.replay([{ itemId: idOf(run, 'a'), by: 'cli:ada', dueAtMs: START_MS }], START_MS)
      await workOne(ledger, SUCCEEDED)
      expect(await claimOne(ledger)).toMatchObject({ step: 'b' })
    })

    behaviour(make, 'an optional step that fails for good degrades the run, and only once', async ({ ledger }) => {
      const run = newRun({
        items: [
          newItem({ step: 'enrich', optional: true }),
          newItem({ step: 'score' }),
          newItem({ step: 'crm', after: ['enrich', 'score'] }),
        ],
      })
      await ledger.submit([run])
      const [enrich, score] = await claim(ledger)
      if (!enrich || !score) return expect.fail('two steps were due')
      await settle(ledger, enrich, deadLettered())
      // Replayed before the other is done: it must not count for two.
      await ledger.replay([{ itemId: enrich.itemId, by: 'cli:ada', dueAtMs: START_MS }], START_MS)
      await workOne(ledger, SUCCEEDED)
      expect(await stateOf(ledger, idOf(run, 'crm'))).toBe('waiting')
      expect(await settle(ledger, score, SUCCEEDED)).toMatchObject({ queued: [idOf(run, 'crm')] })
    })

    behaviour(make, 'cancelling a step cancels what needs it, all the way down', async ({ ledger }) => {
      const run = newRun({
        items: [
          newItem({ step: 'a' }),
          newItem({ step: 'b', after: ['a'] }),
          newItem({ step: 'c', after: ['b'] }),
          newItem({ step: 'other' }),
        ],
      })
      await ledger.submit([run])
      const [a] = await claim(ledger, { limit: 1 })
      await settle(ledger, a ?? expect.fail('a was due'), { state: 'cancelled', reason: 'the caller gave up' })
      const items = (await ledger.run(run.id))?.items
      expect(items?.map((item) => [item.step, item.state])).toEqual([
        ['a', 'cancelled'],
        ['b', 'cancelled'],
        ['c', 'cancelled'],
        ['other', 'queued'],
      ])
      expect(items?.[2]?.reason).toContain('"a"')
    })
  })
}
