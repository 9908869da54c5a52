/** Any story of submits, claims of both kinds, settlements, gates and time: who waits gets all that it may have, and nothing else. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import {
  channel,
  expectAudited,
  idOf,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
} from '../../conformance/support.ts'
import type { ChannelRef, ClaimedItem, Ledger, NewRun, StandingLease, SubmitReceipt } from '../../port.ts'
import { openSharedStore } from '../index.ts'

const CHANNELS: readonly ChannelRef[] = [
  { lane: 'a', endpoint: 'one' },
  { lane: 'a', endpoint: 'two' },
  { lane: 'b', endpoint: 'one' },
]
const WORKERS = ['w0', 'w1', 'w2'] as const
/** Of every lane, as all see it. */
const CONCURRENCY = 4
const LEASE_MS = 10_000

/** What is known of the store by its answers alone. */
interface Known {
  readonly channel: string
  readonly number: number
  readonly runId: string
  readonly dueAtMs: number
  readonly needsNothing: boolean
  state: 'waiting' | 'queued' | 'leased' | 'ended'
  claim: ClaimedItem | undefined
}

interface Waiting {
  readonly untilMs: number
  readonly room: Map<string, number>
}

class Story {
  readonly store = openSharedStore()
  nowMs = START_MS
  /** Of one time: workers of one get what the others submit. */
  readonly ledgers: readonly Ledger[] = WORKERS.map(() =>
    this.store.connect({ ...impatientClock(), wallMs: () => this.nowMs }),
  )
  readonly items = new Map<string, Known>()
  readonly waiting = new Map<string, Waiting>()
  readonly closed = new Set<string>()
  told: { readonly worker: string; readonly lease: StandingLease }[] = []

  async stand(worker: number, channels: readonly (ChannelRef & { readonly limit: number })[], standsMs: number) {
    const workerId = WORKERS[worker] as string
    const untilMs = this.nowMs + standsMs
    const wanted = channels.map((each) => channel({ ...each, concurrency: CONCURRENCY }))
    const claim = { workerId, leaseMs: LEASE_MS, untilMs, channels: wanted }
    await this.ledgerOf(worker).standClaim(claim, (lease) => this.told.push({ worker: workerId, lease }))
    this.waiting.set(workerId, { untilMs, room: new Map(wanted.map((each) => [nameOf(each), each.limit])) })
    expect(this.told).toEqual([])
  }

  /** Calls of one turn share a commit; one of them may be refused, which takes it apart. */
  async submit(ledger: number, calls: readonly (readonly NewRun[])[]): Promise<void> {
    const runs = calls.map((call) => call.map((run) => atNow(run, this.nowMs)))
    const answers = await Promise.allSettled(runs.map((call) => this.ledgerOf(ledger).submit(call)))
    const accepted = answers.flatMap((answer, index) =>
      answer.status === 'fulfilled' ? [{ runs: runs[index] ?? [], receipts: answer.value }] : [],
    )
    for (const call of accepted) for (const run of call.runs) this.#accept(run)
    const touched = new Set(
      accepted
        .flatMap((call) => call.runs.flatMap(({ items }) => items.filter((item) => isDue(item, this.nowMs))))
        .map(nameOf),
    )
    // A ledger tells whoever waits right behind those that it answers.
    await Promise.resolve()
    for (const { worker, lease } of this.told) this.#judge(worker, lease, touched)
    this.told = []
    for (const name of touched) this.#expectNothingLeft(name)
    for (const call of accepted) this.#judgeReceipts(call.runs, call.receipts)
  }

