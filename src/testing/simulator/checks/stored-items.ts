import type { ItemSummary } from '../../../ledger/port.ts'
import type { WorldView } from './check.ts'

const PAGE = 500

/** Every item the ledger has. */
export async function storedItems({ ledger }: WorldView): Promise<ItemSummary[]> {
  const rows: ItemSummary[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.items({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    rows.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return rows
}
