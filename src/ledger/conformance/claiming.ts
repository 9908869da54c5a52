import { describe, expect } from 'vitest'
import type { Ledger } from '../port.ts'
import {
  behaviour,
  channel,
  claim,
  claimOne,
  deadLettered,
  ENDPOINT,
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

export function claiming(make: MakeStore): void {
  describe('claim', () => {
    behaviour(make, 'gives everything a worker needs, and nothing before it is due', async ({ ledger }) => {
      const run = newRun({ labels: { team: 'emea' }, items: [newItem({ dueAtMs: START_MS + 1 })] })
      await ledger.submit([run])
      expect(await claim(ledger)).toEqual([])
      const item = await claimOne(ledger, { nowMs: START_MS + 1 })
      expect(item).toEqual({
        itemId: idOf(run),
        runId: run.id,
        tenant: run.tenant,
        token: 1,
        pipeline: run.pipeline,
        step: 'crm',
        lane: LANE,
        endpoint: ENDPOINT,
        key: run.key,
        from: 'queued',
        counters: { attempts: 0, deferrals: 0, crashes: 0, replays: 0 },
        attemptsBeforeBudget: 0,
        budgetFromMs: START_MS,
        slowLaneTries: 0,
        createdAtMs: START_MS,
        firstAttemptAtMs: START_MS + 1,
        lostAttemptStartedAtMs: undefined,
        input: run.input,
        outputs: {},
        labels: { team: 'emea' },
        correlationId: run.correlationId,
        lastFailure: undefined,
        memo: undefined,
        cancelRequested: false,
      })
    })

    behaviour(make, 'R091: the claim is on disk before the worker has it', async (test) => {
      const run = newRun()
      await test.ledger.submit([run])
      await claimOne(test.ledger, { workerId: 'worker-7' })
      const other = await test.another()
      expect(await other.item(idOf(run))).toMatchObject({
        state: 'processing',
        dueAtMs: undefined,
        firstAttemptAtMs: START_MS,
        lease: { workerId: 'worker-7', untilMs: START_MS + LEASE_MS, startedAtMs: START_MS },
      })
    })

    behaviour(make, 'R102: oldest due first, over all channels, and no more than asked for', async ({ ledger }) => {
      const dues = [5, 1, 4, 2, 3]
      const runs = dues.map((due) =>
        newRun({ items: [newItem({ dueAtMs: START_MS + due, endpoint: due % 2 === 0 ? 'even' : 'odd' })] }),
      )
      await ledger.submit(runs)
      const nowMs = START_MS + 100
      const request = { workerId: 'w', nowMs, leaseUntilMs: nowMs + 1 }
      const channels = [channel({ endpoint: 'even' }), channel({ endpoint: 'odd', limit: 2 })]
      const claimed = await ledger.claim({ ...request, channels })
      const order = claimed.map((item) => dues[runs.findIndex((run) => run.id === item.runId)])
      expect(order).toEqual([1, 2, 3, 4])
    })

    behaviour(
      make,
      'R102: items due at the same time come in the order in which they were accepted',
      async ({ ledger }) => {
        const runs = Array.from({ length: 5 }, () => newRun())
        await ledger.submit(runs)
        const claimed = [...(await claim(ledger, { limit: 2 })), ...(await claim(ledger, { limit: 3 }))]
        expect(claimed.map((item) => item.runId)).toEqual(runs.map((run) => run.id))
      },
    )

    behaviour(
      make,
      'D14: no lane has more leased than its concurrency, over all workers and endpoints',
      async (test) => {
        const endpoints = ['one', 'two']
        const runs = Array.from({ length: 10 }, (_, index) =>
          newRun({ items: [newItem({ endpoint: endpoints[index % 2] ?? '' })] }),
        )
        await test.ledger.submit(runs)
        const other = await test.another()
        const first = await claim(test.ledger, { endpoint: 'one', concurrency: 3, limit: 2 })
        const second = await claim(other, { endpoint: 'two', concurrency: 3, limit: 5 })
        expect([first.length, second.length]).toEqual([2, 1])
        expect(await claim(test.ledger, { endpoint: 'one', concurrency: 3 })).toEqual([])
        expect(await test.ledger.lanes()).toMatchObject([{ lane: LANE, processing: 3 }])
        await settle(test.ledger, first[0] ?? expect.fail('nothing was claimed'), SUCCEEDED)
        expect(await claim(other, { endpoint: 'one', concurrency: 3 })).toHaveLength(1)
      },
    )

    behaviour(make, 'R058: a lane that is full, gated or suspended does not hold up another', async ({ ledger }) => {
      const lanes = ['full', 'gated', 'suspended', 'free']
      await ledger.submit(lanes.map((lane) => newRun({ items: [newItem({ lane })] })))
      await ledger.closeGates([{ lane: 'gated', untilMs: START_MS + 1, reason: '429' }])
      await ledger.suspendLanes([{ lane: 'suspended', reason: 'credentials', atMs: START_MS }])
      const claimed = await ledger.claim({
        workerId: 'w',
        nowMs: START_MS,
        leaseUntilMs: START_MS + 1,
        channels: lanes.map((lane) => channel({ lane, concurrency: lane === 'full' ? 0 : 10 })),
      })
      expect(claimed.map((item) => item.lane)).toEqual(['free'])
    })

    behaviour(make, 'countDue: what is due in each channel, up to what was asked', async ({ ledger }) => {
      expect(await ledger.countDue([], START_MS)).toEqual([])
      for (const endpoint of ['one', 'one', 'one', 'two'])
        await ledger.submit([newRun({ items: [newItem({ endpoint })] })])
      await ledger.submit([newRun({ items: [newItem({ endpoint: 'two', dueAtMs: START_MS + 1 })] })])
      await claimOne(ledger, { endpoint: 'one', limit: 1 })
      const ask = (endpoint: string, atMost: number) => ({ lane: LANE, endpoint, atMost })
      const asked = [ask('two', 10), ask('one', 10), ask('one', 1), ask('never', 10)]
      expect(await ledger.countDue(asked, START_MS)).toEqual([1, 2, 1, 0])
      expect(await ledger.countDue(asked, START_MS + 1)).toEqual([2, 2, 1, 0])
    })

    behaviour(make, 'channels: what holds claimable items, with the earliest due time', async ({ ledger }) => {
      expect(await ledger.channels()).toEqual([])
      await ledger.submit([
        newRun({ items: [newItem({ endpoint: 'one', dueAtMs: START_MS + 9 })] }),
        newRun({ items: [newItem({ endpoint: 'one', dueAtMs: START_MS + 5 })] }),
        newRun({ items: [newItem({ endpoint: 'two' }), newItem({ step: 'b', endpoint: 'three', after: ['crm'] })] }),
      ])
      const channels = await ledger.channels()
      expect(channels.toSorted((a, b) => a.endpoint.localeCompare(b.endpoint))).toEqual([
        { lane: LANE, endpoint: 'one', earliestDueMs: START_MS + 5 },
        { lane: LANE, endpoint: 'two', earliestDueMs: START_MS },
      ])
      await claimOne(ledger, { endpoint: 'two' })
      expect(await ledger.channels()).toEqual([{ lane: LANE, endpoint: 'one', earliestDueMs: START_MS + 5 }])
    })

    behaviour(make, 'connections that race never claim the same item', async (test) => {
      const workers = [test.ledger, await test.another(), await test.another()]
      await test.ledger.submit(Array.from({ length: 60 }, () => newRun()))
      const drained = await Promise.all(workers.map((worker, index) => drain(worker, `worker-${index}`)))
      const claimed = drained.flat()
      expect(claimed).toHaveLength(60)
      expect(new Set(claimed).size).toBe(60)
    })

    behaviour(make, 'D23: whatever has a due time is claimable, and says where it comes from', async ({ ledger }) => {
      const nowMs = START_MS + 10
      const held = [
        { state: 'retrying', dueAtMs: nowMs, reason: 'http_503' },
        { state: 'parked', dueAtMs: nowMs, reason: 'breaker open' },
        unknownOutcome(nowMs),
        deadLettered({ cause: 'outage' }, nowMs),
      ] as const
      for (const to of held) {
        await ledger.submit([newRun()])
        await workOne(ledger, to, { memo: '{"looks":1}' })
      }
      expect(await claim(ledger, { nowMs: nowMs - 1 })).toEqual([])
      const claimed = await claim(ledger, { nowMs })
      expect(claimed.map((item) => [item.from, item.token, item.memo])).toEqual([
        ['retrying', 2, '{"looks":1}'],
        ['parked', 2, '{"looks":1}'],
        ['unknown_outcome', 2, '{"looks":1}'],
        ['dead_lettered', 2, '{"looks":1}'],
      ])
      expect(claimed.at(-1)?.slowLaneTries).toBe(1)
    })

    behaviour(make, 'what waits for a person is not claimed', async ({ ledger }) => {
      for (const to of [unknownOutcome(), deadLettered()]) {
        await ledger.submit([newRun()])
        await workOne(ledger, to)
      }
      expect(await claim(ledger, { nowMs: START_MS + 1e9 })).toEqual([])
    })

    behaviour(
      make,
      'R057: counters, the last failure and the first attempt travel with the item',
      async ({ ledger }) => {
        await ledger.submit([newRun()])
        await workOne(ledger, { state: 'parked', dueAtMs: START_MS, reason: 'gate' }, { deferral: true })
        await workOne(ledger, { state: 'retrying', dueAtMs: START_MS + 5, reason: '503' }, { attempt: FAILED_ATTEMPT })
        expect(await claimOne(ledger, { nowMs: START_MS + 5 })).toMatchObject({
          counters: { attempts: 1, deferrals: 1, crashes: 0, replays: 0 },
          lastFailure: FAILURE,
          firstAttemptAtMs: START_MS,
        })
      },
    )
  })

  describe('reclaimExpired', () => {
    behaviour(make, 'takes over what a dead worker held, and records its attempt as crashed', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const lost = await claimOne(ledger)
      const nowMs = START_MS + LEASE_MS
      const request = { workerId: 'worker-2', leaseUntilMs: nowMs + LEASE_MS, limit: 10 }
      expect(await ledger.reclaimExpired({ ...request, nowMs: nowMs - 1 })).toEqual([])
      const [taken] = await ledger.reclaimExpired({ ...request, nowMs })
      expect(taken).toMatchObject({
        itemId: lost.itemId,
        token: lost.token + 1,
        from: 'processing',
        lostAttemptStartedAtMs: START_MS,
        counters: { attempts: 0, crashes: 1 },
        input: run.input,
        lane: LANE,
        endpoint: ENDPOINT,
      })
      expect(await ledger.item(lost.itemId)).toMatchObject({
        state: 'processing',
        lease: { workerId: 'worker-2', untilMs: nowMs + LEASE_MS, startedAtMs: nowMs },
        counters: { attempts: 0, crashes: 1 },
        attempts: [{ number: 1, outcome: 'crashed', counts: false, startedAtMs: START_MS, endedAtMs: nowMs }],
      })
    })

    behaviour(make, 'one of two connections gets it, oldest lease first, up to the limit', async (test) => {
      const runs = [newRun(), newRun(), newRun()]
      await test.ledger.submit(runs)
      for (let index = 0; index < 3; index++) await claim(test.ledger, { nowMs: START_MS + index, limit: 1 })
      const other = await test.another()
      const nowMs = START_MS + LEASE_MS + 10
      const request = { workerId: 'w', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 2 }
      const taken = await Promise.all([test.ledger.reclaimExpired(request), other.reclaimExpired(request)])
      expect(taken.map((items) => items.length).sort()).toEqual([1, 2])
      const first = taken.find((items) => items.length === 2)
      expect(first?.map((item) => item.runId)).toEqual(runs.slice(0, 2).map((run) => run.id))
    })
  })

  describe('extendLeases', () => {
    behaviour(make, 'a renewed lease is not taken over; lost ones are named', async ({ ledger }) => {
      await ledger.submit([newRun(), newRun()])
      const [kept, settled] = await claim(ledger)
      if (!kept || !settled) return expect.fail('two items were due')
      await settle(ledger, settled, SUCCEEDED)
      const gone = { itemId: 'no-such-run.crm', tenant: 'default', token: 1 }
      const stale = { ...kept, token: kept.token + 1 }
      const lost = await ledger.extendLeases([kept, settled, gone, stale], START_MS + 2 * LEASE_MS)
      expect(lost.map((fence) => [fence.itemId, fence.token])).toEqual([
        [settled.itemId, settled.token],
        [gone.itemId, 1],
        [kept.itemId, stale.token],
      ])
      const nowMs = START_MS + LEASE_MS + 1
      expect(await ledger.reclaimExpired({ workerId: 'w', nowMs, leaseUntilMs: nowMs, limit: 9 })).toEqual([])
      expect(await stateOf(ledger, kept.itemId)).toBe('processing')
    })

    behaviour(make, 'of items that were claimed together, those that are not renewed are taken over', async (test) => {
      const { ledger } = test
      const runs = Array.from({ length: 4 }, () => newRun())
      await ledger.submit(runs)
      const claimed = await claim(ledger)
      const [kept, first, done, second] = claimed
      if (!kept || !first || !done || !second) return expect.fail('all four were due')
      expect(await ledger.extendLeases([kept, done, kept], START_MS + 2 * LEASE_MS)).toEqual([])
      expect((await settle(ledger, done, SUCCEEDED)).outcome).toBe('settled')
      const nowMs = START_MS + LEASE_MS
      const request = { workerId: 'worker-2', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 10 }
      const takenOver = await (await test.another()).reclaimExpired(request)
      expect(takenOver.map((item) => [item.itemId, item.token, item.lostAttemptStartedAtMs])).toEqual([
        [first.itemId, first.token + 1, START_MS],
        [second.itemId, second.token + 1, START_MS],
      ])
      expect((await ledger.item(first.itemId))?.lease).toEqual({
        workerId: 'worker-2',
        untilMs: nowMs + LEASE_MS,
        startedAtMs: nowMs,
      })
      expect((await ledger.item(kept.itemId))?.lease).toEqual({
        workerId: 'worker-1',
        untilMs: START_MS + 2 * LEASE_MS,
        startedAtMs: START_MS,
      })
      expect(await ledger.lanes()).toMatchObject([{ processing: 3 }])
      expect((await settle(ledger, first, SUCCEEDED)).outcome).toBe('lease_lost')
      expect((await settle(ledger, kept, SUCCEEDED)).outcome).toBe('settled')
      expect(await ledger.lanes()).toMatchObject([{ processing: 2 }])
    })

    behaviour(make, 'a renewal that arrives late does not shorten a lease', async ({ ledger }) => {
      await ledger.submit([newRun()])
      const item = await claimOne(ledger)
      await ledger.extendLeases([item], START_MS + 1)
      expect((await ledger.item(item.itemId))?.lease?.untilMs).toBe(START_MS + LEASE_MS)
    })
  })
}

async function drain(ledger: Ledger, workerId: string): Promise<string[]> {
  const ids: string[] = []
  for (;;) {
    const claimed = await claim(ledger, { limit: 4, workerId })
    if (claimed.length === 0) return ids
    for (const item of claimed) {
      ids.push(item.itemId)
      await settle(ledger, item, SUCCEEDED)
    }
  }
}
