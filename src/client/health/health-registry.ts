import type { BreakerSettings, IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import type { BreakerPhase, EventBus } from '../../core/events.ts'
import { newId } from '../../core/ids.ts'
import type { Random } from '../../core/random.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { BreakerEvent } from '../../policy/breaker/breaker.ts'
import { breakerKeys } from '../../policy/breaker/breaker-scopes.ts'
import type { RateLimitState } from '../../policy/rate-limits/rate-limits.ts'
import { DEFAULT_TENANT } from '../call/call.ts'
import { hasPaceNews, isWorthTelling, learnLimits } from './backpressure.ts'
import {
  askBreakers,
  type Breaker,
  type BreakerBoard,
  breakerRoom,
  createBreakerBoard,
  probeIdOf,
} from './breaker-board.ts'
import type { Admission, Allowance, BreakerView, CallEnd, Health, HealthChannel, Permit } from './health.ts'
import { HealthSync, type SyncParts } from './health-sync.ts'
import {
  concurrencyRefusal,
  configureLane,
  freePlace,
  gateRefusal,
  type LaneHealth,
  newLane,
  paceOfLane,
  payBack,
  payForAttempt,
  placesLeft,
  type Refusal,
  takePlace,
} from './lane-health.ts'
import { endAdapted } from './lane-limits-adaptive.ts'
import { SharedRates, type StartTicket } from './shared-rates.ts'

export interface HealthParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth' | 'lanes'>
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
  /** Unique among all processes. */
  readonly workerId: string
}

/** What this process knows, and what its inline callers need beside that. */
export interface HealthRegistry extends Health {
  /**
   * Calls back once when a call on the lane has ended and its place is free. `first`: goes before those who wait already,
   * for one who was woken and found the place taken. The result takes the caller out of the line.
   */
  whenFree(lane: string, callback: () => void, first: boolean): () => void
  /** Of the strictest breaker that a call would meet. */
  phaseOf(channel: HealthChannel): BreakerPhase
  /** How many lanes and breakers are kept: bounded by forgetting what is idle. */
  readonly size: { readonly lanes: number; readonly breakers: number }
}

/**
 * Health of the APIs as this process sees it. Decisions are local and cost no query; `sync` exchanges what matters with
 * the other processes. The owner calls `sync` at start and from time to time; changes that cannot wait sync themselves.
 */
