/**
 * Looks for a lost effect that came before their time, since whoever looked went by another clock than whoever had set the time, or by one
 * that was set ahead since: the one thing that clocks which do not agree can spoil (decision 005).
 */

import type { Fact } from '../fact.ts'
import type { CheckParts } from './check.ts'
import type { Claim, Ending, KnownItem } from './known-items.ts'
import { followMachines } from './machines.ts'

export interface EarlyLooks {
  observe(fact: Fact): void
  /** It was not there at the last look, and it was there when that look would have come by one clock. */
  wouldHaveSeen(itemId: string, doneAtMs: number): boolean
}

/** All for one try whose outcome is not known. */
interface Looks {
  isOver: boolean
  /** When the next one should come, in true time, by the clock of who said so. */
  plannedAtMs: number
  /** By how much those so far came too early, and when the last one did. */
  earlyMs: number
  lastAtMs: number
}

export function followEarlyLooks({ scenario, followItems }: Pick<CheckParts, 'scenario' | 'followItems'>): EarlyLooks {
  const machines = followMachines(scenario)
  const looks = new Map<string, Looks>()
  followItems({ claimed, settled })

  function settled(item: KnownItem, { settlement: { to }, receipt, fact }: Ending): void {
    if (receipt.outcome !== 'settled') return
    const known = looks.get(item.itemId)
    if (to.state !== 'unknown_outcome' || to.dueAtMs === undefined) {
      if (known) known.isOver = true
      return
    }
    const plannedAtMs = machines.trueMs(fact.process, to.dueAtMs)
    if (known && !known.isOver) known.plannedAtMs = plannedAtMs
    else looks.set(item.itemId, { isOver: false, plannedAtMs, earlyMs: 0, lastAtMs: Number.POSITIVE_INFINITY })
  }

  function claimed(item: KnownItem, { previous, fact }: Claim): void {
    const known = looks.get(item.itemId)
    if (!known || known.isOver || previous.state !== 'unknown_outcome' || previous.dueAtMs === undefined) return
    // Where its own clock does not say so either, no clock is to blame.
    if (machines.wallMs(fact.process, fact.atMs) < previous.dueAtMs) return
    known.earlyMs += Math.max(0, known.plannedAtMs - fact.atMs)
    known.lastAtMs = fact.atMs
  }

  return {
    observe(fact) {
      machines.observe(fact)
    },
    wouldHaveSeen(itemId, doneAtMs) {
      const known = looks.get(itemId)
      return known !== undefined && doneAtMs > known.lastAtMs && doneAtMs <= known.lastAtMs + known.earlyMs
    },
  }
}
