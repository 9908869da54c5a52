/** Dead letters by id, by group or by filter, page by page. */
import type { ItemFilter, ItemSummary, Ledger } from '../ledger/port.ts'
import type { Selection } from './api.ts'

const PAGE = 500

/** Items that a person may act on; ids that are not found come back as `undefined` rows. */
export async function* selectItems(
  ledger: Ledger,
  selection: Selection,
): AsyncGenerator<{ readonly itemId: string; readonly item: ItemSummary | undefined }> {
  if ('itemIds' in selection) {
    for (const itemId of new Set(selection.itemIds)) yield { itemId, item: await ledger.item(itemId) }
    return
  }
  const filter = filterOf(selection)
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

function filterOf(selection: Exclude<Selection, { itemIds: readonly string[] }>): ItemFilter {
  if ('fingerprint' in selection) return { fingerprint: selection.fingerprint, states: ACTIONABLE }
  return { states: ACTIONABLE, ...selection.filter }
}

const ACTIONABLE = ['dead_lettered', 'unknown_outcome'] as const
