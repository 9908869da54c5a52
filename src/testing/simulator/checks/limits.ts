/** R049-R051: never more calls of a lane under way than its concurrency, over all machines; never more per time than its rate. */
import type { RateSettings } from '../../../config/settings.ts'
import type { Fact } from '../fact.ts'
import type { Scenario } from '../scenario.ts'
import { type SentFact, startOf } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { followMachines, machineOf } from './machines.ts'

/** Wall clocks show whole milliseconds. */
const RESOLUTION_MS = 2
/** Instead of a process: all of them. */
const ALL = '*#'
/** Calls that a process allowed itself while the store was away, and what the others learn of them later. */
const STORE_TROUBLE_LINGERS_MS = 10_000

export const limitsAreKept: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  /** By lane: items that are leased, over all machines. */
  const leased = new Map<string, number>()
  const inFlight = new Map<string, Map<number, KnownItem>>()
  const laneOfCall = new Map<number, string>()
  /** By process and lane, and by lane over all processes: when calls were started, oldest first. */
  const starts = new Map<string, number[]>()
  /** By machine, and for all of them: since when their windows are laid by the clock of now. */
  const laidSinceMs = new Map<string, number>()
  /** By lane: the highest limit that any process had. */
  const highest = new Map<string, number>()
  const largest = largestCalls(scenario)
  let storeTroubledAtMs = Number.NEGATIVE_INFINITY
  const items = followItems({
    claimed(item, { takenOver, fact }) {
      if (takenOver) dropCalls(item)
      else {
        const count = (leased.get(item.lane) ?? 0) + 1
        leased.set(item.lane, count)
        const concurrency = allowedOn(item)
        // Of what shares calls the store counts items, and a call of the largest size has a place for each (docs/batches.md).
        const allowed = concurrency && concurrency * largestCall(item)
        if (allowed !== undefined && count > allowed) {
          const message = `${count} items of ${item.lane} are leased; it may have ${allowed} at the same time`
          violated(message, { itemId: item.itemId, fact: fact.no })
        }
      }
    },
    settled(item, { receipt }) {
      if (receipt.outcome === 'settled') leased.set(item.lane, (leased.get(item.lane) ?? 1) - 1)
    },
  })

  /** A call whose lease has passed to someone else may still be under way: nobody can take it back. */
  function dropCalls(item: KnownItem): void {
    const calls = inFlight.get(item.lane)
    for (const [call, owner] of calls ?? []) if (owner === item) calls?.delete(call)
  }

  /** The most that any process of now may do: they differ while a new configuration is rolled out. */
  function allowedOn(item: KnownItem): number | undefined {
    const api = item.plan?.kind.startsWith('code') ? undefined : item.plan?.api
    if (api === undefined) return undefined
    let most = 0
    for (const process of machines.running()) {
      most = Math.max(most, machines.integration(process, api)?.limits.concurrency ?? 0)
    }
    return most
  }

  /** Records of the largest call to the item's API. */
  function largestCall({ plan }: KnownItem): number {
    return largest.get(plan?.api ?? '') ?? 1
  }

  /** Calls: each worker keeps the limit for those that several records share, and does not know of others' (docs/batches.md). */
  function callsAllowedOn(item: KnownItem): number | undefined {
    const concurrency = allowedOn(item)
    if (concurrency === undefined || largestCall(item) === 1) return concurrency
    let workers = 0
    for (const process of machines.running()) workers += machines.plan(process)?.workers ?? 0
    return concurrency * workers
  }

  function onSent(fact: SentFact): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    if (!item) return
    const calls = inFlight.get(item.lane) ?? new Map<number, KnownItem>()
    inFlight.set(item.lane, calls)
    const allowed = callsAllowedOn(item)
    // Without a lease it is counted elsewhere.
    if (item.lease?.process === fact.process) {
      calls.set(fact.call, item)
      laneOfCall.set(fact.call, item.lane)
      if (allowed !== undefined && calls.size > allowed) {
        violated(`${calls.size} calls are under way on ${item.lane}; it may have ${allowed}`, { itemId: item.itemId })
      }
    }
    const limits = machines.integration(fact.process, fact.api)?.limits
    for (const limit of [limits?.rate, limits?.quota]) if (limit) countRate(fact, item, limit)
  }

  function countRate(fact: SentFact, item: KnownItem, rate: RateSettings): void {
    const tooMany = [count('started', startOf(fact), fact, item, rate)]
    // What took longer, in a slow network or a process that stood still, was allowed when it was decided on (decision 013).
    const isSoon = fact.atMs - startOf(fact) <= promisedWithinMs(rate)
    if (isSoon) tooMany.push(count('sent', fact.atMs, fact, item, rate))
    const message = tooMany.find((one) => one !== undefined)
    if (message !== undefined) violated(message, { itemId: item.itemId })
  }

  /** @returns what is wrong */
  function count(
    what: 'started' | 'sent',
    atMs: number,
    { process }: SentFact,
    { lane }: KnownItem,
    { perMs, limit }: RateSettings,
  ): string | undefined {
    // Processes agree on one time to count by: one that learns of a clock ahead of its own moves on by as much.
    const windowMs = perMs - machines.spreadMs - RESOLUTION_MS
    const own = Math.floor(limit)
    const ofOne = countIn(`${process} ${lane} ${perMs} ${what}`, atMs, windowMs)
    const all = `${ALL} ${lane} ${perMs} ${what}`
    // They differ while a new configuration is rolled out.
    const most = Math.max(own, highest.get(all) ?? 0)
    highest.set(all, most)
    const ofAll = countIn(all, atMs, windowMs)
    if (ofOne > own) return `${process} ${what} ${ofOne} calls on ${lane} within ${perMs} ms; its limit is ${own}`
    if (ofAll <= most || !agreeOnLimits(atMs - perMs)) return undefined
    return `all together ${what} ${ofAll} calls on ${lane} within ${perMs} ms; their limit is ${most}`
  }

  /** A process that stood still sends what it decided on long ago: after what others decided on since. */
  function countIn(key: string, atMs: number, windowMs: number): number {
    if (atMs < (laidSinceMs.get(whoseClock(key)) ?? 0)) return 0
    const known = starts.get(key) ?? []
    starts.set(key, known)
    known.splice(known.findLastIndex((knownMs) => knownMs <= atMs) + 1, 0, atMs)
    return mostWithin(known, atMs, windowMs)
  }

  /** By clocks that are apart, or without the store for long, processes can only do their best. */
  function agreeOnLimits(sinceMs: number): boolean {
    return machines.spreadMs === 0 && storeTroubledAtMs < sinceMs - STORE_TROUBLE_LINGERS_MS
  }

  function endCall(call: number): void {
    const lane = laneOfCall.get(call)
    if (lane !== undefined) inFlight.get(lane)?.delete(call)
    laneOfCall.delete(call)
  }

  /** The clock that its windows are laid by has jumped: they begin anew. */
  function onJump(machine: string | undefined, atMs: number): void {
    for (const { name } of scenario.machines) if (name === (machine ?? name)) laidSinceMs.set(name, atMs)
    laidSinceMs.set(ALL, atMs)
    for (const key of starts.keys()) if (laidSinceMs.get(whoseClock(key)) === atMs) starts.delete(key)
  }

  return {
    name: 'limits are kept',
    observe(fact: Fact) {
      machines.observe(fact)
      if (fact.kind === 'sent') onSent(fact)
      else if (fact.kind === 'store') {
        if (fact.method === 'updateHealth' && (fact.refused !== undefined || !fact.heard)) storeTroubledAtMs = fact.atMs
      } else if (fact.kind === 'answered') endCall(fact.call)
      else if (fact.kind === 'process_ended') {
        // What it had under way is the business of those who take over.
        for (const calls of inFlight.values()) {
          for (const [call, item] of calls) if (item.lease?.process === fact.process) calls.delete(call)
        }
      } else if (fact.kind === 'trouble' && fact.trouble.kind === 'clock_jump') onJump(fact.trouble.machine, fact.atMs)
    },
  }
}

