import { describe, expect } from 'vitest'
import type { ClaimChannel, ClaimedItem, Ledger, NewRun, StandingLease } from '../port.ts'
import {
  behaviour,
  channel,
  claim,
  claimOne,
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
  type TestContext,
} from './support.ts'

/** Whatever the clock of the ledger shows, which goes by it when nobody tells the time. */
const PAST_MS = START_MS - 3_600_000
const FAR_MS = START_MS + 1e12
/** Nothing is promised of one submit: the ledger may be busy with something else. Of so many one must be leased. */
const MOST_TRIES = 50

export function standing(make: MakeStore): void {
  describe('standClaim', () => {
    behaviour(make, 'what is submitted is leased to it, and it is told once, all that a claim brings', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel()])
      const odd = 'ü 漢 🙂 \u0000 \ud800 " \\ \u2028'
      const { run, item, lease } = await submitLeased(worker, () =>
        lone({
          tenant: 'acme',
          batch: 'spring',
          labels: { team: odd, 'a "b"': '' },
          input: JSON.stringify({ [odd]: odd }),
        }),
      )
      expect(lease.items).toEqual([item])
      expect(item).toMatchObject({
        ...{
          itemId: idOf(run),
          runId: run.id,
          tenant: 'acme',
          token: 1,
          pipeline: run.pipeline,
          step: 'crm',
          key: run.id,
        },
        ...{ lane: channel().lane, endpoint: channel().endpoint, from: 'queued', correlationId: run.correlationId },
        ...{
          counters: { attempts: 0, deferrals: 0, crashes: 0, replays: 0 },
          budgetFromMs: PAST_MS,
          createdAtMs: PAST_MS,
        },
        ...{
          lostAttemptStartedAtMs: undefined,
          firstAttemptAtMs: lease.leaseUntilMs - LEASE_MS,
          cancelRequested: false,
        },
      })
      const [startedAtMs, untilMs] = [lease.leaseUntilMs - LEASE_MS, lease.leaseUntilMs]
      const other = await test.another()
      expect(await other.item(item.itemId)).toMatchObject({
        ...{ state: 'processing', dueAtMs: undefined, firstAttemptAtMs: startedAtMs },
        lease: { workerId: worker.id, untilMs, startedAtMs },
      })
      // Given back, it comes again by a claim: in the same words.
      await worker.stand([])
      await settle(other, item, { state: 'queued', reason: 'given back' }, { nowMs: PAST_MS })
      expect(await claimOne(other)).toEqual({ ...item, token: 2 })
      expect(worker.told).toEqual([lease])
    })

    behaviour(make, 'what it is leased is nobody else’s, and is settled like any other', async (test) => {
      const worker = await waitingWorker(test)
      const other = await test.another()
      await worker.stand([channel()])
      const first = await submitLeased(worker)
      const second = await submitLeased(worker)
      expect([...(await claim(test.ledger)), ...(await claim(other))]).toEqual([])
      expect(await settle(test.ledger, first.item, SUCCEEDED)).toMatchObject({ outcome: 'settled', state: 'succeeded' })
      expect(await settle(other, second.item, SUCCEEDED)).toMatchObject({ outcome: 'settled', state: 'succeeded' })
      expect(await settle(test.ledger, first.item, SUCCEEDED)).toEqual({ outcome: 'lease_lost' })
      expect(await test.ledger.lanes()).toMatchObject([{ lane: LANE, processing: 0 }, {}])
    })

    behaviour(make, 'what it never hears of is taken over when its lease ends', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel()])
      const { item, lease } = await submitLeased(worker)
      const renewedMs = lease.leaseUntilMs + 1000
      expect(await test.ledger.extendLeases([item], renewedMs)).toEqual([])
      const other = await test.another()
      const take = (nowMs: number) =>
        other.reclaimExpired({ workerId: 'other', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 10 })
      expect(await take(lease.leaseUntilMs)).toEqual([])
      expect(await take(renewedMs)).toMatchObject([
        {
          ...{ itemId: item.itemId, token: 2, from: 'processing', input: item.input },
          ...{ counters: { attempts: 0, crashes: 1 }, lostAttemptStartedAtMs: lease.leaseUntilMs - LEASE_MS },
        },
      ])
      expect(await settle(test.ledger, item, SUCCEEDED)).toEqual({ outcome: 'lease_lost' })
    })

    behaviour(make, 'it gets no more than it asks for, for as long as it stands', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel({ limit: 3 })])
      const leased = await submitMany(worker, 12)
      expect(leased.length).toBeGreaterThan(0)
      expect(leased.length).toBeLessThanOrEqual(3)
      // What was settled meanwhile makes no room: it says how much it takes, and nobody else knows.
      for (const item of leased) await settle(test.ledger, item, SUCCEEDED)
      expect(leased.length + (await submitMany(worker, 12)).length).toBeLessThanOrEqual(3)
      await takeAway(test.ledger)
      await worker.stand([channel({ limit: 1 })])
      await submitLeased(worker)
      expect(await submitMany(worker, 3)).toEqual([])
    })

    behaviour(make, 'of two that wait, each item goes to one', async (test) => {
      const one = await waitingWorker(test)
      const two = { ...one, ...createWorker(test.ledger, 'two') }
      await one.stand([channel({ limit: 2 })])
      await two.stand([channel({ limit: 2 })])
      const leased = [one, two].flatMap(({ told }) => told)
      expect(leased).toEqual([])
      for (let index = 0; index < 20; index++) {
        const run = lone()
        const isLeased = await submitAlone(test.ledger, run)
        const item = isLeased ? await Promise.race([one.itemOf(run.id), two.itemOf(run.id)]) : undefined
        expect((await test.ledger.item(idOf(run)))?.lease?.workerId).toBe(item && ownerOf([one, two], item))
      }
      expect(itemsOf(one).length).toBeLessThanOrEqual(2)
      expect(itemsOf(two).length).toBeLessThanOrEqual(2)
      expect(itemsOf(one).length + itemsOf(two).length).toBeGreaterThan(0)
    })

    behaviour(make, 'one that has ended, was replaced or was taken back gets nothing', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel()], PAST_MS)
      expect(await submitMany(worker, 3)).toEqual([])
      await worker.stand([channel()])
      await submitLeased(worker)
      await worker.stand([channel({ lane: 'elsewhere' })])
      expect(await submitMany(worker, 3)).toEqual([])
      await worker.stand([channel()])
      await submitLeased(worker)
      await worker.stand([])
      expect(await submitMany(worker, 3)).toEqual([])
    })

    behaviour(make, 'R058: nothing comes from a lane that is gated or suspended', async (test) => {
      const worker = await waitingWorker(test)
      const { ledger } = test
      await worker.stand([channel()])
      await submitLeased(worker)
      await ledger.closeGates([{ lane: LANE, untilMs: FAR_MS, reason: '429' }])
      expect(await submitMany(worker, 3)).toEqual([])
      await ledger.openGates([LANE])
      // Where nobody waited, a ledger may stop looking until somebody does.
      await worker.stand([channel()])
      await ledger.suspendLanes([{ lane: LANE, reason: 'credentials', atMs: START_MS }])
      expect(await submitMany(worker, 3)).toEqual([])
      await ledger.resumeLanes([LANE])
      await worker.stand([channel()])
      await submitLeased(worker)
    })

    behaviour(make, 'D14: no lane has more leased than its concurrency, by claims of both kinds', async (test) => {
      const worker = await waitingWorker(test)
      const { ledger } = test
      const concurrency = 3
      await ledger.submit([lone({ items: [item({ endpoint: 'other' })] })])
      await claimOne(ledger, { endpoint: 'other', concurrency })
      await worker.stand([channel({ concurrency })])
      const leased = await submitMany(worker, 20)
      expect(leased.length).toBeGreaterThan(0)
      expect(leased.length).toBeLessThanOrEqual(2)
      await claim(ledger, { concurrency })
      expect((await ledger.lanes()).find(({ lane }) => lane === LANE)?.processing).toBe(concurrency)
      expect(await submitMany(worker, 3)).toEqual([])
    })

    behaviour(make, 'of a run it gets what is due: not what is due later, nor what waits for a step', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel()])
      const later = lone({ items: [item({ dueAtMs: FAR_MS })] })
      expect(await submitAlone(test.ledger, later)).toBe(false)
      expect(await stateOf(test.ledger, idOf(later))).toBe('queued')
      const chain = () => lone({ items: [item({ step: 'a' }), item({ step: 'b', after: ['a'] })] })
      const { run, lease, item: first } = await submitLeased(worker, chain)
      expect(lease.items.map(({ step }) => step)).toEqual(['a'])
      expect(await stateOf(test.ledger, idOf(run, 'b'))).toBe('waiting')
      expect(await settle(test.ledger, first, SUCCEEDED)).toMatchObject({ queued: [idOf(run, 'b')] })
      expect(await claimOne(test.ledger)).toMatchObject({ step: 'b', outputs: { a: '{"id":"42"}' }, token: 1 })
    })

    behaviour(make, 'D17: what is known already is leased to nobody', async (test) => {
      const worker = await waitingWorker(test)
      await worker.stand([channel()])
      const run = newRun({ createdAtMs: PAST_MS, items: [item()] })
      const [first] = await test.ledger.submit([run])
      if (first?.outcome === 'accepted' && first.isLeased) await worker.itemOf(run.id)
      const toldBefore = worker.told.length
      const again = { ...newRun(), key: run.key ?? '', createdAtMs: PAST_MS, items: run.items }
      expect(await test.ledger.submit([again])).toEqual([{ outcome: 'duplicate', runId: run.id }])
      await worker.stand([])
      expect(worker.told).toHaveLength(toldBefore)
    })
  })
}

