import type { FaultKind } from './fault.ts'

/** What arrived, and how it ended. Live: the maps go on counting. */
export interface RequestCounts {
  readonly total: number
  /** By `POST /contacts`. */
  readonly byRoute: ReadonlyMap<string, number>
  /** By `http_201`, the name of a fault, `outage_hang`, `brown_out`, `rate_limited`, `caller_left`, `failed` (the route or
   * the target did) or `closed`. */
  readonly byOutcome: ReadonlyMap<string, number>
  /** By whole wall-clock second of arrival, since the epoch. */
  readonly bySecond: ReadonlyMap<number, number>
}

export interface Counters {
  readonly requests: RequestCounts
  readonly faults: ReadonlyMap<FaultKind, number>
  /** Returns which request of its route this is, from 1. */
  arrived(route: string, wallMs: number): number
  ended(outcome: string): void
  fired(kind: FaultKind): void
  /** Resolves as soon as `predicate` holds; asks after every change. */
  until(predicate: () => boolean): Promise<void>
  /** For changes counted elsewhere, such as effects. */
  changed(): void
}

export function createCounters(): Counters {
  let total = 0
  const byRoute = new Map<string, number>()
  const byOutcome = new Map<string, number>()
  const bySecond = new Map<number, number>()
  const faults = new Map<FaultKind, number>()
  const waiting = new Set<{ predicate: () => boolean; resolve: () => void }>()

  function changed(): void {
    for (const waiter of waiting) {
      if (!waiter.predicate()) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
  }

  return {
    requests: {
      get total() {
        return total
      },
      byRoute,
      byOutcome,
      bySecond,
    },
    faults,
    arrived(route, wallMs) {
      total++
      increment(bySecond, Math.floor(wallMs / 1000))
      const nth = increment(byRoute, route)
      changed()
      return nth
    },
    ended(outcome) {
      increment(byOutcome, outcome)
      changed()
    },
    fired(kind) {
      increment(faults, kind)
    },
    until(predicate) {
      if (predicate()) return Promise.resolve()
      return new Promise((resolve) => {
        waiting.add({ predicate, resolve })
      })
    },
    changed,
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): number {
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  return count
}
