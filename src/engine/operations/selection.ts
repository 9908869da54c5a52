/** Dead letters, or other items, by id, by group or by filter, page by page. */
import type { ItemState } from '../../core/item-state.ts'
import type { ItemFilter, ItemSummary, Ledger } from '../../ledger/port.ts'
import type { Selection } from '../api.ts'

const PAGE = 500

/** Items that a person may act on; ids that are not found come back as `undefined` rows. */
export async function* selectItems(
  ledger: Ledger,
  selection: Selection,
  states: readonly ItemState[] = ACTIONABLE,
): AsyncGenerator<{ readonly itemId: string; readonly item: ItemSummary | undefined }> {
  if ('itemIds' in selection) {
    for (const itemId of new Set(selection.itemIds)) yield { itemId, item: await ledger.item(itemId) }
    return
  }
  const filter = filterOf(selection, states)
  let cursor: string | undefined
  do {
    const page = await ledger.items(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const item of page.rows) yield { itemId: item.itemId, item }
    cursor = page.cursor
  } while (cursor !== undefined)
}

export async function selectedItems(
  ledger: Ledger,
  selection: Selection,
): Promise<{ itemId: string; item: ItemSummary | undefined }[]> {
  return Array.fromAsync(selectItems(ledger, selection))
}

function filterOf(
  selection: Exclude<Selection, { itemIds: readonly string[] }>,
  states: readonly ItemState[],
): ItemFilter {
  if ('fingerprint' in selection) return { fingerprint: selection.fingerprint, states }
  return { states, ...selection.filter }
}

/** What can be replayed or discarded. */
export const ACTIONABLE: readonly ItemState[] = ['dead_lettered', 'unknown_outcome']
/** What can be cancelled. */
export const CANCELLABLE: readonly ItemState[] = ['waiting', 'queued', 'processing', 'retrying', 'parked']