  #accept(run: NewRun): void {
    for (const { step, after, dueAtMs, ...where } of run.items) {
      const needsNothing = after.length === 0
      const state = needsNothing ? 'queued' : 'waiting'
      const known = {
        channel: nameOf(where),
        number: this.items.size,
        runId: run.id,
        dueAtMs,
        needsNothing,
        state,
      } as const
      this.items.set(idOf(run, step), { ...known, claim: undefined })
    }
  }

  #judge(worker: string, { items, leaseUntilMs }: StandingLease, touched: ReadonlySet<string>): void {
    expect(leaseUntilMs).toBe(this.nowMs + LEASE_MS)
    const { untilMs, room } = this.waiting.get(worker) as Waiting
    expect(untilMs).toBeGreaterThan(this.nowMs)
    for (const item of items) {
      const name = nameOf(item)
      expect([...touched]).toContain(name)
      expect(this.closed.has(item.lane)).toBe(false)
      room.set(name, (room.get(name) ?? 0) - 1)
      expect(room.get(name)).toBeGreaterThanOrEqual(0)
      this.#leased(item)
    }
  }

  /** The oldest of its channel that is due, and nobody's. */
  #leased(item: ClaimedItem): void {
    const known = this.items.get(item.itemId)
    expect(known).toMatchObject({ state: 'queued', channel: nameOf(item) })
    if (!known) return
    expect(this.#due(known.channel)[0]).toBe(known)
    known.state = 'leased'
    known.claim = item
    expect(this.#leasedIn(item.lane)).toBeLessThanOrEqual(CONCURRENCY)
  }

  #expectNothingLeft(name: string): void {
    const lane = JSON.parse(name)[0] as string
    const isWanted = [...this.waiting.values()].some(
      ({ untilMs, room }) => untilMs > this.nowMs && (room.get(name) ?? 0) > 0,
    )
    if (!isWanted || this.closed.has(lane) || this.#leasedIn(lane) >= CONCURRENCY) return
    expect(this.#due(name)).toEqual([])
  }

  #judgeReceipts(runs: readonly NewRun[], receipts: readonly SubmitReceipt[]): void {
    for (const [index, run] of runs.entries()) {
      const receipt = receipts[index]
      const first = [...this.items.values()].filter(({ runId, needsNothing }) => runId === run.id && needsNothing)
      const isLeased = first.every(({ state }) => state === 'leased')
      expect(receipt).toMatchObject({ outcome: 'accepted', runId: run.id })
      expect(receipt?.outcome === 'accepted' && receipt.isLeased === true).toBe(isLeased)
    }
  }

  async claim(worker: number, where: ChannelRef, limit: number): Promise<void> {
    const channels = [channel({ ...where, limit, concurrency: CONCURRENCY })]
    const request = { workerId: 'claims', nowMs: this.nowMs, leaseUntilMs: this.nowMs + LEASE_MS, channels }
    for (const item of await this.ledgerOf(worker).claim(request)) this.#leased(item)
    expect(this.told).toEqual([])
  }

  /** By any of them, whoever has leased it. */
  async end(worker: number, which: number): Promise<void> {
    const leased = [...this.items.values()].filter(({ state }) => state === 'leased')
    const known = leased[which % leased.length]
    if (!known?.claim) return
    const receipt = await settle(this.ledgerOf(worker), known.claim, SUCCEEDED, { nowMs: this.nowMs })
    expect(receipt).toMatchObject({ outcome: 'settled', state: 'succeeded' })
    known.state = 'ended'
    for (const id of receipt.outcome === 'settled' ? receipt.queued : []) {
      const next = this.items.get(id)
      if (next) this.items.set(id, { ...next, state: 'queued', dueAtMs: this.nowMs })
    }
    expect(this.told).toEqual([])
  }

  async gate(worker: number, lane: string): Promise<void> {
    if (this.closed.delete(lane)) await this.ledgerOf(worker).openGates([lane])
    else {
      this.closed.add(lane)
      await this.ledgerOf(worker).closeGates([{ lane, untilMs: this.nowMs + 1e9, reason: '429' }])
    }
  }

  async over(): Promise<void> {
    const ledger = this.ledgerOf(0)
    for (const [id, { state, claim }] of this.items) {
      const stored = await ledger.item(id)
      expect([id, stored?.state]).toEqual([id, STORED[state]])
      if (state === 'leased') expect(stored?.firstAttemptAtMs).toBe(claim?.firstAttemptAtMs)
    }
    await expectAudited(ledger)
    for (const each of this.ledgers) await each.close()
    this.store[Symbol.dispose]()
  }

  ledgerOf(worker: number): Ledger {
    return this.ledgers[worker % this.ledgers.length] as Ledger
  }

  #due(name: string): Known[] {
    return [...this.items.values()]
      .filter((item) => item.channel === name && item.state === 'queued' && item.dueAtMs <= this.nowMs)
      .sort((one, other) => one.dueAtMs - other.dueAtMs || one.number - other.number)
  }

  #leasedIn(lane: string): number {
    return [...this.items.values()].filter(
      ({ state, channel: name }) => state === 'leased' && JSON.parse(name)[0] === lane,
    ).length
  }
}