interface Worker {
  readonly ledger: Ledger
  readonly id: string
  readonly told: readonly StandingLease[]
  stand(channels: readonly ClaimChannel[], untilMs?: number): Promise<boolean>
  /** As soon as it is told of it. */
  itemOf(runId: string): Promise<ClaimedItem>
}

/** One that hears what is leased to it: where that is told by a server, its ledger listens by now. */
async function waitingWorker({ ledger, another }: TestContext): Promise<Worker> {
  const heard = Promise.withResolvers<void>()
  ledger.watch(() => heard.resolve())
  // Where there is nothing to listen to: something to be heard of.
  await (await another()).closeGates([{ lane: 'elsewhere', untilMs: PAST_MS, reason: 'a sign' }])
  await heard.promise
  // Claims stand in channels that there are.
  await ledger.submit([lone()])
  await settle(ledger, await claimOne(ledger), SUCCEEDED)
  return createWorker(ledger, 'waiting')
}

function createWorker(ledger: Ledger, id: string): Worker {
  const told: StandingLease[] = []
  let heard = Promise.withResolvers<void>()

  function hear(lease: StandingLease): void {
    told.push(lease)
    heard.resolve()
    heard = Promise.withResolvers()
  }

  return {
    ledger,
    id,
    told,
    stand: (channels, untilMs = FAR_MS) =>
      ledger.standClaim({ workerId: id, leaseMs: LEASE_MS, untilMs, channels }, hear),
    async itemOf(runId) {
      for (;;) {
        const found = told.flatMap(({ items }) => items).find((one) => one.runId === runId)
        if (found) return found
        await heard.promise
      }
    },
  }
}

