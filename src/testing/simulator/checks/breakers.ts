/** R069, D13: an open breaker's endpoint gets probes only, one at a time, and a healthy one gets its traffic back in waves. */
import type { BreakerSettings } from '../../../config/settings.ts'
import type { BreakerPhase, EventOf } from '../../../core/events.ts'
import type { Fact } from '../fact.ts'
import { type SentFact, startOf } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { breakersOf, followMachines } from './machines.ts'

/** A breaker as one process sees it. */
interface LocalBreaker {
  phase: BreakerPhase
  sinceMs: number
  /** What was begun here at the very moment of the change was begun before it: another process's word made it half open, or open just now. */
  isToldOf: boolean
  /** Ramping: since when, which may be before this process heard of it. */
  rampFromMs: number
  /** When the last call through it ended: what changes at that very moment, its own calls have changed. */
  answeredAtMs: number
  /** Calls under way, by number, with when they were begun. */
  readonly inFlight: Map<number, number>
}

export const breakersAreKept: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  const items = followItems()
  let clockJumpedAtMs = -1
  const breakers = new Map<string, LocalBreaker>()
  const breakersOfCall = new Map<number, LocalBreaker[]>()
  /** By breaker: when the first process began to let traffic back since it was open last. */
  const rampFromMs = new Map<string, number>()

  function breakerAt(process: string, key: string): LocalBreaker {
    const name = `${process} ${key}`
    let breaker = breakers.get(name)
    if (!breaker) {
      breaker = { phase: 'closed', sinceMs: 0, isToldOf: false, rampFromMs: 0, answeredAtMs: -1, inFlight: new Map() }
      breakers.set(name, breaker)
    }
    return breaker
  }

  function onChange(process: string, event: EventOf<'breaker.changed'>, atMs: number): void {
    const breaker = breakerAt(process, event.key)
    const { from, to, key } = event
    if (to === 'ramping' && !rampFromMs.has(key)) rampFromMs.set(key, atMs)
    if (to === 'open') rampFromMs.delete(key)
    const settings = settingsOf(process, key)
    // Others may have closed it under other settings, or long ago; a person may have.
    const isOwnDoing = breaker.answeredAtMs === atMs && !event.reason.includes('by hand') && !rampFromMs.has(key)
    const mustRamp = settings !== undefined && rampMs(settings) > 0
    if (from === 'half_open' && to === 'closed' && mustRamp && isOwnDoing) {
      violated(`${process} closed breaker ${key} at once: all that waits comes back together`)
    }
    breaker.phase = to
    breaker.isToldOf = to === 'half_open' && (from !== 'open' || breaker.sinceMs === atMs)
    breaker.sinceMs = atMs
    breaker.rampFromMs = rampFromMs.get(key) ?? atMs
  }

  function settingsOf(process: string, key: string): BreakerSettings | undefined {
    const colon = key.indexOf(':')
    const integration = machines.integration(process, colon < 0 ? key : key.slice(0, colon))
    if (!integration || colon < 0) return integration?.defaults.breaker
    const endpoint = key.slice(colon + 1).split('@')[0] as string
    return integration.endpoints[endpoint]?.breaker ?? integration.defaults.breaker
  }

  function onSent(fact: SentFact): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    const integration = machines.integration(fact.process, fact.api)
    if (!item || !integration) return
    const passed = breakersOf(integration, fact.endpoint, item.tenant).map(({ key, settings }) => {
      const breaker = breakerAt(fact.process, key)
      judge(fact, item, key, breaker, settings, integration.limits.concurrency)
      breaker.inFlight.set(fact.call, startOf(fact))
      return breaker
    })
    breakersOfCall.set(fact.call, passed)
  }

  function judge(
    fact: SentFact,
    item: KnownItem,
    key: string,
    breaker: LocalBreaker,
    settings: BreakerSettings,
    concurrency: number,
  ): void {
    const startedMs = startOf(fact)
    // What was on its way when the breaker changed is not its concern.
    if (breaker.phase === 'closed' || startedMs <= breaker.sinceMs) return
    const about = { itemId: item.itemId }
    if (breaker.phase === 'open') {
      violated(`${fact.process} sent although breaker ${key} is open`, about)
      return
    }
    const since = [...breaker.inFlight.values()].filter(
      (atMs) => atMs > breaker.sinceMs || (atMs === breaker.sinceMs && !breaker.isToldOf),
    )
    if (breaker.phase === 'half_open') {
      // A clock that jumped has ended the leases of probes, or seems to have.
      const alive = since.filter(
        (atMs) => atMs > clockJumpedAtMs && startedMs - atMs < settings.probeLeaseMs - RESOLUTION_MS,
      )
      if (alive.length > 0) violated(`${fact.process} sent a second probe for ${key}, half open`, about)
      return
    }
    const elapsedMs = startedMs - breaker.rampFromMs
    const share = shareAt(settings, elapsedMs, machines.spreadMs)
    if (share >= 1) return
    const allowed = Math.max(1, Math.floor(share * concurrency))
    if (since.length >= allowed) {
      violated(`${fact.process} has ${since.length + 1} calls under way at ${key}; its ramp allows ${allowed}`, about)
    }
  }

  function endCall(call: number, atMs: number): void {
    for (const breaker of breakersOfCall.get(call) ?? []) {
      breaker.inFlight.delete(call)
      breaker.answeredAtMs = atMs
    }
    breakersOfCall.delete(call)
  }

  return {
    name: 'breakers are kept',
    observe(fact: Fact) {
      machines.observe(fact)
      if (fact.kind === 'trouble' && fact.trouble.kind === 'clock_jump') clockJumpedAtMs = fact.atMs
      if (fact.kind === 'sent') onSent(fact)
      else if (fact.kind === 'answered') endCall(fact.call, fact.atMs)
      else if (fact.kind === 'event' && fact.event.type === 'breaker.changed')
        onChange(fact.process, fact.event, fact.atMs)
    },
  }
}

/**
 * The share of a ramp after so long. Another process may have begun it, by another clock, and told of it later: a ramp that would
 * be further on by that clock allows as much as it would there.
 */
function shareAt({ rampShares, rampStepMs }: BreakerSettings, elapsedMs: number, spreadMs: number): number {
  if (rampStepMs <= 0) return 1
  const steps = Math.floor((elapsedMs + spreadMs + HEARD_LATE_MS) / rampStepMs)
  return Math.max(...rampShares.slice(0, steps + 1), steps >= rampShares.length ? 1 : 0)
}

/** Between a ramp's beginning and its news at another process. */
const HEARD_LATE_MS = 1000
/** Wall clocks show whole milliseconds. */
const RESOLUTION_MS = 2

function rampMs({ rampShares, rampStepMs }: BreakerSettings): number {
  return (rampShares[0] ?? 1) < 1 ? rampShares.length * rampStepMs : 0
}
