/** Rule 5: no item ever makes a transition that the table does not know, and the ledger's rows tell the same story as its receipts. */
import { ITEM_STATES, type ItemState, LEGAL_TRANSITIONS } from '../../../core/item-state.ts'
import type { ItemSummary } from '../../../ledger/port.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { storedItems } from './stored-items.ts'

export const legalTransitions: CheckFactory = ({ violated, followItems }) => {
  const items = followItems({
    moved(item, from, fact) {
      if (LEGAL_TRANSITIONS[from][item.state] !== undefined) return
      // An operator's word may come between a worker's claim and its settlement, but never changes what is leased.
      violated(`it went from ${from} to ${item.state}`, { itemId: item.itemId, fact: fact.no })
    },
    claimed(item, { claimed, previous, fact }) {
      const known = previous.state === claimed.from || (previous.mayBeWoken && claimed.from === 'queued')
      if (!known) {
        const message = `it was claimed from ${claimed.from}, and was ${previous.state}`
        violated(message, { itemId: item.itemId, fact: fact.no })
      }
    },
    stranger: (id, fact) => violated('the store gave an item that nobody submitted', { itemId: id, fact: fact.no }),
  })

  return {
    name: 'only legal transitions',
    async inspect({ ledger }) {
      const { states } = await ledger.balance({})
      const counted = countStates(items.all())
      for (const state of ITEM_STATES) {
        if (MERGED.has(state) || states[state] === (counted.get(state) ?? 0)) continue
        violated(`the books count ${states[state]} ${state}; by its receipts there are ${counted.get(state) ?? 0}`)
      }
      const held = (counted.get('queued') ?? 0) + (counted.get('parked') ?? 0)
      if (states.queued + states.parked !== held) {
        violated(`the books count ${states.queued + states.parked} queued or parked; by its receipts there are ${held}`)
      }
    },
    async end(view) {
      for (const row of await storedItems(view)) {
        const item = items.get(row.itemId)
        const difference = item ? differenceOf(item, row) : 'nobody submitted it'
        if (difference) violated(difference, { itemId: row.itemId })
      }
    },
  }
}

/** A wake-up turns parked items into queued ones without saying which. */
const MERGED: ReadonlySet<ItemState> = new Set(['queued', 'parked'])

function countStates(items: Iterable<KnownItem>): ReadonlyMap<ItemState, number> {
  const counts = new Map<ItemState, number>()
  for (const { state } of items) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

function differenceOf(item: KnownItem, row: ItemSummary): string | undefined {
  const woken = item.state === 'parked' && item.mayBeWoken && row.state === 'queued'
  if (row.state !== item.state && !woken) return `its row says ${row.state}; by its receipts it is ${item.state}`
  for (const counter of ['attempts', 'deferrals', 'crashes', 'replays'] as const) {
    const [stored, counted] = [row.counters[counter], item.counters[counter]]
    if (stored !== counted) return `its row says ${stored} ${counter}; by its receipts there were ${counted}`
  }
  return undefined
}
