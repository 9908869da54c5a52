/** Random sequences of operations: after each, the ledger and the model agree, and the audit finds nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ITEM_STATES } from '../../core/item-state.ts'
import type { Ledger, NewRun, SettledState } from '../port.ts'
import { Model } from './model.ts'
import {
  attempt,
  channel,
  deadLettered,
  expectAudited,
  idOf,
  LANE,
  type MakeStore,
  newItem,
  newRun,
  START_MS,
  unknownOutcome,
} from './support.ts'

interface World {
  readonly ledger: Ledger
  readonly model: Model
  /** Every item there ever was, and every lease ever given: also those that are over. */
  readonly ids: string[]
  readonly leases: { readonly itemId: string; readonly tenant: string; readonly token: number }[]
  nowMs: number
}

/** One operation on both; whatever they answer must be equal. */
type Step = (world: World) => Promise<void>

const SHAPES: (() => NewRun)[] = [
  () => newRun(),
  () => newRun({ items: [newItem({ step: 'a' }), newItem({ step: 'b', after: ['a'] })] }),
  () =>
    newRun({
      items: [
        newItem({ step: 'a', optional: true }),
        newItem({ step: 'b' }),
        newItem({ step: 'c', after: ['a', 'b'] }),
        newItem({ step: 'd', after: ['c'] }),
      ],
    }),
]

const number = fc.nat({ max: 1000 })
const delay = fc.constantFrom(0, 1, 400, 900, 5000)

const submit = fc.constantFrom(...SHAPES).map(
  (shape): Step =>
    async ({ ledger, model, ids, nowMs }) => {
      const run = shape()
      const dueNow = { ...run, createdAtMs: nowMs, items: run.items.map((item) => ({ ...item, dueAtMs: nowMs })) }
      expect(await ledger.submit([dueNow])).toMatchObject([{ outcome: 'accepted' }])
      model.submit(dueNow)
      ids.push(...run.items.map((item) => idOf(run, item.step)))
    },
)

const claim = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 5 })).map(
  ([limit, concurrency]): Step =>
    async ({ ledger, model, leases, nowMs }) => {
      const leaseUntilMs = nowMs + 1000
      const channels = [channel({ limit, concurrency })]
      const claimed = await ledger.claim({ workerId: 'w', nowMs, leaseUntilMs, channels })
      leases.push(...claimed)
      expect(claimed.map((item) => item.itemId)).toEqual(model.claim(nowMs, leaseUntilMs, limit, concurrency))
      for (const item of claimed) expect(item.token).toBe(model.items.get(item.itemId)?.token)
    },
)

const reclaim = fc.constant<Step>(async ({ ledger, model, leases, nowMs }) => {
  const leaseUntilMs = nowMs + 1000
  const taken = await ledger.reclaimExpired({ workerId: 'w', nowMs, leaseUntilMs, limit: 1000 })
  leases.push(...taken)
  const expected = model.reclaim(nowMs, leaseUntilMs)
  expect(taken.map((item) => item.itemId).toSorted()).toEqual(expected.toSorted())
})

const ends = fc.tuple(fc.nat({ max: 8 }), delay).map(([kind, delayMs]) => (nowMs: number): SettledState => {
  const dueAtMs = nowMs + delayMs
  const all: SettledState[] = [
    { state: 'succeeded', output: '1' },
    { state: 'succeeded', output: '2' },
    { state: 'skipped', reason: 'r' },
    { state: 'queued', reason: 'r' },
    { state: 'retrying', dueAtMs, reason: 'r' },
    { state: 'parked', dueAtMs, reason: 'r' },
    delayMs === 0 ? unknownOutcome() : unknownOutcome(dueAtMs),
    deadLettered(),
    deadLettered({ cause: 'outage' }, dueAtMs),
  ]
  return all[kind] as SettledState
})

const settle = fc.tuple(number, ends, fc.boolean(), fc.boolean()).map(
  ([pick, end, counts, deferral]): Step =>
    async ({ ledger, model, leases, nowMs }) => {
      // Mostly the newest leases, which are alive; sometimes a zombie.
      const lease = leases[leases.length - 1 - (pick % Math.min(leases.length, 8))]
      if (!lease) return
      const { itemId, tenant, token } = lease
      const to = end(nowMs)
      const settlement = { itemId, tenant, token, to, attempt: attempt({ counts }), deferral }
      const [receipt] = await ledger.settle([settlement], nowMs)
      const state = model.settle(itemId, token, to, counts, deferral, nowMs)
      expect(receipt).toMatchObject(state ? { outcome: 'settled', state } : { outcome: 'lease_lost' })
    },
)

