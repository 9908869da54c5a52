/**
 * What the store has said about each item, followed fact by fact: an account of its own, from the words of the port, against
 * which the checks hold what the store and the engine do.
 */
import { itemId } from '../../../core/ids.ts'
import { type ItemState, isEndState } from '../../../core/item-state.ts'
import type {
  ClaimedItem,
  ItemCounters,
  NewItem,
  NewRun,
  NewTurn,
  OperatorReceipt,
  Settlement,
  SettleReceipt,
  SupersededItem,
  WakeRequest,
} from '../../../ledger/port.ts'
import type { Fact, LedgerMethod } from '../fact.ts'
import { type AnyInput, effectKeyOf } from '../record-input.ts'
import type { Scenario, StepPlan } from '../scenario.ts'
import { planName, plannedSteps } from '../undoing.ts'
import { createKnownTurns, type KnownTurns } from './known-turns.ts'

export type StoreFactOf<Method extends LedgerMethod> = Extract<Fact, { kind: 'store'; method: Method }>

export interface Lease {
  readonly process: string
  readonly token: number
  /** By the clock of the process that has it. */
  untilMs: number
  /** When it was given, in true time. */
  readonly sinceMs: number
}

export interface KnownItem {
  readonly itemId: string
  readonly runId: string
  readonly tenant: string
  readonly pipeline: string
  readonly step: string
  readonly lane: string
  readonly endpoint: string
  readonly after: readonly string[]
  readonly optional: boolean
  /** Undefined where the scenario knows no such step. */
  readonly plan: StepPlan | undefined
  /** Whose turn it takes; another one when it is replayed with other data. */
  turn: NewTurn | undefined
  /** What its effect is named at the API. */
  readonly operation: string
  state: ItemState
  /** A wake-up may have made it due, and queued it where it was parked: the store does not say which items it woke. */
  mayBeWoken: boolean
  /** By the clock of whoever wrote it. */
  dueAtMs: number | undefined
  token: number
  lease: Lease | undefined
  counters: ItemCounters
  /** In true time. */
  changedAtMs: number
}

export interface Claim {
  readonly claimed: ClaimedItem
  readonly fact: StoreFactOf<'claim'> | StoreFactOf<'reclaimExpired'>
  readonly takenOver: boolean
  /** Before this claim. */
  readonly previous: Pick<KnownItem, 'state' | 'token' | 'lease' | 'dueAtMs' | 'mayBeWoken'>
}

export interface Ending {
  readonly settlement: Settlement
  readonly receipt: SettleReceipt
  readonly fact: StoreFactOf<'settle'>
  /** The lease it had before. */
  readonly lease: Lease | undefined
}

export interface ItemHandlers {
  accepted?(item: KnownItem, run: NewRun): void
  moved?(item: KnownItem, from: ItemState, fact: Fact): void
  claimed?(item: KnownItem, claim: Claim): void
  /** The store took the settlement, or reported the lease as lost. */
  settled?(item: KnownItem, ending: Ending): void
  operated?(item: KnownItem, from: ItemState, fact: StoreFactOf<'replay' | 'discard' | 'cancel' | 'resolve'>): void
  /** The store names an item that was never accepted. */
  stranger?(id: string, fact: Fact): void
}

export interface KnownItems {
  get(id: string): KnownItem | undefined
  all(): Iterable<KnownItem>
  ofRun(runId: string): readonly KnownItem[]
  readonly turns: Pick<KnownTurns, 'of' | 'before'>
}

/** One account for all who need it: each fact is worked through once. */
export interface ItemAccount {
  observe(fact: Fact): void
  /** The handlers run while a fact is observed, in the order in which they were given. */
  follow(handlers?: ItemHandlers): KnownItems
}

