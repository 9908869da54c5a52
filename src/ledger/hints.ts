/** Where work has become due, as processes tell each other. A hint decides nothing: whoever hears of it asks the ledger. */
import type { ChannelRef, NewRun, SubmitReceipt } from './requests.ts'

/** `undefined`: it may be anywhere. */
export type Where = readonly ChannelRef[] | undefined

/** Of more it is not said where they are. */
const MOST_CHANNELS = 100

/** Where these runs, just accepted, have made work due. */
export function whereDue(runs: readonly NewRun[]): Where {
  const [run, ...others] = runs
  const [item, ...more] = run?.items ?? []
  // What most submits are.
  if (run && item && others.length + more.length === 0 && item.dueAtMs <= run.createdAtMs) {
    return [{ lane: item.lane, endpoint: item.endpoint }]
  }
  const found = new Map<string, ChannelRef>()
  for (const { items, createdAtMs } of runs) {
    for (const { lane, endpoint, after, dueAtMs } of items) {
      if (after.length > 0) continue
      // Everybody must see that it is there, to know when.
      if (dueAtMs > createdAtMs) return undefined
      found.set(nameOf({ lane, endpoint }), { lane, endpoint })
    }
    if (found.size > MOST_CHANNELS) return undefined
  }
  return [...found.values()]
}

/** Of what was submitted: the runs that somebody has to be told of. What is known already, or leased to a worker that waits, is not. */
export function withoutTaker(runs: readonly NewRun[], receipts: readonly SubmitReceipt[]): NewRun[] {
  return runs.filter((_run, index) => {
    const receipt = receipts[index]
    return receipt?.outcome === 'accepted' && receipt.isLeased !== true
  })
}

/** What two hints tell. */
export function together(one: Where, other: Where): Where {
  if (!one || !other) return undefined
  const all = new Map([...one, ...other].map((channel) => [nameOf(channel), channel]))
  return all.size > MOST_CHANNELS ? undefined : [...all.values()]
}

function nameOf({ lane, endpoint }: ChannelRef): string {
  return `${lane} ${endpoint}`
}
