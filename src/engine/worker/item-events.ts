import type { EventCatalogue, ItemRef } from '../../core/events.ts'
import type { ClaimedItem, Settlement, SettleReceipt } from '../../ledger/port.ts'

export function itemRefOf(item: ClaimedItem): ItemRef {
  const { itemId, runId, pipeline, step, tenant, lane, endpoint } = item
  return { itemId, runId, pipeline, step, tenant, lane, endpoint }
}

const SUPERSEDED = 'a newer value of its entity was accepted while it was being processed'

export function settledEvent(
  item: ClaimedItem,
  settlement: Settlement,
  receipt: Extract<SettleReceipt, { outcome: 'settled' }>,
): EventCatalogue['item.settled'] {
  const { to, attempt } = settlement
  const counted = attempt?.counts ? 1 : 0
  const attempts = item.counters.attempts + counted
  // It would have been tried again, but there is a newer value.
  if (receipt.state === 'superseded') return { ...itemRefOf(item), state: 'superseded', reason: SUPERSEDED, attempts }
  return {
    ...itemRefOf(item),
    state: receipt.state,
    reason: 'reason' in to ? to.reason : (to.note ?? ''),
    attempts,
    ...('dueAtMs' in to && to.dueAtMs !== undefined && { dueAtMs: to.dueAtMs }),
    ...(attempt?.failure && { failure: attempt.failure }),
  }
}
