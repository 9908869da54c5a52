/**
 * Claimed items that cannot be read here. Where a key is missing, they are given back for a process that has it; what is damaged
 * goes to a person. The others of the claim are worked on: one bad record stops nobody.
 */
import { type HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { sha256Hex } from '../../core/json.ts'
import type { ClaimedItem, Ledger, SettledState, Settlement } from '../port.ts'

/** Long enough that a process without the key does not take it again and again, short for those who have it. */
const GIVEN_BACK_FOR_MS = 30_000

export interface Unreadable {
  without(
    claimed: readonly ClaimedItem[],
    open: (item: ClaimedItem) => ClaimedItem,
    nowMs: number,
  ): Promise<ClaimedItem[]>
}

export function createUnreadable(inner: Pick<Ledger, 'settle'>): Unreadable {
  return {
    async without(claimed, open, nowMs) {
      const readable: ClaimedItem[] = []
      const settlements: Settlement[] = []
      for (const item of claimed) {
        try {
          readable.push(open(item))
        } catch (error) {
          if (!isHoldfastError(error)) throw error
          const { itemId, tenant, token } = item
          settlements.push({ itemId, tenant, token, deferral: true, to: endOf(error, nowMs) })
        }
      }
      if (settlements.length > 0) await inner.settle(settlements, nowMs)
      return readable
    },
  }
}

function endOf(error: HoldfastError, nowMs: number): SettledState {
  const { code, message, hint } = error
  if (code !== 'stored_payload_damaged') {
    return { state: 'parked', dueAtMs: nowMs + GIVEN_BACK_FOR_MS, reason: message }
  }
  const fingerprint = sha256Hex(`holdfast ${code}`).slice(0, 12)
  const deadLetter = { fingerprint, summary: message, hint, cause: 'configuration' } as const
  return { state: 'dead_lettered', reason: message, deadLetter }
}
