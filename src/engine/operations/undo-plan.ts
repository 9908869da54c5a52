/** What is to be done about a run whose pipeline compensates (R029). Pure. */
import { type ItemState, isEndState } from '../../core/item-state.ts'
import type { ItemSummary } from '../../ledger/port.ts'

export type UndoDecision =
  | { readonly kind: 'nothing' }
  /** Nothing of the run may begin any more. */
  | { readonly kind: 'stop'; readonly itemIds: readonly string[] }
  /** Something is under way, or may have happened: what is not known cannot be undone. */
  | { readonly kind: 'wait' }
  /** These succeeded and can be undone; newest first, each after those that came after it. */
  | {
      readonly kind: 'undo'
      readonly because: string
      readonly steps: readonly UndoStep[]
      /** Dead letters that must not be replayed any more: what came before them is gone. */
      readonly endIds: readonly string[]
    }

export interface UndoStep {
  readonly step: string
  readonly after: readonly string[]
}

export interface UndoFacts {
  readonly items: readonly ItemSummary[]
  /** The steps of the pipeline in their order, each with those it needs. */
  readonly needs: ReadonlyMap<string, readonly string[]>
  readonly undoable: ReadonlySet<string>
}

export function decideUndo({ items, needs, undoable }: UndoFacts): UndoDecision {
  const failed = items.find(failedForGood)
  // Where nothing was done, the dead letter is like any other: it can be corrected and replayed.
  if (!failed || !items.some((item) => undoable.has(item.step) && MAY_HAVE_HAPPENED.has(item.state))) {
    return { kind: 'nothing' }
  }
  const open = items.filter((item) => !isEndState(item.state) && !isDeadLetter(item))
  const stoppable = open.filter((item) => item.state !== 'processing' && item.state !== 'unknown_outcome')
  if (stoppable.length > 0) return { kind: 'stop', itemIds: stoppable.map((item) => item.itemId) }
  if (open.length > 0) return { kind: 'wait' }
  const done = new Set(items.filter((item) => item.state === 'succeeded').map((item) => item.step))
  const steps = [...needs.keys()].filter((step) => done.has(step) && undoable.has(step)).reverse()
  if (steps.length === 0) return { kind: 'nothing' }
  return {
    kind: 'undo',
    because: failed.step,
    endIds: items.filter(isDeadLetter).map((item) => item.itemId),
    steps: steps.map((step, place) => ({
      step,
      after: steps.slice(0, place).filter((later) => isNeeded(step, later, needs)),
    })),
  }
}

const MAY_HAVE_HAPPENED: ReadonlySet<ItemState> = new Set(['succeeded', 'processing', 'unknown_outcome'])

/** The slow lane tries outages again by itself: that is not for good. */
function failedForGood(item: ItemSummary): boolean {
  return !item.optional && isDeadLetter(item) && item.dueAtMs === undefined
}

function isDeadLetter(item: ItemSummary): boolean {
  return item.state === 'dead_lettered'
}

/** Directly, or by steps between. */
function isNeeded(step: string, by: string, needs: ReadonlyMap<string, readonly string[]>): boolean {
  return (needs.get(by) ?? []).some((needed) => needed === step || isNeeded(step, needed, needs))
}