export function createItemAccount(scenario: Scenario): ItemAccount {
  const told = noHandlers()
  const items = new Map<string, KnownItem>()
  const runs = new Map<string, KnownItem[]>()
  const released = new Set<KnownItem>()
  /** Of the run that is being accepted: what has not taken its place yet, and so is not to start. */
  const withoutPlace = new Set<KnownItem>()
  /** Of the fact under way. */
  let now: { readonly fact: Fact; readonly nowMs: number } | undefined
  const turns = createKnownTurns({
    release: (item) => {
      if (now && isReady(item)) move(item, 'queued', now.fact, now.nowMs)
    },
    supersede(item) {
      if (!now) return
      move(item, 'superseded', now.fact)
      followUp(item, now.fact, now.nowMs)
    },
  })
  const steps = plannedSteps(scenario)

  function accept(run: NewRun, superseded: readonly SupersededItem[], fact: Fact): void {
    const ofRun = run.items.map((planned) =>
      newItem(run, planned, steps.get(planName(run.pipeline, planned.step)), fact),
    )
    runs.set(run.id, ofRun)
    for (const item of ofRun) {
      items.set(item.itemId, item)
      for (const tell of told.accepted) tell(item, run)
    }
    for (const item of ofRun) if (item.turn) withoutPlace.add(item)
    for (const item of ofRun) {
      withoutPlace.delete(item)
      if (item.turn && item.state === 'waiting') {
        const ended = superseded.some((other) => other.itemId === item.itemId)
        turns.join(item, item.turn, run.createdAtMs, ended)
      }
    }
  }

  /** All that it waited for is done, and it is its turn. */
  function isReady(item: KnownItem): boolean {
    const done = new Set((runs.get(item.runId) ?? []).filter((other) => released.has(other)).map(({ step }) => step))
    return (
      item.state === 'waiting' &&
      !withoutPlace.has(item) &&
      item.after.every((step) => done.has(step)) &&
      !turns.waits(item)
    )
  }

  function move(item: KnownItem, to: ItemState, fact: Fact, dueAtMs?: number): void {
    const from = item.state
    item.state = to
    item.dueAtMs = dueAtMs
    item.mayBeWoken = false
    item.changedAtMs = fact.atMs
    for (const tell of told.moved) tell(item, from, fact)
  }

  function waitingFor(item: KnownItem): KnownItem[] {
    const ofRun = runs.get(item.runId) ?? []
    return ofRun.filter((other) => other.state === 'waiting' && other.after.includes(item.step))
  }

  /** What the end of an item means for those that wait for it (port, `settle` and `discard`). */
  function followUp(item: KnownItem, fact: Fact, nowMs: number): void {
    if (!isEndState(item.state) && item.state !== 'dead_lettered') return
    if (item.state === 'succeeded' || item.state === 'skipped' || item.optional) release(item, fact, nowMs)
    else if (isEndState(item.state)) takeAlong(item, item.state, fact)
  }

  function release(item: KnownItem, fact: Fact, nowMs: number): void {
    released.add(item)
    for (const next of waitingFor(item)) if (isReady(next)) move(next, 'queued', fact, nowMs)
  }

  function takeAlong(item: KnownItem, state: ItemState, fact: Fact): void {
    for (const next of waitingFor(item)) {
      if (next.state !== 'waiting') continue
      move(next, state, fact)
      turns.changed(next)
      takeAlong(next, state, fact)
    }
  }

  function claim(claimed: ClaimedItem, fact: Claim['fact']): void {
    const item = items.get(claimed.itemId)
    if (!item) {
      for (const tell of told.stranger) tell(claimed.itemId, fact)
      return
    }
    const takenOver = fact.method === 'reclaimExpired'
    const { state, token, lease, dueAtMs, mayBeWoken } = item
    if (state === 'parked' && mayBeWoken && claimed.from === 'queued') move(item, 'queued', fact, fact.request[0].nowMs)
    move(item, 'processing', fact)
    item.token = claimed.token
    const { leaseUntilMs } = fact.request[0]
    item.lease = { process: fact.process, token: claimed.token, untilMs: leaseUntilMs, sinceMs: fact.atMs }
    if (takenOver) add(item, { crashes: 1 })
    for (const tell of told.claimed)
      tell(item, { claimed, fact, takenOver, previous: { state, token, lease, dueAtMs, mayBeWoken } })
  }

  function settle(settlement: Settlement, receipt: SettleReceipt, fact: StoreFactOf<'settle'>): void {
    const item = items.get(settlement.itemId)
    if (!item) {
      for (const tell of told.stranger) tell(settlement.itemId, fact)
      return
    }
    const { lease } = item
    const nowMs = fact.request[1]
    if (receipt.outcome === 'settled') {
      item.lease = undefined
      add(item, { attempts: settlement.attempt?.counts ? 1 : 0, deferrals: settlement.deferral ? 1 : 0 })
      // What is superseded would have been tried again.
      const state = receipt.state === 'superseded' ? settlement.to.state : receipt.state
      move(item, state, fact, state === settlement.to.state ? dueOf(settlement, nowMs) : undefined)
    }
    for (const tell of told.settled) tell(item, { settlement, receipt, fact, lease })
    if (receipt.outcome !== 'settled') return
    turns.changed(item)
    followUp(item, fact, nowMs)
  }

  function operate(receipt: OperatorReceipt, fact: StoreFactOf<'replay' | 'discard' | 'cancel' | 'resolve'>): void {
    const item = items.get(receipt.itemId)
    if (!item || receipt.outcome !== 'done') return
    const from = item.state
    const nowMs = fact.request[1]
    if (fact.method === 'replay') replay(item, receipt.state, fact)
    else move(item, receipt.state, fact)
    for (const tell of told.operated) tell(item, from, fact)
    turns.changed(item)
    followUp(item, fact, nowMs)
  }

  function replay(item: KnownItem, became: ItemState, fact: StoreFactOf<'replay'>): void {
    add(item, { replays: 1 })
    const order = fact.request[0].find(({ itemId }) => itemId === item.itemId)
    const turn = order?.turn ?? (turns.of(item)?.standing === 'passed' ? item.turn : undefined)
    if (!turn) {
      move(item, 'queued', fact, order?.dueAtMs)
      return
    }
    turns.leave(item)
    item.turn = turn
    // What it waited for was done before it was tried.
    move(item, 'waiting', fact)
    turns.join(item, turn, fact.request[1], became === 'superseded')
  }

  function wake({ lane, endpoint, what }: WakeRequest): void {
    const state = what === 'parked' ? 'parked' : 'dead_lettered'
    for (const item of items.values()) {
      if (item.state !== state || item.dueAtMs === undefined) continue
      if ((lane ?? item.lane) === item.lane && (endpoint ?? item.endpoint) === item.endpoint) item.mayBeWoken = true
    }
  }

  function extend(fact: StoreFactOf<'extendLeases'>): void {
    const [fences, leaseUntilMs] = fact.request
    const lost = new Set(fact.result?.map((fence) => `${fence.itemId}#${fence.token}`))
    for (const { itemId: id, token } of fences) {
      const lease = items.get(id)?.lease
      if (lease?.token === token && !lost.has(`${id}#${token}`)) lease.untilMs = Math.max(lease.untilMs, leaseUntilMs)
    }
  }

  function observe(fact: Fact): void {
    if (fact.kind !== 'store' || fact.result === undefined) return
    now = { fact, nowMs: fact.atMs }
    switch (fact.method) {
      case 'retain':
        turns.retain(fact.request[0].endedBeforeMs)
        return
      case 'submit':
        for (const [index, receipt] of fact.result.entries()) {
          const run = fact.request[0][index]
          if (run && receipt.outcome === 'accepted') accept(run, receipt.superseded ?? [], fact)
        }
        return
      case 'claim':
      case 'reclaimExpired':
        for (const claimed of fact.result) claim(claimed, fact)
        return
      case 'settle':
        for (const [index, receipt] of fact.result.entries()) {
          const settlement = fact.request[0][index]
          if (settlement) settle(settlement, receipt, fact)
        }
        return
      case 'extendLeases':
        extend(fact)
        return
      case 'replay':
      case 'discard':
      case 'cancel':
      case 'resolve':
        for (const receipt of fact.result) operate(receipt, fact)
        return
      case 'wake':
        if (fact.result > 0) wake(fact.request[0])
    }
  }

  const known: KnownItems = {
    get: (id) => items.get(id),
    all: () => items.values(),
    ofRun: (runId) => runs.get(runId) ?? [],
    turns,
  }
  return {
    observe,
    follow(handlers = {}) {
      const { accepted, moved, claimed, settled, operated, stranger } = handlers
      if (accepted) told.accepted.push(accepted)
      if (moved) told.moved.push(moved)
      if (claimed) told.claimed.push(claimed)
      if (settled) told.settled.push(settled)
      if (operated) told.operated.push(operated)
      if (stranger) told.stranger.push(stranger)
      return known
    },
  }
}

