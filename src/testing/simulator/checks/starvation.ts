import type { CheckFactory } from './check.ts'
import type { StoreFactOf } from './known-items.ts'
import { followMachines } from './machines.ts'

const POLLS = 20
const LEASES = 3
/** A place to rest after limits and refusals that nobody tells of. */
const GRACE_MS = 60_000

export const nothingStarves: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  /** By lane and by process. */
  const leased = new Map<string, number>()
  const claimedAtMs = new Map<string, number>()
  /** By lane: until when whatever had all its places kept them, and nothing was claimed. */
  const stuckUntilMs = new Map<string, number>()
  const closedUntilMs = new Map<string, number>()
  const suspended = new Set<string>()
  /** By API: when one of its breakers changed last. */
  const troubledAtMs = new Map<string, number>()
  const reported = new Set<string>()
  let quietAtMs: number | undefined
  followItems({
    claimed(item, { previous, takenOver, fact }) {
      claimedAtMs.set(`${item.lane} ${item.endpoint}`, fact.atMs)
      if (!takenOver) claimedAtMs.set(item.lane, fact.atMs)
      if (takenOver && previous.lease) count(leased, previous.lease.process, -1)
      if (!takenOver) count(leased, item.lane, 1)
      count(leased, fact.process, 1)
    },
    settled(item, { receipt, lease, settlement, fact }) {
      if (receipt.outcome !== 'settled') return
      const isStuck = isFullLane(item.lane) && fact.atMs - (claimedAtMs.get(item.lane) ?? 0) > boundMs
      // What a lost worker has keeps its place until its lease ends; that takes hours where the clock was set back by them.
      if (isStuck) stuckUntilMs.set(item.lane, fact.atMs)
      if (lease) count(leased, lease.process, -1)
      count(leased, item.lane, -1)
      if (settlement.gate) close(settlement.gate)
    },
  })

  const boundMs = Math.max(
    ...scenario.machines.map(
      ({ settings }) => POLLS * (settings.pollMs ?? 250) + LEASES * (settings.leaseMs ?? 30_000),
    ),
    GRACE_MS,
  )

  function close({ lane, untilMs }: { readonly lane: string; readonly untilMs: number }): void {
    closedUntilMs.set(lane, Math.max(untilMs, closedUntilMs.get(lane) ?? 0))
  }

  /** Asking what is due is how a worker begins each turn: what it sees and leaves is what starves. */
  function onLook(fact: StoreFactOf<'channels'>): void {
    if (quietAtMs === undefined) return
    const nowMs = machines.wallMs(fact.process, fact.atMs)
    for (const { lane, endpoint, earliestDueMs } of fact.result ?? []) {
      const channel = `${lane} ${endpoint}`
      const openAtMs = Math.max(earliestDueMs, closedUntilMs.get(lane) ?? 0)
      const dueSinceMs = Math.max(machines.trueMs(fact.process, openAtMs) + machines.spreadMs, quietAtMs)
      const waitedMs = fact.atMs - Math.max(dueSinceMs, claimedAtMs.get(channel) ?? 0, stuckUntilMs.get(lane) ?? 0)
      if (openAtMs > nowMs || waitedMs <= boundMs || reported.has(channel) || isHeld(lane, fact.atMs)) continue
      reported.add(channel)
      violated(`${lane}, ${endpoint}: due since ${Math.round(waitedMs)} ms, and nobody claims it (bound ${boundMs})`)
    }
  }

  function integrationOf(lane: string) {
    const [process] = machines.running()
    return process === undefined ? undefined : machines.integration(process, apiOf(lane))
  }

  function isFullLane(lane: string): boolean {
    return (leased.get(lane) ?? 0) >= (integrationOf(lane)?.limits.concurrency ?? Number.POSITIVE_INFINITY)
  }

  function isHeld(lane: string, atMs: number): boolean {
    if (suspended.has(lane) || isFullLane(lane)) return true
    const integration = integrationOf(lane)
    if (integration) {
      // A quota may be spent for long.
      if (integration.limits.quota) return true
      const { maxOpenMs, probeLeaseMs } = integration.defaults.breaker
      // It opens for a while, and probes; but a breaker in which nothing moves any more holds nothing up for ever.
      if (atMs - (troubledAtMs.get(apiOf(lane)) ?? Number.NEGATIVE_INFINITY) < maxOpenMs + probeLeaseMs + boundMs)
        return true
    }
    return [...machines.running()].every(isFull)
  }

  function isFull(process: string): boolean {
    const plan = machines.plan(process)
    return plan !== undefined && (leased.get(process) ?? 0) >= plan.workers * plan.concurrency
  }

  return {
    name: 'nothing starves',
    observe(fact) {
      machines.observe(fact)
      if (fact.kind === 'quiet') quietAtMs = fact.atMs
      if (fact.kind === 'event' && fact.event.type === 'breaker.changed') {
        troubledAtMs.set(fact.event.key.split(':')[0] as string, fact.atMs)
      }
      if (fact.kind !== 'store' || fact.refused !== undefined) return
      if (fact.method === 'closeGates') for (const gate of fact.request[0]) close(gate)
      else if (fact.method === 'openGates') for (const lane of fact.request[0]) closedUntilMs.delete(lane)
      else if (fact.method === 'suspendLanes') for (const { lane } of fact.request[0]) suspended.add(lane)
      else if (fact.method === 'resumeLanes') for (const lane of fact.request[0]) suspended.delete(lane)
      else if (fact.method === 'channels') onLook(fact)
    },
  }
}

function apiOf(lane: string): string {
  return lane.split('/')[0] as string
}

function count(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
