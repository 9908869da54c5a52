/**
 * The limits of the lanes, shared with the other processes: slots change hands in the lane's limiter record, by
 * compare-and-swap, a few times a second while a lane is in use and never for a single call. A call is decided on here.
 *
 * The exchanges of a lane that is in use come ahead of need, so that no call waits for the store while there is room. Only the
 * first call of a lane, and one that needs more than its process holds, waits for one exchange.
 */
import type { Timer } from '../../core/clock.ts'
import { formatDuration } from '../../core/duration.ts'
import { messageOf } from '../../core/errors.ts'
import type { HealthRecord } from '../../ledger/port.ts'
import { NOBODY_HOLDS } from '../../policy/limiter/limiter-slots.ts'
import { askAgainMs, isLent, shareKind, shareReason } from '../../policy/rate-limits/rate-limit-shares.ts'
import { createSharedTime, type SharedTime } from '../wire/shared-time.ts'
import type { HealthParts } from './health-registry.ts'
import type { LaneHealth, Refusal } from './lane-health.ts'
import {
  applyExchange,
  learnShared,
  moveStarts,
  type OwnLimit,
  ownRoom,
  planExchange,
  planLeaving,
  startAnswered,
  takeStart,
  usedCalls,
} from './lane-limits.ts'
import {
  answerMs,
  isInUse,
  isStoreAway,
  type LaneLimits,
  LONGEST_RHYTHM_MS,
  SHORTEST_RHYTHM_MS,
  STORE_AWAY_MS,
} from './lane-rhythm.ts'
import { type LimiterRecord, limiterFromJson, limiterToJson } from './shared-rates-record.ts'

export const LIMITER_PREFIX = 'limiter:'

const BOTH = ['rate', 'quota'] as const

/** A call that has begun under the limits of a lane. */
export interface StartTicket {
  readonly startedMs: number
  readonly generation: number
  /** It counts in these. */
  readonly limits: readonly OwnLimit[]
}

interface KnownRecord {
  readonly revision: number
  readonly record: LimiterRecord
}

const NOTHING_KNOWN: KnownRecord = { revision: 0, record: { atMs: 0, limits: {} } }

/** A lease outlasts this many exchanges, however long they take, so that a late one costs nothing. */
const LEASE_EXCHANGES = 2
/** Who waits no longer than this keeps its turn among those who wait. */
const LONGEST_WAIT_IN_LINE_MS = 30_000
/** Conflicts in one exchange: what still conflicts then is tried again at the next. */
const MAX_ROUNDS = 8

interface KnownLanes {
  find(name: string): LaneHealth | undefined
  all(): Iterable<LaneHealth>
}

export class SharedRates {
  readonly #parts: HealthParts
  readonly #lanes: KnownLanes
  readonly #time: SharedTime
  readonly #records = new Map<string, KnownRecord>()
  #timer: { readonly timer: Timer; readonly dueAtMs: number } | undefined
  #soonAsked = false
  #running: Promise<void> | undefined
  #hasLeft = false

  constructor(parts: HealthParts, lanes: KnownLanes) {
    this.#parts = parts
    this.#lanes = lanes
    this.#time = createSharedTime(parts.clock)
  }

  /** Who is refused here counts as waiting for more. `pipeline`: whose share of the quota it uses. */
  refusal(lane: LaneHealth, pipeline: string | undefined): Refusal | undefined {
    return this.refusalForAnybody(lane) ?? this.#refusalOfShare(lane, pipeline)
  }

  /** Before it is known whose call it is. */
  refusalForAnybody({ shared }: LaneHealth): Refusal | undefined {
    if (!shared) return undefined
    const nowMs = this.#time.nowMs()
    for (const kind of BOTH) {
      const limit = shared.limits.get(kind)
      if (!limit) continue
      const room = ownRoom(limit, nowMs, isStoreAway(shared, nowMs))
      if (room.available > 0) continue
      const untilMs = this.#wantMore(shared, limit, room.nextAtMs, nowMs)
      return this.#refusalUntil(kind, untilMs, nowMs, reasonOf(kind, limit))
    }
    return undefined
  }