const STORED = { waiting: 'waiting', queued: 'queued', leased: 'processing', ended: 'succeeded' } as const

function nameOf({ lane, endpoint }: ChannelRef): string {
  return JSON.stringify([lane, endpoint])
}

function isDue({ after, dueAtMs }: NewRun['items'][number], nowMs: number): boolean {
  return after.length === 0 && dueAtMs <= nowMs
}

function atNow(run: NewRun, nowMs: number): NewRun {
  const items = run.items.map((item) => ({ ...item, dueAtMs: nowMs + item.dueAtMs - START_MS }))
  return { ...run, createdAtMs: nowMs, items }
}

const worker = fc.nat({ max: WORKERS.length - 1 })
const where = fc.constantFrom(...CHANNELS)
const newRuns = fc
  .array(fc.tuple(where, where, fc.constantFrom('one', 'one', 'one', 'both', 'after', 'later', 'refused')), {
    minLength: 1,
    maxLength: 3,
  })
  .map((drawn) => drawn.map(([first, second, shape]) => runOf(first, second, shape)))

function runOf(first: ChannelRef, second: ChannelRef, shape: string): NewRun {
  const one = newItem({ ...first, step: 'x' })
  const run = newRun()
  if (shape === 'both') return { ...run, items: [one, newItem({ ...second, step: 'y' })] }
  if (shape === 'after') return { ...run, items: [one, newItem({ ...second, step: 'y', after: ['x'] })] }
  if (shape === 'later') return { ...run, items: [one, newItem({ ...second, step: 'y', dueAtMs: START_MS + 700 })] }
  // An id that another run has: the store refuses the whole call.
  return shape === 'refused' ? { ...run, id: 'known', items: [one] } : { ...run, items: [one] }
}

type Step = (story: Story) => Promise<void>

const limits = fc.uniqueArray(fc.record({ where, limit: fc.nat({ max: 4 }) }), {
  maxLength: 3,
  selector: (one) => nameOf(one.where),
})
const stand = fc.tuple(worker, limits, fc.constantFrom(0, 500, 2000)).map(
  ([who, wanted, standsMs]): Step =>
    (story) =>
      story.stand(
        who,
        wanted.map((each) => ({ ...each.where, limit: each.limit })),
        standsMs,
      ),
)
const submit = fc.tuple(worker, fc.array(newRuns, { minLength: 1, maxLength: 4 })).map(
  ([who, calls]): Step =>
    (story) =>
      story.submit(who, calls),
)
const claim = fc.tuple(worker, where, fc.integer({ min: 1, max: 3 })).map(
  ([who, from, limit]): Step =>
    (story) =>
      story.claim(who, from, limit),
)
const end = fc.tuple(worker, fc.nat({ max: 20 })).map(
  ([who, which]): Step =>
    (story) =>
      story.end(who, which),
)
const gate = fc.tuple(worker, fc.constantFrom('a', 'b')).map(
  ([who, lane]): Step =>
    (story) =>
      story.gate(who, lane),
)
const wait = fc.constantFrom(1, 300, 1500).map(
  (delayMs): Step =>
    async (story) => {
      story.nowMs += delayMs
    },
)

it('D14, R058: whoever waits gets the oldest of what is due, up to its limit, and every run is said to be leased or not', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: submit },
    { weight: 4, arbitrary: stand },
    { weight: 4, arbitrary: end },
    { weight: 1, arbitrary: claim },
    { weight: 1, arbitrary: gate },
    { weight: 2, arbitrary: wait },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const story = new Story()
      await story.submit(0, [[{ ...newRun(), id: 'known' }]])
      for (const one of steps) await one(story)
      await story.over()
    }),
    { numRuns: 60 },
  )
})
