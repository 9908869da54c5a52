/** R001, R030: once nothing goes wrong any more, every item comes to its end, or to a person. */

import { isEndState } from '../../../core/item-state.ts'
import type { ItemSummary } from '../../../ledger/port.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { storedItems } from './stored-items.ts'

export const everythingEnds: CheckFactory = ({ violated, followItems }) => {
  const items = followItems()

  function whyNotEnded(row: ItemSummary, rows: ReadonlyMap<string, ItemSummary>): string | undefined {
    if (isEndState(row.state) || row.state === 'dead_lettered') return undefined
    if (row.state === 'unknown_outcome') {
      return row.dueAtMs === undefined ? undefined : 'its effect is still being looked for'
    }
    if (row.state !== 'waiting') return `it is still ${row.state}: ${row.reason}`
    const item = items.get(row.itemId)
    // Whoever is first in its order is judged by itself.
    const [first] = item ? items.turns.before(item) : []
    if (first) return undefined
    const needed = (item ? items.ofRun(item.runId) : []).filter(({ step }) => item?.after.includes(step))
    if (needed.some((other) => stops(other, rows.get(other.itemId)))) return undefined
    return `it waits for ${needed.map((other) => `${other.step}, ${rows.get(other.itemId)?.state}`).join('; ')}`
  }

  return {
    name: 'everything ends, or needs a person',
    async end(view) {
      const rows = new Map((await storedItems(view)).map((row) => [row.itemId, row]))
      for (const row of rows.values()) {
        const why = whyNotEnded(row, rows)
        if (why) violated(why, { itemId: row.itemId })
      }
    },
  }
}

/** A step behind which others rightly wait. */
function stops(item: KnownItem, row: ItemSummary | undefined): boolean {
  if (row?.state === 'dead_lettered') return !item.optional
  return row?.state === 'unknown_outcome' || row?.state === 'waiting'
}