  #refusalOfShare(lane: LaneHealth, pipeline: string | undefined): Refusal | undefined {
    const { shared } = lane
    if (!shared?.settings.shares) return undefined
    const nowMs = this.#time.nowMs()
    const { settings } = shared
    const kind = shareKind(settings, pipeline)
    const limit = kind === undefined ? undefined : shared.limits.get(kind)
    if (kind === undefined || !limit) return undefined
    const room = ownRoom(limit, nowMs, isStoreAway(shared, nowMs))
    if (room.available > 0) return undefined
    const told = this.#records.get(keyOf(lane))?.record.limits ?? {}
    const usedOf = (one: string) => usedCalls(shared.limits.get(one), told[one], this.#parts.workerId, nowMs)
    if (isLent({ settings, kind, usedOf, nowMs })) return undefined
    const untilMs = this.#wantMore(shared, limit, room.nextAtMs, nowMs)
    // Slots may still change hands; only where that is long to wait is the share used.
    const isUsed = untilMs - nowMs > LONGEST_WAIT_IN_LINE_MS
    const againMs = isUsed ? Math.min(untilMs, askAgainMs(settings, nowMs)) : untilMs
    return this.#refusalUntil('quota', againMs, nowMs, isUsed ? shareReason(settings, kind) : reasonOf('quota', limit))
  }

  #refusalUntil(by: 'rate' | 'quota', untilMs: number, nowMs: number, reason: string): Refusal {
    return { by, untilMs: this.#parts.clock.wallMs() + Math.max(1, Math.ceil(untilMs - nowMs)), reason }
  }

  /** How many calls could start, whosever they are. */
  room({ shared }: LaneHealth): number {
    if (!shared) return Number.POSITIVE_INFINITY
    const nowMs = this.#time.nowMs()
    const rooms = BOTH.map((kind) => {
      const limit = shared.limits.get(kind)
      return limit ? ownRoom(limit, nowMs, isStoreAway(shared, nowMs)).available : Number.POSITIVE_INFINITY
    })
    return Math.min(...rooms)
  }

  /** @returns for `answered` */
  take({ shared }: LaneHealth, pipeline?: string): StartTicket | undefined {
    if (!shared) return undefined
    const nowMs = this.#time.nowMs()
    shared.usedAtMs = nowMs
    const limits = BOTH.flatMap((kind) => shared.limits.get(kind) ?? [])
    const share = shared.limits.get(shareKind(shared.settings, pipeline) ?? '')
    // What is lent uses nobody's share.
    if (share && ownRoom(share, nowMs, isStoreAway(shared, nowMs)).available > 0) limits.push(share)
    for (const limit of limits) takeStart(limit, nowMs)
    return { startedMs: nowMs, generation: shared.generation, limits }
  }

  /** The call has been answered, so it has counted at the API by now. */
  answered({ shared }: LaneHealth, { startedMs, generation, limits }: StartTicket): void {
    if (shared?.generation !== generation) return
    const nowMs = this.#time.nowMs() + 1
    for (const limit of limits) startAnswered(limit, startedMs, nowMs)
  }