type Told = { readonly [Name in keyof ItemHandlers]-?: NonNullable<ItemHandlers[Name]>[] }

function noHandlers(): Told {
  return { accepted: [], moved: [], claimed: [], settled: [], operated: [], stranger: [] }
}

function newItem(run: NewRun, planned: NewItem, plan: StepPlan | undefined, fact: Fact): KnownItem {
  const id = itemId(run.id, planned.step)
  const waits = planned.after.length > 0 || planned.turn !== undefined
  return {
    itemId: id,
    runId: run.id,
    tenant: run.tenant,
    pipeline: run.pipeline,
    step: planned.step,
    lane: planned.lane,
    endpoint: planned.endpoint,
    after: planned.after,
    optional: planned.optional,
    plan,
    turn: planned.turn,
    operation: plan ? effectKeyOf(plan, JSON.parse(run.input) as AnyInput, id) : id,
    state: waits ? 'waiting' : 'queued',
    mayBeWoken: false,
    dueAtMs: waits ? undefined : planned.dueAtMs,
    token: 0,
    lease: undefined,
    counters: { attempts: 0, deferrals: 0, crashes: 0, replays: 0 },
    changedAtMs: fact.atMs,
  }
}

function add(item: KnownItem, more: Partial<ItemCounters>): void {
  const { attempts, deferrals, crashes, replays } = item.counters
  item.counters = {
    attempts: attempts + (more.attempts ?? 0),
    deferrals: deferrals + (more.deferrals ?? 0),
    crashes: crashes + (more.crashes ?? 0),
    replays: replays + (more.replays ?? 0),
  }
}

function dueOf({ to }: Settlement, nowMs: number): number | undefined {
  if (to.state === 'queued') return nowMs
  return 'dueAtMs' in to ? to.dueAtMs : undefined
}
