/**
 * What was claimed here and is not settled yet: the numbers of its runs, which each settlement would else look up, and how much
 * of each lane it is.
 */
export interface KnownRuns {
  remember(itemId: string, run: number, lane: number): void
  runOf(itemId: string): number | undefined
  forget(itemId: string): void
  /** Items that this process has of a lane, as far as is known. */
  held(lane: number): number
}

interface Known {
  readonly run: number
  readonly lane: number
}

/** Items whose leases are lost are never settled: now and then everything is forgotten. */
const MOST_REMEMBERED = 20_000

export function createKnownRuns(): KnownRuns {
  const items = new Map<string, Known>()
  const lanes = new Map<number, number>()
  function forget(itemId: string): void {
    const known = items.get(itemId)
    if (!known) return
    items.delete(itemId)
    lanes.set(known.lane, (lanes.get(known.lane) ?? 1) - 1)
  }

  return {
    remember(itemId, run, lane) {
      if (items.size >= MOST_REMEMBERED) {
        items.clear()
        lanes.clear()
      }
      forget(itemId)
      items.set(itemId, { run, lane })
      lanes.set(lane, (lanes.get(lane) ?? 0) + 1)
    },
    runOf: (itemId) => items.get(itemId)?.run,
    forget,
    held: (lane) => lanes.get(lane) ?? 0,
  }
}