  /** A record of the store. */
  learn({ key, revision, state }: HealthRecord): void {
    if (revision <= (this.#records.get(key)?.revision ?? 0)) return
    const record = limiterFromJson(state) ?? NOTHING_KNOWN.record
    this.#records.set(key, { revision, record })
    this.#catchUp(record.atMs)
    const lane = this.#lanes.find(key.slice(LIMITER_PREFIX.length))
    if (lane) this.#look(lane, record)
  }

  /** Gives everything back, so that nobody waits for leases to end. Nothing is started after it. Never throws. */
  async leave(): Promise<void> {
    this.#hasLeft = true
    this.#timer?.timer.cancel()
    this.#timer = undefined
    await this.#running
    await this.#exchange([...this.#lanes.all()].filter(({ shared }) => shared?.holdsSlots))
  }

  /** What began here began just now, by whatever time. */
  #catchUp(atMs: number): void {
    const movedMs = this.#time.learn(atMs)
    if (movedMs < 1) return
    for (const { shared } of this.#lanes.all()) {
      if (!shared) continue
      shared.generation += 1
      for (const limit of shared.limits.values()) moveStarts(limit, Math.ceil(movedMs))
    }
  }

  /** @returns when to ask again */
  #wantMore(shared: LaneLimits, limit: OwnLimit, ownNextMs: number, nowMs: number): number {
    const isCold = !shared.holdsSlots
    const isUrgent = !shared.isUnsure && (isCold || (limit.mayAskAtOnce && limit.elsewhere.free <= nowMs))
    const inTurnMs = Math.max(nowMs, shared.exchangedAtMs + shared.everyMs, shared.notBeforeMs)
    this.#schedule(shared, isUrgent ? nowMs : inTurnMs, nowMs)
    const elsewhereMs = Math.min(limit.elsewhere.free, limit.elsewhere.held)
    const nextMs = Math.min(ownNextMs, Math.max(elsewhereMs, answerMs(shared, nowMs)))
    const untilMs = Number.isFinite(nextMs) ? nextMs : nowMs + limit.rate.perMs
    // Whoever waits for long need not stand in line meanwhile.
    limit.hungryUntilMs = shared.everyMs + (untilMs - nowMs < LONGEST_WAIT_IN_LINE_MS ? untilMs : nowMs)
    return untilMs
  }

  #schedule(shared: LaneLimits, dueAtMs: number, nowMs: number): void {
    if (this.#hasLeft) return
    shared.dueAtMs = Math.min(shared.dueAtMs, dueAtMs)
    this.#arm(shared.dueAtMs, nowMs)
  }

  #arm(dueAtMs: number, nowMs: number): void {
    if (this.#soonAsked || this.#hasLeft || (this.#timer && this.#timer.dueAtMs <= dueAtMs)) return
    this.#timer?.timer.cancel()
    this.#timer = undefined
    const { clock } = this.#parts
    if (dueAtMs <= nowMs) {
      this.#soonAsked = true
      clock.nextTurn(() => {
        this.#soonAsked = false
        this.#exchangeDue()
      })
      return
    }
    const timer = clock.setTimer(dueAtMs - nowMs, () => {
      this.#timer = undefined
      this.#exchangeDue()
    })
    this.#timer = { timer, dueAtMs }
  }

  #exchangeDue(): void {
    // The one that is under way arms the next.
    if (this.#running || this.#hasLeft) return
    const soonMs = this.#time.nowMs() + SHORTEST_RHYTHM_MS / 2
    const due = [...this.#lanes.all()].filter(({ shared }) => shared && shared.dueAtMs <= soonMs)
    this.#running = this.#exchange(due).finally(() => {
      this.#running = undefined
      let nextMs = Number.POSITIVE_INFINITY
      for (const { shared } of this.#lanes.all()) nextMs = Math.min(nextMs, shared?.dueAtMs ?? nextMs)
      if (nextMs < Number.POSITIVE_INFINITY) this.#arm(nextMs, this.#time.nowMs())
    })
  }

