/**
 * What this connection knows of the items that it leased, which spares settlements a look-up. It holds for as long as the
 * lease does: only a claim or a settlement changes these columns, and either ends the lease, which each settlement checks.
 */
export interface KnownLease {
  readonly token: number
  /** The item's number, and its run's. */
  readonly no: number
  readonly run: number
  readonly lease: number
  readonly book: number
  /** Attempts on record. */
  readonly recorded: number
  readonly slowLaneTries: number
  readonly optional: boolean
  /** JSON array of steps; `null`: none. */
  readonly dependents: string | null
  /** Whose turn it has; `null`: nobody's. */
  readonly entity: number | null
  readonly isDeadLetter: boolean
  readonly memo: string | null
}

export interface KnownLeases {
  remember(itemId: string, lease: KnownLease): void
  /** Each lease is settled once: forgets it. */
  take(itemId: string, token: number): KnownLease | undefined
  /** After a rollback: leases that were given in it do not exist. */
  forget(): void
}

/** Leases that are lost are never settled: now and then everything is forgotten. */
const MOST_REMEMBERED = 20_000

export function createKnownLeases(): KnownLeases {
  const leases = new Map<string, KnownLease>()
  return {
    remember(itemId, lease) {
      if (leases.size >= MOST_REMEMBERED) leases.clear()
      leases.set(itemId, lease)
    },
    take(itemId, token) {
      const lease = leases.get(itemId)
      if (lease?.token !== token) return undefined
      leases.delete(itemId)
      return lease
    },
    forget: () => leases.clear(),
  }
}
