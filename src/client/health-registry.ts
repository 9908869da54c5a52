import type { BreakerSettings, IntegrationSettings } from '../config/settings.ts'
import type { Clock } from '../core/clock.ts'
import type { EventBus } from '../core/events.ts'
import { newId } from '../core/ids.ts'
import type { Random } from '../core/random.ts'
import type { Ledger } from '../ledger/port.ts'
import type { BreakerEvent } from '../policy/breaker.ts'
import { breakerKeys } from '../policy/breaker-scopes.ts'
import { askBreakers, type Breaker, breakerRoom, createBreakerBoard } from './breaker-board.ts'
import { DEFAULT_TENANT } from './call.ts'
import type { Admission, Allowance, CallEnd, Health, HealthChannel, Permit } from './health.ts'
import { createHealthSync } from './health-sync.ts'
import {
  concurrencyRefusal,
  configureLane,
  freePlace,
  type LaneHealth,
  laneRefusal,
  laneRoom,
  newLane,
  payForAttempt,
  type Refusal,
  takePlace,
} from './lane-health.ts'

export interface HealthParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth' | 'lanes'>
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
  readonly workerId: string
}

/** What this process knows, and what its inline callers need beside that. */
export interface HealthRegistry extends Health {
  /**
   * Calls back once when a call on the lane has ended and its place is free. `first`: goes before those who wait already,
   * for one who was woken and found the place taken. The result takes the caller out of the line.
   */
  whenFree(lane: string, callback: () => void, first: boolean): () => void
  /** How many lanes and breakers are kept: bounded by forgetting what is idle. */
  readonly size: { readonly lanes: number; readonly breakers: number }
}

/** One endpoint of one lane: its breakers from the whole API down to the tenant. */
interface Channel {
  readonly lane: LaneHealth
  readonly breakers: readonly Breaker[]
  readonly breakerKeys: readonly string[]
  readonly settings: BreakerSettings
  readonly endpoint: string
  readonly tenant: string
}

interface RegistryPermit extends Permit {
  readonly channel: Channel
  readonly startedAtMs: number
  reported: boolean
}

/** Breakers and lanes unused for this long, and without anything to remember, are forgotten. */
const IDLE_MS = 3_600_000

/**
 * Health of the APIs as this process sees it. Decisions are local and cost no query; `sync` exchanges what matters with
 * the other processes. The owner calls `sync` at start and from time to time; changes that cannot wait sync themselves.
 */
