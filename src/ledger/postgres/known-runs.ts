/** The numbers of runs whose items were claimed here: each settlement would else look its own up. */
export interface KnownRuns {
  remember(itemId: string, run: number): void
  runOf(itemId: string): number | undefined
  forget(itemId: string): void
}

/** Items whose leases are lost are never settled: now and then everything is forgotten. */
const MOST_REMEMBERED = 20_000

export function createKnownRuns(): KnownRuns {
  const runs = new Map<string, number>()
  return {
    remember(itemId, run) {
      if (runs.size >= MOST_REMEMBERED) runs.clear()
      runs.set(itemId, run)
    },
    runOf: (itemId) => runs.get(itemId),
    forget: (itemId) => void runs.delete(itemId),
  }
}
