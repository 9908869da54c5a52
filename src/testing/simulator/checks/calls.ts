/** Calls, from the first byte that leaves to the answer; looks for a lost effect are told apart from what has one. */
import type { Fact } from '../fact.ts'
import type { KnownItem, KnownItems } from './known-items.ts'

export type SentFact = Extract<Fact, { kind: 'sent' }>
export type AnsweredFact = Extract<Fact, { kind: 'answered' }>

export interface Call {
  readonly call: number
  readonly process: string
  readonly api: string
  readonly endpoint: string
  /** Of several that share the call, the first: all are of one lane. */
  readonly item: KnownItem | undefined
  /** When its process decided to send it. */
  readonly startedAtMs: number
  readonly sentAtMs: number
  readonly isLook: boolean
}

/** When the process decided to send: it could not know then what came later. */
export function startOf(fact: SentFact): number {
  return fact.startedAtMs ?? fact.atMs
}

/** A GET for an item whose step does not read: a look whether its effect is there. */
export function isLook(item: KnownItem | undefined, endpoint: string): boolean {
  return item?.plan !== undefined && item.plan.kind !== 'read' && endpoint.startsWith('GET ')
}

/** All that share a call; most calls are for one. */
export function itemIdsOf({ itemId, shared }: Pick<SentFact, 'itemId' | 'shared'>): readonly string[] {
  return shared ?? (itemId === undefined ? [] : [itemId])
}

/** A call that may hold several records, or did before it was halved. */
export function isShared(item: KnownItem | undefined): boolean {
  return item?.plan?.batch !== undefined
}

export function callOf(fact: SentFact, items: KnownItems): Call {
  const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
  const { call, process, api, endpoint } = fact
  return {
    call,
    process,
    api,
    endpoint,
    item,
    startedAtMs: startOf(fact),
    sentAtMs: fact.atMs,
    isLook: isLook(item, fact.endpoint),
  }
}

/** 5xx that say that nothing was done; all 4xx do. RFC 9110 section 15.6, and what vendors say about theirs. */
const NOTHING_DONE: ReadonlySet<number> = new Set([501, 503, 505, 507, 508, 511, 521, 523, 525, 526, 529, 530])

/** The API itself said that it did not do it. */
export function saysNothingDone(status: number | undefined): boolean {
  return status !== undefined && ((status >= 400 && status < 500) || NOTHING_DONE.has(status))
}

/** The network proves that the request did not leave: `ECONNREFUSED (connect)`. */
export function neverLeft(fault: string | undefined): boolean {
  return fault !== undefined && /\((connect|before_send)\)/.test(fault)
}
