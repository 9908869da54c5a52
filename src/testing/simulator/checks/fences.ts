/** Rule 6, C1: a process that has lost an item does nothing for it any more. */
import { callOf, startOf } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { followMachines } from './machines.ts'

/** Wall clocks show whole milliseconds. */
const RESOLUTION_MS = 2

export const nothingSentWithoutLease: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  /** By item and process: when its lease ends by its own clock, in true time. */
  const ownEnds = new Map<string, number>()
  const items = followItems({
    claimed(item, { fact }) {
      const { leaseUntilMs } = fact.request[0]
      // A claim that nobody heard of gives nothing to its process; the next one may.
      if (fact.heard) ownEnds.set(`${item.itemId} ${fact.process}`, endOf(fact.process, leaseUntilMs, fact.atMs))
    },
    settled(item, { receipt, fact }) {
      if (receipt.outcome === 'settled') ownEnds.delete(`${item.itemId} ${fact.process}`)
    },
  })

  /** Never later than a whole lease from now, whatever the clock showed meanwhile. */
  function endOf(process: string, leaseUntilMs: number, atMs: number): number {
    return Math.min(machines.trueMs(process, leaseUntilMs), atMs + machines.settings(process).leaseMs)
  }

  function judge(item: KnownItem, process: string, atMs: number, what: string): void {
    if (item.lease?.process === process) return
    const ownEndMs = ownEnds.get(`${item.itemId} ${process}`)
    const holder = item.lease ? `${item.lease.process} has it` : `it is ${item.state}`
    if (ownEndMs === undefined) {
      violated(`${process} ${what} for it, and ${holder}`, { itemId: item.itemId })
      return
    }
    // By its own clock it still had the lease: the others' clocks were ahead, and that is what leases carry a margin for.
    if (machines.spreadMs > 0 && atMs <= ownEndMs + RESOLUTION_MS) return
    const lateMs = Math.round(atMs - ownEndMs)
    violated(`${process} ${what} for it ${lateMs} ms after its lease had ended, and ${holder}`, { itemId: item.itemId })
  }

  return {
    name: 'nothing is done without a lease',
    observe(fact) {
      machines.observe(fact)
      if (fact.kind === 'store' && fact.method === 'extendLeases' && fact.result && fact.heard) {
        const [fences, leaseUntilMs] = fact.request
        for (const { itemId } of fences) {
          const key = `${itemId} ${fact.process}`
          if (ownEnds.has(key)) ownEnds.set(key, endOf(fact.process, leaseUntilMs, fact.atMs))
        }
      }
      if (fact.kind === 'sent') {
        const { item } = callOf(fact, items)
        if (item) judge(item, fact.process, Math.max(startOf(fact), fact.atMs), 'sent a call')
      }
      if (fact.kind === 'code' && fact.what === 'started') {
        const item = items.get(fact.itemId)
        if (item) judge(item, fact.process, fact.atMs, 'started its code')
      }
    },
  }
}
