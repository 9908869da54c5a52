/** What a ledger must do, in the plainest code there is: the model that random sequences of operations are held against. */
import { type ItemState, isEndState } from '../../core/item-state.ts'
import type { ItemCounters, NewItem, NewRun, OperatorReceipt, SettledState } from '../port.ts'
import { idOf } from './support.ts'

export interface ModelItem {
  readonly id: string
  readonly runId: string
  readonly step: string
  readonly order: number
  readonly optional: boolean
  readonly after: readonly string[]
  state: ItemState
  dueAtMs: number | undefined
  token: number
  leaseUntilMs: number | undefined
  counters: { -readonly [Name in keyof ItemCounters]: number }
  cancelReason: string | undefined
  released: boolean
  outage: boolean
  endedAtMs: number | undefined
}

export type Outcome = Exclude<OperatorReceipt['outcome'], 'not_found'>

export class Model {
  readonly items = new Map<string, ModelItem>()
  accepted = 0
  gateUntilMs = 0
  suspended = false
  /** Items forgotten by retention, by state. */
  readonly archived = new Map<ItemState, number>()

  submit(run: NewRun): void {
    for (const item of run.items) this.#add(run, item)
    this.accepted += run.items.length
  }

  #add(run: NewRun, item: NewItem): void {
    const waits = item.after.length > 0
    this.items.set(idOf(run, item.step), {
      id: idOf(run, item.step),
      runId: run.id,
      step: item.step,
      order: this.items.size + this.accepted * 1000,
      optional: item.optional,
      after: item.after,
      state: waits ? 'waiting' : 'queued',
      dueAtMs: waits ? undefined : item.dueAtMs,
      token: 0,
      leaseUntilMs: undefined,
      counters: { attempts: 0, deferrals: 0, crashes: 0, replays: 0 },
      cancelReason: undefined,
      released: false,
      outage: false,
      endedAtMs: undefined,
    })
  }

  claim(nowMs: number, leaseUntilMs: number, limit: number, concurrency: number): string[] {
    if (this.suspended || this.gateUntilMs > nowMs) return []
    const leased = this.#all((item) => item.leaseUntilMs !== undefined).length
    const room = Math.max(0, Math.min(limit, concurrency - leased))
    const due = this.#all((item) => item.dueAtMs !== undefined && item.dueAtMs <= nowMs)
    due.sort((a, b) => (a.dueAtMs as number) - (b.dueAtMs as number) || byRunAndStep(a, b))
    return due.slice(0, room).map((item) => this.#lease(item, leaseUntilMs))
  }

  reclaim(nowMs: number, leaseUntilMs: number): string[] {
    const expired = this.#all((item) => item.leaseUntilMs !== undefined && item.leaseUntilMs <= nowMs)
    for (const item of expired) item.counters.crashes += 1
    return expired.map((item) => this.#lease(item, leaseUntilMs))
  }

  #lease(item: ModelItem, leaseUntilMs: number): string {
    item.state = 'processing'
    item.dueAtMs = undefined
    item.token += 1
    item.leaseUntilMs = leaseUntilMs
    return item.id
  }

  /** Returns the state it ended in; `undefined`: the lease is lost. */
  settle(id: string, token: number, to: SettledState, counts: boolean, deferral: boolean, nowMs: number) {
    const item = this.items.get(id)
    if (!item || item.token !== token || item.leaseUntilMs === undefined) return undefined
    const cancelled = item.cancelReason !== undefined && to.state !== 'succeeded'
    if (counts) item.counters.attempts += 1
    if (deferral) item.counters.deferrals += 1
    const due = to.state === 'queued' ? nowMs : 'dueAtMs' in to ? to.dueAtMs : undefined
    item.outage = 'deadLetter' in to && to.deadLetter.cause === 'outage'
    this.#move(item, cancelled ? 'cancelled' : to.state, cancelled ? undefined : due, nowMs)
    return item.state
  }

  replay(id: string, knownNotApplied: boolean, dueAtMs: number, nowMs: number): Outcome {
    return this.#operate(id, (item) => {
      if (item.state !== 'dead_lettered' && !(item.state === 'unknown_outcome' && knownNotApplied)) return 'refused'
      item.counters.replays += 1
      return this.#move(item, 'queued', dueAtMs, nowMs)
    })
  }

  discard(id: string, nowMs: number): Outcome {
    return this.#operate(id, (item) => {
      if (item.state === 'processing' || isEndState(item.state)) return 'refused'
      return this.#move(item, 'discarded', undefined, nowMs)
    })
  }

  cancel(id: string, reason: string, nowMs: number): Outcome {
    return this.#operate(id, (item) => {
      if (isEndState(item.state) || ['dead_lettered', 'unknown_outcome'].includes(item.state)) return 'refused'
      if (item.state !== 'processing') return this.#move(item, 'cancelled', undefined, nowMs)
      item.cancelReason = reason
      return 'marked'
    })
  }

  resolve(id: string, nowMs: number): Outcome {
    return this.#operate(id, (item) => {
      if (!['dead_lettered', 'unknown_outcome'].includes(item.state)) return 'refused'
      return this.#move(item, 'succeeded', undefined, nowMs)
    })
  }

  wake(what: 'parked' | 'slow_lane', nowMs: number): number {
    const held = this.#all(
      (item) =>
        item.dueAtMs !== undefined &&
        item.dueAtMs > nowMs &&
        (what === 'parked' ? item.state === 'parked' : item.state === 'dead_lettered' && item.outage),
    )
    for (const item of held) {
      item.dueAtMs = nowMs
      if (what === 'parked') item.state = 'queued'
    }
    return held.length
  }

  retain(endedBeforeMs: number): number {
    const runs = Map.groupBy(this.items.values(), (item) => item.runId)
    const ended = [...runs.values()].filter((items) =>
      items.every(({ endedAtMs = Infinity }) => endedAtMs < endedBeforeMs),
    )
    for (const item of ended.flat()) {
      this.archived.set(item.state, (this.archived.get(item.state) ?? 0) + 1)
      this.items.delete(item.id)
    }
    return ended.length
  }

  count(state: ItemState): number {
    return this.#all((item) => item.state === state).length + (this.archived.get(state) ?? 0)
  }

  #operate(id: string, action: (item: ModelItem) => Outcome): Outcome {
    const item = this.items.get(id)
    return item ? action(item) : 'refused'
  }

  #move(item: ModelItem, state: ItemState, dueAtMs: number | undefined, nowMs: number): 'done' {
    item.state = state
    item.dueAtMs = dueAtMs
    item.leaseUntilMs = undefined
    if (isEndState(state)) item.endedAtMs = nowMs
    const failed = ['dead_lettered', 'cancelled', 'discarded'].includes(state)
    if (['succeeded', 'skipped'].includes(state) || (item.optional && failed)) this.#release(item, nowMs)
    else if (state === 'cancelled' || state === 'discarded') this.#takeAlong(item, state, nowMs)
    return 'done'
  }

  #release(item: ModelItem, nowMs: number): void {
    item.released = true
    for (const next of this.#waitingFor(item)) {
      const needs = this.#all((other) => other.runId === next.runId && next.after.includes(other.step))
      if (!needs.every((need) => need.released)) continue
      next.state = 'queued'
      next.dueAtMs = nowMs
    }
  }

  #takeAlong(item: ModelItem, state: ItemState, nowMs: number): void {
    for (const next of this.#waitingFor(item)) {
      next.state = state
      next.endedAtMs = nowMs
      this.#takeAlong(next, state, nowMs)
    }
  }

  #waitingFor(item: ModelItem): ModelItem[] {
    return this.#all(
      (other) => other.runId === item.runId && other.state === 'waiting' && other.after.includes(item.step),
    )
  }

  #all(matches: (item: ModelItem) => boolean): ModelItem[] {
    return [...this.items.values()].filter(matches)
  }
}

function byRunAndStep(a: ModelItem, b: ModelItem): number {
  return a.runId === b.runId ? (a.step < b.step ? -1 : 1) : a.order - b.order
}