export function createHealth(parts: HealthParts): HealthRegistry {
  return new Registry(parts)
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

interface StartFacts {
  readonly probe: boolean
  readonly paid: boolean
  readonly nowMs: number
  readonly pipeline: string | undefined
}

interface RegistryPermit extends Permit {
  readonly channel: Channel
  readonly startedAtMs: number
  readonly ticket: StartTicket | undefined
  /** It paid for a retry, and gets that back when the retry succeeds. */
  readonly paid: boolean
  reported: boolean
}

/** Breakers and lanes unused for this long, and without anything to remember, are forgotten. */
const IDLE_MS = 3_600_000
const STRICTNESS: Record<BreakerPhase, number> = { closed: 0, ramping: 1, half_open: 2, open: 3 }

class Registry implements HealthRegistry {
  readonly #parts: HealthParts
  readonly #lanes = new Map<string, LaneHealth>()
  readonly #channels = new Map<LaneHealth, Map<string, Channel>>()
  /** Integrations that more than the default tenant uses. */
  readonly #sharedByTenants = new Set<string>()
  readonly #board: BreakerBoard
  readonly #sync: HealthSync
  readonly #rates: SharedRates
  #forgottenAtMs: number

  constructor(parts: HealthParts) {
    this.#parts = parts
    this.#board = createBreakerBoard(parts.events, () => this.#sync.soon())
    this.#rates = new SharedRates(parts, {
      find: (name) => this.#lanes.get(name),
      all: () => this.#lanes.values(),
    })
    const syncParts: SyncParts = {
      ...parts,
      laneOf: (name) => this.#laneOf(name),
      lanes: () => this.#lanes.values(),
      onLimiterRecord: (record) => this.#rates.learn(record),
      onNewBreaker: () => this.#dropChannels(),
    }
    this.#sync = new HealthSync(syncParts, this.#board)
    this.#forgottenAtMs = parts.clock.wallMs()
  }

  get size(): HealthRegistry['size'] {
    return { lanes: this.#lanes.size, breakers: this.#board.size() }
  }

  allowance({ integration, endpoint, breaker, lane, tenant }: HealthChannel, wanted: number): Allowance {
    const channel = this.#channelOf(integration, endpoint, breaker, lane, tenant)
    const nowMs = this.#parts.clock.wallMs()
    const { concurrency } = integration.limits
    const refusal =
      gateRefusal(channel.lane, nowMs) ??
      concurrencyRefusal(channel.lane, nowMs) ??
      paceOfLane(channel.lane, endpoint, nowMs).slowness ??
      askBreakers(channel.breakers, nowMs, concurrency).refused ??
      // Last: only who could start otherwise waits for more of a limit.
      this.#rates.refusalForAnybody(channel.lane)
    if (refusal) return { limit: 0, retryAtMs: refusal.untilMs, by: refusal.by, reason: refusal.reason }
    const places = Math.min(placesLeft(channel.lane), breakerRoom(channel.breakers, nowMs, concurrency))
    return {
      limit: Math.min(wanted, places, paceOfLane(channel.lane, endpoint, nowMs).room, this.#rates.room(channel.lane)),
      retryAtMs: nowMs,
      by: undefined,
      reason: '',
    }
  }

  admit({ integration, endpoint, lane, tenant, attempt, pipeline }: Parameters<Health['admit']>[0]): Admission {
    const channel = this.#channelOf(integration, endpoint.endpoint, endpoint.breaker, lane, tenant)
    const nowMs = this.#parts.clock.wallMs()
    const refusal =
      gateRefusal(channel.lane, nowMs) ??
      concurrencyRefusal(channel.lane, nowMs) ??
      paceOfLane(channel.lane, endpoint.endpoint, nowMs).slowness
    if (refusal) return refused(refusal)
    const grant = askBreakers(channel.breakers, nowMs, integration.limits.concurrency)
    if (grant.refused) return refused(grant.refused)
    const limited = this.#rates.refusal(channel.lane, pipeline)
    if (limited) return refused(limited)
    const unpaid = payForAttempt(channel.lane, integration, attempt > 1, nowMs)
    if (unpaid) return refused(unpaid)
    return { admitted: true, permit: this.#start(channel, { probe: grant.probe, paid: attempt > 1, nowMs, pipeline }) }
  }

  report(permit: Permit, end: CallEnd): void {
    const own = permit as RegistryPermit
    if (own.reported) return
    own.reported = true
    const event = eventOf(end, own, this.#parts.clock.wallMs())
    for (const breaker of own.channel.breakers) {
      breaker.inFlight -= 1
      this.#board.apply(breaker, event)
    }
    // A call that failed may still be on its way.
    if (own.ticket && end.type === 'succeeded') this.#rates.answered(own.channel.lane, own.ticket)
    if (own.paid && end.type === 'succeeded') payBack(own.channel.lane, event.atMs)
    endAdapted(own.channel.lane, end, own.startedAtMs, event.atMs)
    freePlace(own.channel.lane)
  }

  learnLimits(permit: Permit, told: readonly RateLimitState[]): void {
    const { channel, startedAtMs } = permit as RegistryPermit
    const { pace } = channel.lane
    const nowMs = this.#parts.clock.wallMs()
    learnLimits(pace, channel.endpoint, told, { startedAtMs, nowMs })
    const { slowness } = paceOfLane(channel.lane, channel.endpoint, nowMs)
    if (slowness && isWorthTelling(pace, slowness, nowMs)) {
      const { untilMs, reason } = slowness
      this.#parts.events.emit('gate.closed', nowMs, { lane: channel.lane.lane, untilMs, reason })
    }
    if (hasPaceNews(pace, nowMs)) this.#sync.soon()
  }

  closeGate(name: string, untilMs: number, reason: string): void {
    const lane = this.#laneOf(name)
    if (untilMs <= lane.gateUntilMs) return
    const { clock, events } = this.#parts
    const nowMs = clock.wallMs()
    lane.gateUntilMs = untilMs
    lane.gateReason = reason
    lane.gateClosedHereAtMs = nowMs
    lane.usedAtMs = nowMs
    events.emit('gate.closed', nowMs, { lane: name, untilMs, reason })
  }

  async sync(): Promise<void> {
    const nowMs = this.#parts.clock.wallMs()
    this.#forgetIdle(nowMs)
    this.#board.advance(nowMs)
    await this.#sync.now()
  }

  async leave(): Promise<void> {
    await this.sync()
    await this.#rates.leave()
  }

  phaseOf({ integration, endpoint, breaker, lane, tenant }: HealthChannel): BreakerPhase {
    let worst: BreakerPhase = 'closed'
    for (const { state } of this.#channelOf(integration, endpoint, breaker, lane, tenant).breakers) {
      if (STRICTNESS[state.phase] > STRICTNESS[worst]) worst = state.phase
    }
    return worst
  }

  breakers(): BreakerView[] {
    return this.#board.views(this.#parts.clock.wallMs())
  }

  async resetBreaker(key: string): Promise<boolean> {
    // The operator's process may know the breaker only from the ledger.
    if (!this.#board.find(key)) await this.#sync.now()
    const breaker = this.#board.find(key)
    if (!breaker) return false
    this.#board.reset(breaker, this.#parts.clock.wallMs())
    await this.#sync.now()
    return true
  }

  whenFree(name: string, callback: () => void, first: boolean): () => void {
    const { waiting } = this.#laneOf(name)
    if (first) waiting.unshift(callback)
    else waiting.push(callback)
    return () => {
      const index = waiting.indexOf(callback)
      if (index >= 0) waiting.splice(index, 1)
    }
  }

  #start(channel: Channel, { probe, paid, nowMs, pipeline }: StartFacts): RegistryPermit {
    const { clock, random, workerId } = this.#parts
    const probeId = probe ? probeIdOf(workerId, newId(clock, random)) : undefined
    for (const breaker of channel.breakers) {
      breaker.inFlight += 1
      breaker.usedAtMs = nowMs
      if (probeId !== undefined && breaker.state.phase !== 'closed') {
        this.#board.apply(breaker, { type: 'probe_started', atMs: nowMs, probeId })
      }
    }
    if (probeId !== undefined) this.#sync.soon()
    takePlace(channel.lane, nowMs)
    const ticket = this.#rates.take(channel.lane, pipeline)
    const { breakerKeys, tenant, settings } = channel
    return { breakerKeys, probeId, tenant, settings, channel, ticket, startedAtMs: nowMs, paid, reported: false }
  }

  #laneOf(name: string): LaneHealth {
    let lane = this.#lanes.get(name)
    if (!lane) {
      lane = newLane(name, this.#parts.random, this.#parts.workerId)
      this.#lanes.set(name, lane)
      this.#channels.set(lane, new Map())
    }
    return lane
  }

  #channelOf(
    integration: IntegrationSettings,
    endpoint: string,
    settings: BreakerSettings,
    laneKey: string,
    tenant: string,
  ): Channel {
    const lane = this.#laneOf(laneKey)
    const known = this.#channels.get(lane) as Map<string, Channel>
    const name = tenant === DEFAULT_TENANT ? endpoint : `${endpoint}@${tenant}`
    const channel = known.get(name)
    if (channel?.settings === settings && lane.limits === integration.limits) return channel
    configureLane(lane, integration, this.#parts.clock.wallMs())
    const breakers = this.#breakersOf(integration, endpoint, settings, tenant)
    const made = { lane, breakers, breakerKeys: breakers.map(({ key }) => key), settings, endpoint, tenant }
    known.set(name, made)
    return made
  }

  /** Where all traffic, that of other processes too, is the default tenant's, the endpoint's breaker is the tenant's too. */
  #breakersOf(
    integration: IntegrationSettings,
    endpoint: string,
    settings: BreakerSettings,
    tenant: string,
  ): Breaker[] {
    const keys = breakerKeys(integration.name, endpoint, tenant)
    const breakers = [
      this.#board.get(keys.global, { scope: 'global', settings: integration.defaults.breaker }),
      this.#board.get(keys.endpoint, { scope: 'endpoint', settings }),
    ]
    if (tenant !== DEFAULT_TENANT && !this.#sharedByTenants.has(integration.name)) {
      this.#sharedByTenants.add(integration.name)
      this.#dropChannels()
    }
    const isShared = this.#sharedByTenants.has(integration.name) || this.#board.find(keys.tenant) !== undefined
    if (!isShared) return breakers
    return [...breakers, this.#board.get(keys.tenant, { scope: 'tenant', settings })]
  }

  /** They are made again, with the breakers they need now, by the next call. */
  #dropChannels(): void {
    for (const known of this.#channels.values()) known.clear()
  }

  #forgetIdle(nowMs: number): void {
    if (nowMs - this.#forgottenAtMs < IDLE_MS) return
    this.#forgottenAtMs = nowMs
    this.#board.forgetIdle(nowMs - IDLE_MS)
    for (const lane of this.#lanes.values()) {
      const quiet = lane.inFlight === 0 && lane.waiting.length === 0 && lane.gateUntilMs <= nowMs
      const remembers = lane.suspended !== undefined || lane.shared?.holdsSlots === true
      if (!quiet || remembers || lane.usedAtMs >= nowMs - IDLE_MS) continue
      this.#lanes.delete(lane.lane)
      this.#channels.delete(lane)
    }
    this.#dropChannels()
  }
}

function eventOf(end: CallEnd, { channel, probeId, startedAtMs }: RegistryPermit, atMs: number): BreakerEvent {
  const { tenant, endpoint } = channel
  if (end.type === 'throttled') return { type: 'neutral', atMs, tenant, endpoint, probeId, startedAtMs }
  if (end.type === 'failed') return { type: 'failed', code: end.code, atMs, tenant, endpoint, probeId, startedAtMs }
  return { type: end.type, atMs, tenant, endpoint, probeId, startedAtMs }
}

function refused({ by, untilMs, reason }: Refusal): Admission {
  return { admitted: false, by, untilMs, reason }
}
