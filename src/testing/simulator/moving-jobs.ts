/** Jobs that should still come to their end by themselves. */
import type { Ledger } from '../../ledger/port.ts'

/** Nobody asks for more in one run. */
const PAGE = 500

/** Left out: those of which an item waits for others, which may need a person. */
export async function movingJobs(ledger: Ledger): Promise<readonly string[]> {
  const found: string[] = []
  const { rows } = await ledger.jobs({ open: true }, { limit: PAGE })
  for (const { id } of rows) {
    const members = await ledger.jobItems(id, { after: 0, limit: PAGE })
    if (!members.some(({ state }) => state === 'waiting')) found.push(id)
  }
  return found
}