/** Without a key, in the past. */
function lone(parts: Partial<NewRun> = {}): NewRun {
  const { key: _key, inputFingerprint: _fingerprint, ...run } = newRun()
  return { ...run, createdAtMs: PAST_MS, items: [item()], ...parts }
}

function item(parts: Parameters<typeof newItem>[0] = {}) {
  return newItem({ dueAtMs: PAST_MS, ...parts })
}

/** Says whether it was leased. */
async function submitAlone(ledger: Ledger, run: NewRun): Promise<boolean> {
  const [receipt] = await ledger.submit([run])
  return receipt?.outcome === 'accepted' && receipt.isLeased === true
}

/** One after the other, until one is leased; what is not is taken out of the way. */
async function submitLeased(worker: Worker, make: () => NewRun = lone) {
  const { ledger } = worker
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const run = make()
    if (await submitAlone(ledger, run)) {
      const item = await worker.itemOf(run.id)
      const lease = worker.told.find(({ items }) => items.includes(item)) as StandingLease
      return { run, item, lease }
    }
    await takeAway(ledger)
  }
  return expect.fail(`of ${MOST_TRIES} that were submitted none was leased`)
}

/** All that is due: else it might be leased before what comes later. */
async function takeAway(ledger: Ledger): Promise<void> {
  for (const item of await claim(ledger)) await settle(ledger, item, SUCCEEDED)
}

/** One after the other. Returns what was leased; all others must be due, and nobody's. */
async function submitMany(worker: Worker, count: number): Promise<ClaimedItem[]> {
  const leased: ClaimedItem[] = []
  for (let index = 0; index < count; index++) {
    const run = lone()
    if (await submitAlone(worker.ledger, run)) leased.push(await worker.itemOf(run.id))
    else expect(await stateOf(worker.ledger, idOf(run))).toBe('queued')
  }
  expect(itemsOf(worker)).toEqual(expect.arrayContaining(leased))
  return leased
}

function itemsOf({ told }: Worker): ClaimedItem[] {
  return told.flatMap(({ items }) => items)
}

function ownerOf(workers: readonly Worker[], item: ClaimedItem): string | undefined {
  return workers.find((worker) => itemsOf(worker).includes(item))?.id
}
