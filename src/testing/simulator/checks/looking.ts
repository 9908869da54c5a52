/** A worker never stops looking for work: whatever goes wrong in one turn, the next one comes (R030). */
import type { CheckFactory } from './check.ts'
import { followMachines } from './machines.ts'

/** In a row that a process may miss. */
const POLLS = 20
/** What a settlement or a shared turn may hold up. */
const GRACE_MS = 5000

export const workersKeepLooking: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  const leased = new Map<string, number>()
  const lookedAtMs = new Map<string, number>()
  const reported = new Set<string>()
  let isQuiet = false
  followItems({
    claimed(_item, { previous, fact }) {
      if (previous.lease) add(previous.lease.process, -1)
      add(fact.process, 1)
    },
    settled(_item, { receipt, lease }) {
      if (receipt.outcome === 'settled' && lease) add(lease.process, -1)
    },
  })

  function add(process: string, by: number): void {
    leased.set(process, (leased.get(process) ?? 0) + by)
  }

  function judge(process: string, atMs: number): void {
    const plan = machines.plan(process)
    if (!plan || reported.has(process)) return
    const silentMs = atMs - (lookedAtMs.get(process) ?? atMs)
    const boundMs = POLLS * machines.settings(process).pollMs + GRACE_MS
    // One whose places are all taken has no need to look.
    if (silentMs <= boundMs || (leased.get(process) ?? 0) >= plan.concurrency) return
    reported.add(process)
    violated(`${process} has not looked for work for ${Math.round(silentMs)} ms (it should each ${boundMs / POLLS} ms)`)
  }

  return {
    name: 'workers keep looking',
    observe(fact) {
      machines.observe(fact)
      if (fact.kind === 'quiet') {
        isQuiet = true
        for (const process of machines.running()) lookedAtMs.set(process, fact.atMs)
      } else if (fact.kind === 'process_started') lookedAtMs.set(fact.process, fact.atMs)
      if (!isQuiet || fact.kind !== 'store') return
      if (fact.method === 'channels') lookedAtMs.set(fact.process, fact.atMs)
      else if (fact.method === 'lanes' && machines.isRunning(fact.process)) judge(fact.process, fact.atMs)
    },
  }
}
