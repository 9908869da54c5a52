/** A store with everything in it that a store can hold, made through the port; and the comparison of two of them. */
import { expect } from 'vitest'
import { ITEM_STATES } from '../../core/item-state.ts'
import type { ClaimedItem, Ledger, NewRun, Settlement } from '../port.ts'
import {
  attempt,
  deadLettered,
  ENDPOINT,
  FAILED_ATTEMPT,
  FAILURE,
  LANE,
  LEASE_MS,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  unknownOutcome,
} from './support.ts'

const OTHER = { lane: 'mail/default/acme', endpoint: 'POST /send' }
const BY = 'cli:ada'
const LATER_MS = START_MS + 60_000

/** In turn, so that each meets each of {@link VERDICTS}. */
const SHAPES: ((index: number) => NewRun)[] = [
  () => withoutKey(newRun({ labels: { campaign: 'spring', 'naïve ✓': '"quoted"' } })),
  (index) => newRun({ tenant: 'acme', pipeline: 'mail', key: `mail-${index}`, items: [newItem(OTHER)] }),
  () => newRun({ items: [newItem({ step: 'a' }), newItem({ step: 'b', after: ['a'], dueAtMs: LATER_MS })] }),
  () =>
    newRun({
      items: [
        newItem({ step: 'a', optional: true }),
        newItem({ step: 'b' }),
        newItem({ step: 'c', ...OTHER, after: ['a', 'b'] }),
        newItem({ step: 'd', after: ['c'] }),
      ],
    }),
  (index) => newRun({ items: [newItem({ turn: { series: 'crm', entity: `p${index % 4}`, rule: 'continue' } })] }),
  (index) => newRun({ batch: `batch-${index % 3}` }),
  (index) => newRun({ items: [newItem({ turn: { series: 'stock', entity: `p${index % 5}`, rule: 'supersede' } })] }),
]

type Verdict = Omit<Settlement, 'itemId' | 'tenant' | 'token'>

/** How claims end; `undefined`: not yet. */
const VERDICTS: ((item: ClaimedItem) => Verdict | undefined)[] = [
  () => ({ to: SUCCEEDED, attempt: attempt({ status: 201, idempotencyKey: 'key-1' }) }),
  () => ({
    to: { ...SUCCEEDED, externalId: 'ext-7', note: 'was there' } as const,
    attempt: attempt({ note: 'found' }),
  }),
  () => ({
    to: { state: 'retrying', dueAtMs: LATER_MS, reason: 'http_503' },
    attempt: FAILED_ATTEMPT,
    memo: '{"n":1}',
  }),
  () => undefined,
  () => ({ to: { state: 'parked', dueAtMs: LATER_MS, reason: 'the breaker is open' }, deferral: true }),
  () => ({ to: deadLettered(), attempt: FAILED_ATTEMPT }),
  () => ({ to: deadLettered({ cause: 'outage', fingerprint: 'outage' }, LATER_MS), attempt: otherFailure() }),
  () => ({ to: unknownOutcome(), attempt: FAILED_ATTEMPT }),
  () => ({ to: unknownOutcome(LATER_MS), attempt: FAILED_ATTEMPT }),
  () => ({ to: { state: 'skipped', reason: 'not needed' } }),
  () => ({ to: { state: 'cancelled', reason: 'no longer wanted' } }),
  () => ({ to: { state: 'queued', reason: 'given back' } }),
]

/** Fills an empty store with `count` runs in all states; five of them are forgotten again. */
export async function fillStore(ledger: Ledger, count: number): Promise<void> {
  const runs = Array.from({ length: count }, (_, index) => (SHAPES[index % SHAPES.length] ?? newRun)(index))
  const forgotten = Array.from({ length: 5 }, () => newRun({ batch: 'gone', createdAtMs: START_MS - 1 }))
  await ledger.submit(forgotten)
  const gone = await claimAll(ledger)
  await ledger.settle(
    gone.map((item) => ({ ...fenceOf(item), to: SUCCEEDED, attempt: attempt() })),
    START_MS - 1,
  )
  await ledger.retain({ endedBeforeMs: START_MS, nowMs: START_MS, limit: 10 })
  expect(await ledger.balance({ batch: 'gone' })).toMatchObject({ accepted: 5, states: { succeeded: 5 } })
  await ledger.submit(runs.slice(5))
  // Twice, so that some have a past, and what follows was queued.
  await settleInTurn(ledger, await claimAll(ledger), 0)
  await settleInTurn(ledger, await claimAll(ledger), 5)
  await operate(ledger)
  await fillShared(ledger)
  const { states } = await ledger.balance({})
  expect(ITEM_STATES.filter((state) => states[state] === 0)).toEqual([])
  await ledger.submit([newRun(), newRun({ input: JSON.stringify('x'.repeat(100_000)) })])
  await ledger.submit(
    Array.from({ length: 3 }, () => newRun({ createdAtMs: LATER_MS, items: [newItem({ dueAtMs: LATER_MS })] })),
  )
}

async function claimAll(ledger: Ledger): Promise<ClaimedItem[]> {
  const terms = { workerId: 'worker-1', nowMs: START_MS, leaseUntilMs: START_MS + LEASE_MS }
  const channel = { limit: 100_000, laneConcurrency: 100_000 }
  const channels = [
    { ...channel, lane: LANE, endpoint: ENDPOINT },
    { ...channel, ...OTHER },
  ]
  return ledger.claim({ ...terms, channels })
}

