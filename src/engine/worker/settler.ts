/**
 * Brings settlements to the ledger in batches, and never gives one up: while the store is busy or full it tries again, and
 * the lease (extended meanwhile) keeps the item ours.
 */
import type { Clock } from '../../core/clock.ts'
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { Ledger, Settlement, SettleReceipt } from '../../ledger/port.ts'

export interface Settler {
  /** Resolves when it is on disk, or known to be void because the lease was lost. */
  settle(settlement: Settlement): Promise<SettleReceipt>
  /**
   * Resolves when nothing is under way, or after `limitMs`: a store that takes nothing any more must not hold up the end of
   * the process. What was not written then is taken over when its lease ends, and looked for where that is needed.
   */
  flushed(limitMs: number): Promise<void>
}

interface Entry {
  readonly settlement: Settlement
  readonly resolve: (receipt: SettleReceipt) => void
}

const RETRY_BASE_MS = 50
const RETRY_CAP_MS = 2000

export function createSettler(parts: { ledger: Ledger; clock: Clock; events: EventBus }): Settler {
  const { ledger, clock, events } = parts
  let open: Entry[] = []
  let scheduled = false
  const underWay = new Set<Promise<void>>()

  function flush(): void {
    scheduled = false
    const batch = open
    open = []
    const work = write(batch).finally(() => underWay.delete(work))
    underWay.add(work)
  }

  async function write(batch: Entry[]): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        const receipts = await ledger.settle(
          batch.map((entry) => entry.settlement),
          clock.wallMs(),
        )
        batch.forEach((entry, index) => {
          entry.resolve(receipts[index] ?? { outcome: 'lease_lost' })
        })
        return
      } catch (error) {
        report(error, batch.length)
        if (batch.length > 1 && !isPassing(error)) {
          // One of them is poison: find it by writing each alone.
          await Promise.all(batch.map((entry) => write([entry])))
          return
        }
        if (!isPassing(error) && failures >= POISON_TRIES) {
          // Left to its lease: the item is taken over, and nothing is lost.
          batch[0]?.resolve({ outcome: 'lease_lost' })
          return
        }
        await clock.sleep(Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(failures, 10)))
      }
    }
  }

  function report(error: unknown, count: number): void {
    events.emit('engine.trouble', clock.wallMs(), {
      where: 'settle',
      message: `${count} settlement(s) could not be written yet: ${messageOf(error)}`,
      cause: error,
    })
  }

  async function everythingWritten(): Promise<void> {
    while (open.length > 0 || underWay.size > 0) {
      if (open.length > 0) flush()
      await Promise.all(underWay)
    }
  }

  return {
    settle(settlement) {
      return new Promise((resolve) => {
        open.push({ settlement, resolve })
        if (scheduled) return
        scheduled = true
        // End of the running step of the event loop: what ends together is written together.
        queueMicrotask(flush)
      })
    },
    async flushed(limitMs) {
      const done = new AbortController()
      const limit = clock.sleep(limitMs, done.signal).catch(() => undefined)
      await Promise.race([everythingWritten(), limit])
      done.abort()
    },
  }
}

const POISON_TRIES = 3
const PASSING_CODES: ReadonlySet<string> = new Set(['store_busy', 'store_full', 'store_unavailable'])

/** The store will take it later; anything else is about this settlement. */
function isPassing(error: unknown): boolean {
  return isHoldfastError(error) && PASSING_CODES.has(error.code)
}
