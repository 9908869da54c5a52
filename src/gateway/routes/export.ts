/** Dead letters with payload and attempts, one per line, for the people who own the data. */
import type { ItemFilter, ItemSummary, PageOf } from '../../ledger/port.ts'
import { shownItem } from '../present.ts'
import type { Add, Call } from '../route.ts'
import * as schemas from '../schemas.ts'
import { filterOf } from '../schemas.ts'
import { LINES_TYPE } from './submit-lines.ts'

const INBOX = ['dead_lettered', 'unknown_outcome'] as const
const PAGE = 200

export function addExport(add: Add): void {
  add({
    method: 'get',
    path: '/v1/dead-letters/export',
    scope: 'read',
    summary: 'Dead letters with payload and attempts, newest first, one per line',
    description: 'Read as fast as they are taken; the values of secret fields are replaced by "[redacted]".',
    query: schemas.exportQuery,
    answers: { 200: { description: 'All of them.', schema: schemas.itemRecord, type: LINES_TYPE } },
    handle(call) {
      const lines = exported(call, { ...filterOf(call.query), states: INBOX })
      return new Response(ReadableStream.from(lines), { headers: { 'content-type': LINES_TYPE } })
    },
  })
}

async function* exported({ operations, parts }: Call, filter: ItemFilter): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  let cursor: string | undefined
  do {
    const page: PageOf<ItemSummary> = await operations.items(filter, {
      limit: PAGE,
      ...(cursor !== undefined && { cursor }),
    })
    for (const { itemId } of page.rows) {
      const item = await operations.item(itemId)
      if (item) yield encoder.encode(`${JSON.stringify(shownItem(item, parts.redact))}\n`)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}