async function settleInTurn(ledger: Ledger, items: readonly ClaimedItem[], shift: number): Promise<void> {
  const settlements = items.flatMap((item, index) => {
    const verdict = VERDICTS[(index + shift) % VERDICTS.length]?.(item)
    return verdict ? [{ ...fenceOf(item), ...verdict }] : []
  })
  await ledger.settle(settlements, START_MS + 7)
}

/** What people do. */
async function operate(ledger: Ledger): Promise<void> {
  const { rows: dead } = await ledger.items({ states: ['dead_lettered'] }, { limit: 12 })
  const { rows: unknown } = await ledger.items({ states: ['unknown_outcome'] }, { limit: 6 })
  const { rows: processing } = await ledger.items({ states: ['processing'] }, { limit: 3 })
  const { rows: waiting } = await ledger.items({ states: ['waiting'] }, { limit: 2 })
  const order = { by: BY, dueAtMs: LATER_MS }
  const edited = (itemId: string) => ({ ...order, itemId, editedInput: '{"company":"Analytical Engines"}' })
  const ids = dead.map(({ itemId }) => itemId)
  await ledger.replay(
    [...ids.slice(0, 4).map(edited), ...ids.slice(4, 6).map((itemId) => ({ ...order, itemId }))],
    LATER_MS,
  )
  await ledger.replay(
    unknown.slice(0, 2).map(({ itemId }) => ({ ...order, itemId, knownNotApplied: true })),
    LATER_MS,
  )
  await ledger.discard(
    ids.slice(6, 9).map((itemId) => ({ itemId, by: BY, reason: 'a test' })),
    LATER_MS,
  )
  await ledger.resolve(
    unknown.slice(2, 4).map(({ itemId }) => ({ itemId, by: BY, output: '1', reason: 'seen' })),
    LATER_MS,
  )
  await ledger.cancel(
    [...processing, ...waiting].map(({ itemId }) => ({ itemId, by: BY, reason: 'stop' })),
    LATER_MS,
  )
}

/** What belongs to no item. */
async function fillShared(ledger: Ledger): Promise<void> {
  const effects = Array.from({ length: 20 }, (_, index) => ({
    tenant: index % 2 === 0 ? 'default' : 'acme',
    key: `effect-${index}`,
    fingerprint: `fingerprint-${index}`,
    owner: `owner-${index}`,
    reservedUntilMs: START_MS + 1000 * index,
    keepUntilMs: LATER_MS * 2,
  }))
  await ledger.beginEffects(effects, START_MS)
  const ended = effects
    .slice(0, 10)
    .map(({ tenant, key, owner }) => ({ tenant, key, owner, done: true, output: '{"id":1}' }) as const)
  await ledger.endEffects(ended, START_MS)
  await ledger.closeGates([{ lane: OTHER.lane, untilMs: LATER_MS, reason: '429' }])
  await ledger.suspendLanes([{ lane: 'never/used', reason: 'by hand', atMs: START_MS }])
  const keys = ['breaker:crm', 'limiter:mail']
  await ledger.updateHealth(
    keys.map((key) => ({ key, fromRevision: 0, state: { phase: 'open', at: [1, 2] } })),
    START_MS,
  )
  const { revision } = await ledger.readHealth(0)
  await ledger.updateHealth([{ key: 'breaker:crm', fromRevision: revision - 1, state: { phase: 'closed' } }], LATER_MS)
}

function withoutKey({ key: _, inputFingerprint: __, ...run }: NewRun): NewRun {
  return run
}

function otherFailure() {
  return attempt({ outcome: 'failed', failure: { ...FAILURE, code: 'reset', message: 'the connection was reset' } })
}

function fenceOf({ itemId, tenant, token }: ClaimedItem) {
  return { itemId, tenant, token }
}

/** All that the port tells of either is the same. */
export async function expectSameStore(found: Ledger, wanted: Ledger): Promise<void> {
  const ids = await idsOf(wanted)
  expect(await idsOf(found)).toEqual(ids)
  const items = await Promise.all(ids.map((id) => found.item(id)))
  for (const [index, id] of ids.entries()) expect(items[index]).toEqual(await wanted.item(id))
  for (const id of new Set(ids.map((each) => each.slice(0, each.indexOf('.'))))) {
    expect(await found.run(id)).toEqual(await wanted.run(id))
  }
  expect(await found.balance({})).toEqual(await wanted.balance({}))
  for (const { batch, ...balance } of (await wanted.audit()).batches) {
    expect(await found.balance({ batch })).toEqual(balance)
  }
  expect(await groupsOf(found)).toEqual(await groupsOf(wanted))
  expect(await lanesOf(found)).toEqual(await lanesOf(wanted))
  expect(await found.readHealth(0)).toEqual(await wanted.readHealth(0))
}

async function idsOf(ledger: Ledger): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.items({}, { limit: 1000, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.rows.map(({ itemId }) => itemId))
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids.sort()
}

async function groupsOf(ledger: Ledger) {
  const groups = await ledger.groups({ states: ['dead_lettered', 'unknown_outcome'] })
  // Any member may be the example.
  return groups.map(({ exampleItemId: _, ...group }) => group).sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
}

async function lanesOf(ledger: Ledger) {
  return (await ledger.lanes()).toSorted((a, b) => (a.lane < b.lane ? -1 : 1))
}