  async #exchange(due: readonly LaneHealth[]): Promise<void> {
    const { ledger, clock, events } = this.#parts
    const beganMs = this.#time.nowMs()
    let lanes = due
    try {
      for (let round = 0; round < MAX_ROUNDS && lanes.length > 0; round++) {
        const plans = lanes.map((lane) => this.#plan(lane))
        const changes = plans.map(({ key, fromRevision, record }) => ({
          key,
          fromRevision,
          state: limiterToJson(record),
        }))
        const receipts = await ledger.updateHealth(changes, clock.wallMs())
        const conflicts: LaneHealth[] = []
        for (const [index, receipt] of receipts.entries()) {
          const plan = plans[index] as Plan
          // Whatever it says, the store is there.
          if (plan.lane.shared) plan.lane.shared.awaySinceMs = Number.POSITIVE_INFINITY
          if (receipt.applied) this.#apply(plan, receipt.revision, beganMs)
          else {
            if (receipt.current) this.learn(receipt.current)
            conflicts.push(plan.lane)
          }
        }
        lanes = conflicts
      }
      for (const { shared } of lanes) if (shared) shared.dueAtMs = this.#time.nowMs() + SHORTEST_RHYTHM_MS
    } catch (cause) {
      for (const { shared } of lanes) if (shared) this.#failed(shared)
      events.emit('engine.trouble', clock.wallMs(), { where: 'health.limits', message: messageOf(cause), cause })
    }
  }

  #plan(lane: LaneHealth): Plan {
    const { workerId: holder } = this.#parts
    const shared = lane.shared as LaneLimits
    const key = keyOf(lane)
    const { revision, record: known } = this.#records.get(key) ?? NOTHING_KNOWN
    const nowMs = this.#time.nowMs()
    shared.generation += 1
    const leaving = this.#hasLeft || !isInUse(shared, nowMs)
    const limits = { ...known.limits }
    const about = {
      holder,
      nowMs,
      leaseMs: LEASE_EXCHANGES * (shared.everyMs + shared.tookMs),
      isUnsure: shared.isUnsure,
    }
    for (const [kind, limit] of shared.limits) {
      const before = known.limits[kind] ?? NOBODY_HOLDS
      limits[kind] = leaving ? planLeaving(limit, before, about) : planExchange(limit, before, about)
    }
    return { lane, key, fromRevision: revision, record: { atMs: nowMs, limits }, leaving }
  }

  #apply({ lane, key, record, leaving }: Plan, revision: number, beganMs: number): void {
    const shared = lane.shared as LaneLimits
    const nowMs = this.#time.nowMs()
    this.#records.set(key, { revision, record })
    for (const [kind, limit] of shared.limits) {
      const next = record.limits[kind]
      if (next) applyExchange(limit, next, this.#parts.workerId, nowMs)
    }
    shared.isUnsure = false
    shared.notBeforeMs = 0
    shared.holdsSlots = !leaving
    shared.exchangedAtMs = nowMs
    shared.tookMs = Math.min(nowMs - beganMs, LONGEST_RHYTHM_MS)
    shared.dueAtMs = leaving ? Number.POSITIVE_INFINITY : nowMs + shared.everyMs
    this.#look(lane, record)
  }

  #failed(shared: LaneLimits): void {
    const nowMs = this.#time.nowMs()
    shared.isUnsure = true
    shared.awaySinceMs = Math.min(shared.awaySinceMs, nowMs)
    // Ever more rarely: whoever is away for long is not back any sooner.
    shared.dueAtMs = nowMs + Math.max(shared.everyMs, Math.min((nowMs - shared.awaySinceMs) / 2, STORE_AWAY_MS))
    shared.notBeforeMs = shared.dueAtMs
  }

  #look({ shared }: LaneHealth, record: LimiterRecord): void {
    if (!shared) return
    const nowMs = this.#time.nowMs()
    for (const [kind, limit] of shared.limits) {
      learnShared(limit, record.limits[kind] ?? NOBODY_HOLDS, this.#parts.workerId, nowMs)
    }
  }
}

interface Plan {
  readonly lane: LaneHealth
  readonly key: string
  readonly fromRevision: number
  readonly record: LimiterRecord
  readonly leaving: boolean
}

function reasonOf(kind: 'rate' | 'quota', { settings, slots }: OwnLimit): string {
  const words = `the ${kind} of ${settings.limit} calls per ${formatDuration(settings.perMs)}`
  return slots > 0 ? `${words} is used up` : `this process has no share of ${words} at present`
}

function keyOf({ lane }: LaneHealth): string {
  return LIMITER_PREFIX + lane
}