const operate = fc.tuple(number, fc.constantFrom('replay', 'discard', 'cancel', 'resolve'), fc.boolean()).map(
  ([pick, what, known]): Step =>
    async ({ ledger, model, ids, nowMs }) => {
      const itemId = ids[pick % ids.length]
      if (itemId === undefined) return
      const exists = model.items.has(itemId)
      const order = { itemId, by: 'b', reason: 'r', output: '3', dueAtMs: nowMs, knownNotApplied: known }
      const [receipt] = await ledger[what]([order], nowMs)
      const expected = {
        replay: () => model.replay(itemId, known, nowMs, nowMs),
        discard: () => model.discard(itemId, nowMs),
        cancel: () => model.cancel(itemId, 'r', nowMs),
        resolve: () => model.resolve(itemId, nowMs),
      }[what]()
      expect([what, receipt?.outcome]).toEqual([what, exists ? expected : 'not_found'])
    },
)

const wake = fc.constantFrom('parked', 'slow_lane').map(
  (what): Step =>
    async ({ ledger, model, nowMs }) => {
      expect(await ledger.wake({ what, limit: 1000 }, nowMs)).toBe(model.wake(what, nowMs))
    },
)

const lane = fc.tuple(fc.constantFrom('close', 'open', 'suspend', 'resume'), delay).map(
  ([what, delayMs]): Step =>
    async ({ ledger, model, nowMs }) => {
      const untilMs = nowMs + delayMs
      if (what === 'close') await ledger.closeGates([{ lane: LANE, untilMs, reason: 'r' }])
      if (what === 'close') model.gateUntilMs = Math.max(model.gateUntilMs, untilMs)
      if (what === 'open') await ledger.openGates([LANE])
      if (what === 'open') model.gateUntilMs = 0
      if (what === 'suspend') await ledger.suspendLanes([{ lane: LANE, reason: 'r', atMs: nowMs }])
      if (what === 'resume') await ledger.resumeLanes([LANE])
      if (what === 'suspend' || what === 'resume') model.suspended = what === 'suspend'
    },
)

const retain = delay.map(
  (delayMs): Step =>
    async ({ ledger, model, nowMs }) => {
      const endedBeforeMs = nowMs - delayMs
      const { runs } = await ledger.retain({ endedBeforeMs, nowMs, limit: 1000 })
      expect(runs).toBe(model.retain(endedBeforeMs))
    },
)

const wait = delay.map(
  (delayMs): Step =>
    async (world) => {
      world.nowMs += delayMs
    },
)

const step = fc.oneof(
  { weight: 4, arbitrary: submit },
  { weight: 6, arbitrary: claim },
  { weight: 8, arbitrary: settle },
  { weight: 4, arbitrary: operate },
  { weight: 2, arbitrary: wait },
  { weight: 1, arbitrary: reclaim },
  { weight: 1, arbitrary: wake },
  { weight: 1, arbitrary: lane },
  { weight: 1, arbitrary: retain },
)

/** Some ten thousand round trips, where the store is a server. */
const SLOW_STORE_MS = 180_000

export function modelled(make: MakeStore): void {
  describe('any sequence of operations', () => {
    it(
      'rule 2: agrees with the model, and the books balance after each step',
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 50 }), (steps) => play(make, steps)),
          { numRuns: 50 },
        )
      },
      SLOW_STORE_MS,
    )
  })
}

async function play(make: MakeStore, steps: readonly Step[]): Promise<void> {
  const store = await make()
  const ledger = await store.open()
  const world: World = { ledger, model: new Model(), ids: [], leases: [], nowMs: START_MS }
  try {
    for (const act of steps) {
      await act(world)
      await expectAgreement(world)
    }
  } finally {
    await ledger.close()
    await store.remove()
  }
}

async function expectAgreement({ ledger, model }: World): Promise<void> {
  const { rows } = await ledger.items({}, { limit: 10_000 })
  const found = rows.map(({ itemId, state, counters, dueAtMs, endedAtMs, lease }) => {
    return { itemId, state, counters, dueAtMs, endedAtMs, leaseUntilMs: lease?.untilMs }
  })
  const expected = [...model.items.values()].map(({ id, state, counters, dueAtMs, endedAtMs, leaseUntilMs }) => {
    return { itemId: id, state, counters, dueAtMs, endedAtMs, leaseUntilMs }
  })
  expect(found.toSorted(byId)).toEqual(expected.toSorted(byId))
  const states = Object.fromEntries(ITEM_STATES.map((state) => [state, model.count(state)]))
  expect(await ledger.balance({})).toMatchObject({ accepted: model.accepted, states, balanced: true })
  await expectAudited(ledger)
}

function byId(a: { readonly itemId: string }, b: { readonly itemId: string }): number {
  return a.itemId < b.itemId ? -1 : 1
}