/** A limit is exact at the API where calls are on their way within this: a twelfth of the window, 100 ms to 1 s, less for short ones. */
function promisedWithinMs({ perMs }: RateSettings): number {
  return Math.min(1000, Math.max(perMs / 12, Math.min(100, perMs / 5)))
}

/** A machine, or all of them. */
function whoseClock(key: string): string {
  const process = key.split(' ')[0] as string
  return process === ALL ? ALL : machineOf(process)
}

/** Of sorted times: the most in any window that this one is in. */
function mostWithin(times: readonly number[], atMs: number, windowMs: number): number {
  const first = times.findLastIndex((timeMs) => timeMs < atMs && timeMs <= atMs - windowMs) + 1
  let most = 1
  let end = first
  for (let begin = first; begin < times.length && (times[begin] as number) <= atMs; begin++) {
    while (end < times.length && (times[end] as number) - (times[begin] as number) < windowMs) end++
    most = Math.max(most, end - begin)
  }
  return most
}

/** By API. */
function largestCalls({ pipelines }: Scenario): ReadonlyMap<string, number> {
  const largest = new Map<string, number>()
  for (const { steps } of pipelines) {
    for (const { api, batch } of steps) largest.set(api, Math.max(largest.get(api) ?? 1, batch?.size ?? 1))
  }
  return largest
}