export function createHealth(parts: HealthParts): HealthRegistry {
  const { clock, random, events } = parts
  const lanes = new Map<string, LaneHealth>()
  const channels = new Map<LaneHealth, Map<string, Channel>>()
  const board = createBreakerBoard(events, () => sync.soon())
  const sync = createHealthSync(parts, board, laneOf, () => lanes.values())
  const sharedByTenants = new Set<string>()
  let forgottenAtMs = clock.wallMs()

  function laneOf(name: string): LaneHealth {
    let lane = lanes.get(name)
    if (!lane) {
      lane = newLane(name)
      lanes.set(name, lane)
      channels.set(lane, new Map())
    }
    return lane
  }

  function channelOf(
    integration: IntegrationSettings,
    endpoint: string,
    settings: BreakerSettings,
    laneKey: string,
    tenant: string,
  ): Channel {
    const lane = laneOf(laneKey)
    const known = channels.get(lane) as Map<string, Channel>
    const name = tenant === DEFAULT_TENANT ? endpoint : `${endpoint}@${tenant}`
    let channel = known.get(name)
    if (channel?.settings !== settings || lane.limits !== integration.limits) {
      configureLane(lane, integration, clock.wallMs())
      const breakers = breakersOf(integration, endpoint, settings, tenant)
      channel = { lane, breakers, breakerKeys: breakers.map(({ key }) => key), settings, endpoint, tenant }
      known.set(name, channel)
    }
    return channel as Channel
  }

  /** Where all traffic is one tenant's, the endpoint's breaker is the tenant's too. */
  function breakersOf(
    integration: IntegrationSettings,
    endpoint: string,
    settings: BreakerSettings,
    tenant: string,
  ): Breaker[] {
    const keys = breakerKeys(integration.name, endpoint, tenant)
    const breakers = [
      board.get(keys.global, { scope: 'global', settings: integration.defaults.breaker }),
      board.get(keys.endpoint, { scope: 'endpoint', settings }),
    ]
    if (tenant !== DEFAULT_TENANT && !sharedByTenants.has(integration.name)) {
      sharedByTenants.add(integration.name)
      dropChannels()
    }
    if (sharedByTenants.has(integration.name)) breakers.push(board.get(keys.tenant, { scope: 'tenant', settings }))
    return breakers
  }

  /** They are made again, with the breakers they need now, by the next call. */
  function dropChannels(): void {
    for (const known of channels.values()) known.clear()
  }

  function forgetIdle(nowMs: number): void {
    if (nowMs - forgottenAtMs < IDLE_MS) return
    forgottenAtMs = nowMs
    board.forgetIdle(nowMs - IDLE_MS)
    for (const lane of lanes.values()) {
      const quiet = lane.inFlight === 0 && lane.waiting.length === 0 && lane.gateUntilMs <= nowMs
      const spare = lane.quota === undefined && lane.suspended === undefined
      if (!quiet || !spare || lane.usedAtMs >= nowMs - IDLE_MS) continue
      lanes.delete(lane.lane)
      channels.delete(lane)
    }
    dropChannels()
  }

  return {
    get size() {
      return { lanes: lanes.size, breakers: [...board.all()].length }
    },

    allowance(channel: HealthChannel, wanted: number): Allowance {
      const { integration, endpoint, breaker, lane, tenant } = channel
      const found = channelOf(integration, endpoint, breaker, lane, tenant)
      return allow(found, wanted, clock.wallMs())
    },

    admit({ integration, endpoint, lane, tenant, attempt }): Admission {
      const channel = channelOf(integration, endpoint.endpoint, endpoint.breaker, lane, tenant)
      const nowMs = clock.wallMs()
      const concurrency = integration.limits.concurrency
      const refusal = laneRefusal(channel.lane, nowMs) ?? concurrencyRefusal(channel.lane, nowMs)
      if (refusal) return refused(refusal)
      const grant = askBreakers(channel.breakers, nowMs, concurrency)
      if (grant.refused) return refused(grant.refused)
      const unpaid = payForAttempt(channel.lane, integration, attempt > 1, nowMs)
      if (unpaid) return refused(unpaid)
      return { admitted: true, permit: start(channel, grant.probe, nowMs) }
    },

    report(permit: Permit, end: CallEnd): void {
      const own = permit as RegistryPermit
      if (own.reported) return
      own.reported = true
      const { breakers, lane } = own.channel
      const event = eventOf(end, own, clock.wallMs())
      for (const breaker of breakers) {
        breaker.inFlight -= 1
        board.apply(breaker, event)
      }
      freePlace(lane)
    },

    closeGate(name, untilMs, reason) {
      const lane = laneOf(name)
      if (untilMs <= lane.gateUntilMs) return
      const nowMs = clock.wallMs()
      lane.gateUntilMs = untilMs
      lane.gateReason = reason
      lane.gateClosedHereAtMs = nowMs
      lane.usedAtMs = nowMs
      events.emit('gate.closed', nowMs, { lane: name, untilMs, reason })
    },

    async sync() {
      const nowMs = clock.wallMs()
      forgetIdle(nowMs)
      board.advance(nowMs)
      await sync.now()
    },

    breakers: () => board.views(clock.wallMs()),

    async resetBreaker(key) {
      // The operator's process may know the breaker only from the ledger.
      if (!board.find(key)) await sync.now()
      const breaker = board.find(key)
      if (!breaker) return false
      board.reset(breaker, clock.wallMs())
      await sync.now()
      return true
    },

    whenFree(name, callback, first) {
      const { waiting } = laneOf(name)
      if (first) waiting.unshift(callback)
      else waiting.push(callback)
      return () => {
        const index = waiting.indexOf(callback)
        if (index >= 0) waiting.splice(index, 1)
      }
    },
  }

  function start(channel: Channel, probe: boolean, nowMs: number): RegistryPermit {
    const probeId = probe ? newId(clock, random) : undefined
    for (const breaker of channel.breakers) {
      breaker.inFlight += 1
      breaker.usedAtMs = nowMs
      if (probeId !== undefined && breaker.state.phase !== 'closed') {
        board.apply(breaker, { type: 'probe_started', atMs: nowMs, probeId })
      }
    }
    if (probeId !== undefined) sync.soon()
    takePlace(channel.lane, nowMs)
    const { breakerKeys, tenant, settings } = channel
    return { breakerKeys, probeId, tenant, settings, channel, startedAtMs: nowMs, reported: false }
  }
}

function eventOf(end: CallEnd, { channel, probeId, startedAtMs }: RegistryPermit, atMs: number): BreakerEvent {
  const { tenant, endpoint } = channel
  if (end.type === 'failed') return { type: 'failed', code: end.code, atMs, tenant, endpoint, probeId, startedAtMs }
  return { type: end.type, atMs, tenant, endpoint, probeId, startedAtMs }
}

function allow(channel: Channel, wanted: number, nowMs: number): Allowance {
  const concurrency = channel.lane.limits?.concurrency ?? wanted
  const refusal =
    laneRefusal(channel.lane, nowMs) ??
    concurrencyRefusal(channel.lane, nowMs) ??
    askBreakers(channel.breakers, nowMs, concurrency).refused
  if (refusal) return { limit: 0, retryAtMs: refusal.untilMs, by: refusal.by, reason: refusal.reason }
  const room = Math.min(laneRoom(channel.lane, nowMs), breakerRoom(channel.breakers, nowMs, concurrency))
  return { limit: Math.min(wanted, room), retryAtMs: nowMs, by: undefined, reason: '' }
}

function refused({ by, untilMs, reason }: Refusal): Admission {
  return { admitted: false, by, untilMs, reason }
}
