/** Why an order of a person, or a reservation, does not fit what is there: the same words from every adapter. */
import { type ItemState, isEndState } from '../core/item-state.ts'
import type { EffectReceipt, NewEffect, ReplayOrder } from './port.ts'

/** `undefined`: it may be done. */
export type Refusal = string | undefined

export function whyNoReplay(state: ItemState, order: ReplayOrder): Refusal {
  if (state === 'dead_lettered') return undefined
  if (state === 'unknown_outcome') {
    return order.knownNotApplied ? undefined : 'it may have happened: replay it only if you know that it did not'
  }
  return `only a dead letter or an unknown outcome can be replayed; this is ${state}`
}

export function whyNoDiscard(state: ItemState): Refusal {
  if (state === 'processing') return 'it is being processed: cancel it, or wait until it is not'
  return isEndState(state) ? `it has ended: ${state}` : undefined
}

export function whyNoCancel(state: ItemState): Refusal {
  if (state === 'dead_lettered') return 'it is a dead letter: discard it'
  if (state === 'unknown_outcome') return 'it may have happened: resolve or discard it'
  return isEndState(state) ? `it has ended: ${state}` : undefined
}

export function whyNoResolve(state: ItemState): Refusal {
  if (state === 'dead_lettered' || state === 'unknown_outcome') return undefined
  return `only a dead letter or an unknown outcome can be resolved; this is ${state}`
}

/** An operation that is known already. */
export interface KnownEffect {
  readonly fingerprint: string
  readonly owner: string
  readonly done: boolean
  readonly reservedUntilMs: number
  readonly output: string | null
  readonly externalId: string | null
}

/** What someone is told who may not start a known operation. */
export function effectRefusal(known: KnownEffect, effect: NewEffect, nowMs: number): EffectReceipt {
  const { owner, reservedUntilMs } = known
  if (known.fingerprint !== effect.fingerprint) return { outcome: 'mismatch', owner }
  if (known.done) {
    const externalId = known.externalId === null ? {} : { externalId: known.externalId }
    return { outcome: 'done', output: known.output ?? 'null', ...externalId }
  }
  if (reservedUntilMs > nowMs) return { outcome: 'in_progress', owner, reservedUntilMs }
  return { outcome: 'unknown', owner }
}
