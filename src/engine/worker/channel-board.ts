/**
 * What this worker believes about the channels (lane + endpoint): what is due when, what is under way, what not to ask for
 * yet. Beliefs may be late; the ledger decides. A channel that was asked and gave nothing is left alone for a moment, so
 * that a wrong belief never becomes a busy loop.
 */
import type { Health } from '../../client/health/health.ts'
import type { Clock } from '../../core/clock.ts'
import type { ChannelRef, ClaimChannel, ClaimedItem, Ledger, Settlement, SettleReceipt } from '../../ledger/port.ts'
import type { EngineSettings } from '../defaults.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import { afterTurn, type ClaimCandidate, type PlannedClaim, planClaims } from './claim-plan.ts'
import { channelKey, createHealthLookup } from './known-channels.ts'

interface Channel {
  readonly lane: string
  readonly endpoint: string
  earliestDueMs: number
  /** Whole calls that need not wait for more company; `undefined`: nobody waits. */
  fullCalls: number | undefined
  /** Not asked before this: it gave nothing, or health said no. */
  notBeforeMs: number
  /** How often in a row it promised work and gave none. */
  disappointments: number
  /** The store was not asked whether it holds anything: it gave work before, or a hint names it. */
  isGuess: boolean
  /** By a hint something is due there: what was known before; `undefined`: no hint. */
  dueBeforeHintMs: number | undefined
  /** A hint came since it was last asked: what that brings may be without what the hint tells of. */
  isHintedAnew: boolean
  /** This worker has as much of its lane as it may: the end of a call, not a time, is what it waits for. */
  isFull: boolean
}

export interface ChannelBoard {
  /** Asks the ledger what is due, where something may have changed. */
  refresh(): Promise<void>
  plan(capacity: number): PlannedClaim[]
  claimed(plan: readonly PlannedClaim[], items: readonly ClaimedItem[]): void
  /** Items were leased to this worker without its asking. */
  given(items: readonly ClaimedItem[]): void
  /** Where work may soon come from, of which so many can be begun at once: what a claim may be left standing for. */
  worthWaitingFor(places: number): ClaimChannel[]
  /** A call of this lane, with one item or several. */
  started(lane: string): void
  ended(lane: string): void
  settled(item: ClaimedItem, settlement: Settlement, receipt: SettleReceipt): void
  markDirty(): void
  /** As {@link markDirty}, where something has just become due: most likely where work came from before. */
  hint(): void
  /** As {@link hint}, where it is known in which channels. */
  hintAt(where: readonly ChannelRef[]): void
  isDirty(): boolean
  /** The last plan asks for less than there is room for: health allows no more before what was claimed has been admitted. */
  isRationed(): boolean
  /** When the earliest channel may be asked again; those that wait for the end of an item do not count. */
  nextDueMs(): number
}

export interface BoardParts {
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly health: Health
  readonly clock: Clock
  readonly settings: EngineSettings
  readonly onlyLanes: ReadonlySet<string> | undefined
}

/**
 * The rest of a channel that promised work and gave none: its places may be taken by others, for as long as a lost lease lasts. It
 * doubles up to the poll, which asks anyway; a wake-up ends it.
 */
const FIRST_REST_MS = 25

/** Channels that are asked on a hint. */
const MOST_GIVERS = 8
/** What gave work within this time may do so again. */
const LATELY_MS = 10_000
/** In a row: a hint may come when what it tells of is already taken. */
const MOST_MISSES = 2

export function createChannelBoard(parts: BoardParts): ChannelBoard {
  const { ledger, clock, health } = parts
  const healthOf = createHealthLookup(parts.catalog)
  const laneInFlight = new Map<string, number>()
  /** In the order of their turns. */
  let channels = new Map<string, Channel>()
  let dirty = true
  /** A few that gave work lately. */
  const givers = new Map<string, ChannelRef & { misses: number; lastMs: number }>()
  let hinted = false
  let rationed = false
  let guessed = false
  /** The store is being asked what is due: it may answer without what a hint tells of meanwhile. */
  let looking = false
  /** What rests because it gave nothing may have something now: a claim and what queued it may have met in the store. */
  let queuedHere = false

  async function refresh(): Promise<void> {
    if (!dirty) return
    // Never twice in a row: work elsewhere must not go unseen.
    guessed = hinted && !guessed && givers.size > 0
    hinted = false
    if (guessed) {
      // The store is asked afterwards: one round trip less until the work begins.
      guess()
      return
    }
    dirty = false
    if (queuedHere) endRests()
    queuedHere = false
    looking = true
    try {
      await look()
    } finally {
      looking = false
    }
  }

  async function look(): Promise<void> {
    const due = new Map<string, Channel>()
    for (const { lane, endpoint, earliestDueMs } of await ledger.channels()) {
      if (parts.onlyLanes && !parts.onlyLanes.has(lane)) continue
      const key = channelKey(lane, endpoint)
      const { notBeforeMs = 0, disappointments = 0 } = channels.get(key) ?? {}
      due.set(key, {
        lane,
        endpoint,
        earliestDueMs,
        fullCalls: undefined,
        notBeforeMs,
        disappointments,
        ...KNOWN_BY_LOOK,
      })
    }
    // Who is there already keeps its turn; who is new has the last.
    const fresh = new Map<string, Channel>()
    for (const key of [...channels.keys(), ...due.keys()]) {
      const channel = due.get(key)
      if (channel) fresh.set(key, channel)
    }
    await linger([...fresh.values()])
    channels = fresh
  }

  function guess(): void {
    for (const giver of givers.values()) expectWork(giver)
  }

  /** Without having asked the store. */
  function expectWork({ lane, endpoint }: ChannelRef, isHinted = false): void {
    const nowMs = clock.wallMs()
    const key = channelKey(lane, endpoint)
    const known = channels.get(key)
    if (known && isHinted) {
      known.notBeforeMs = Math.min(known.notBeforeMs, nowMs)
      known.isHintedAnew = true
    }
    if (known && known.earliestDueMs <= nowMs) return
    const { notBeforeMs = 0, disappointments = 0 } = known ?? {}
    const dueBeforeHintMs = isHinted ? (known?.earliestDueMs ?? Number.POSITIVE_INFINITY) : undefined
    const expected = { lane, endpoint, earliestDueMs: nowMs, fullCalls: undefined, notBeforeMs, disappointments }
    channels.set(key, { ...expected, isGuess: true, dueBeforeHintMs, isHintedAnew: false, isFull: false })
  }

  /** All that a hint told of is taken: what is known of it is what was known before. */
  function forgetHint(key: string, channel: Channel, dueBeforeHintMs: number): void {
    channel.earliestDueMs = dueBeforeHintMs
    channel.dueBeforeHintMs = undefined
    if (dueBeforeHintMs === Number.POSITIVE_INFINITY) channels.delete(key)
  }

  function remember(key: string, gave: number): void {
    const giver = givers.get(key)
    if (giver) {
      giver.misses = gave > 0 ? 0 : giver.misses + 1
      if (gave > 0) giver.lastMs = clock.monotonicMs()
      if (giver.misses > MOST_MISSES) givers.delete(key)
      return
    }
    const channel = channels.get(key)
    if (gave === 0 || !channel || givers.size >= MOST_GIVERS) return
    const { lane, endpoint } = channel
    // What waits for company is not asked for before the store has been.
    if ((healthOf(lane, endpoint)?.lingerMs ?? 0) === 0)
      givers.set(key, { lane, endpoint, misses: 0, lastMs: clock.monotonicMs() })
  }

  /**
   * Items that share calls wait for company, in the store: no lease, no worker, nothing to lose in a crash. The oldest waits no
   * longer than its linger; what fills whole calls does not wait at all.
   */
  async function linger(fresh: readonly Channel[]): Promise<void> {
    const nowMs = clock.wallMs()
    const lingering = fresh.flatMap((channel) => {
      const { lingerMs = 0, itemsPerCall = 1, plan } = healthOf(channel.lane, channel.endpoint) ?? {}
      const waits = lingerMs > 0 && channel.earliestDueMs + lingerMs > nowMs
      return waits ? [{ channel, lingerMs, itemsPerCall, atMost: itemsPerCall * (plan?.concurrency ?? 1) }] : []
    })
    if (lingering.length === 0) return
    const asked = lingering.map(({ channel: { lane, endpoint }, atMost }) => ({ lane, endpoint, atMost }))
    const due = await ledger.countDue(asked, nowMs)
    for (const [index, { channel, lingerMs, itemsPerCall }] of lingering.entries()) {
      const fullCalls = Math.floor((due[index] ?? 0) / itemsPerCall)
      if (fullCalls > 0) channel.fullCalls = fullCalls
      else channel.earliestDueMs += lingerMs
    }
  }

  function plan(capacity: number): PlannedClaim[] {
    const nowMs = clock.wallMs()
    const candidates: ClaimCandidate[] = []
    rationed = false
    for (const channel of channels.values()) {
      if (channel.earliestDueMs > nowMs || channel.notBeforeMs > nowMs) continue
      const candidate = candidateFor(channel, capacity, nowMs)
      if (candidate) candidates.push(candidate)
    }
    const planned = planClaims(candidates, capacity)
    if (planned.length > 0 && channels.size > 1) {
      const order = afterTurn([...channels.values()], planned)
      channels = new Map(order.map((channel) => [channelKey(channel.lane, channel.endpoint), channel]))
    }
    return planned
  }

  function candidateFor(channel: Channel, capacity: number, nowMs: number): ClaimCandidate | undefined {
    const { lane, endpoint } = channel
    const known = healthOf(lane, endpoint)
    const laneConcurrency = known?.plan.concurrency ?? UNKNOWN_LANE_CONCURRENCY
    const inFlight = laneInFlight.get(lane) ?? 0
    channel.isFull = inFlight >= laneConcurrency
    if (channel.isFull) return undefined
    const wanted = Math.min(capacity, laneConcurrency - inFlight, channel.fullCalls ?? Number.POSITIVE_INFINITY)
    let limit = wanted
    if (known?.channel) {
      const allowance = health.allowance(known.channel, wanted)
      limit = Math.min(wanted, allowance.limit)
      rationed ||= limit < wanted
      if (limit <= 0) {
        channel.notBeforeMs = Math.max(nowMs + 1, allowance.retryAtMs)
        return undefined
      }
    }
    channel.isHintedAnew = false
    const { itemsPerCall = 1, laneItemsPerCall = 1 } = known ?? {}
    return { lane, endpoint, limit, laneConcurrency, laneInFlight: inFlight, itemsPerCall, laneItemsPerCall }
  }

  function claimed(planned: readonly PlannedClaim[], items: readonly ClaimedItem[]): void {
    const counts = countByChannel(items)
    const nowMs = clock.wallMs()
    for (const { lane, endpoint, limit } of planned) {
      const key = channelKey(lane, endpoint)
      const got = counts.get(key) ?? 0
      const channel = channels.get(key)
      remember(key, got)
      if (channel && got > 0) channel.disappointments = 0
      // Who was taken left others behind, who may have to wait.
      if (channel?.fullCalls !== undefined) dirty = true
      if (got >= limit) continue
      if (got > 0 && channel?.dueBeforeHintMs !== undefined) {
        if (!channel.isHintedAnew) forgetHint(key, channel, channel.dueBeforeHintMs)
        continue
      }
      // It ran dry, or the store knows of a gate, a suspension or other workers: look again before asking again.
      dirty = true
      if (channel?.isGuess && got === 0) channels.delete(key)
      else if (channel && got === 0) channel.notBeforeMs = nowMs + restMs(channel, parts.settings.pollMs)
    }
  }

  function markDirty(): void {
    dirty = true
    endRests()
  }

  /** A closer look is wanted now; health answers anew. */
  function endRests(): void {
    for (const channel of channels.values()) channel.notBeforeMs = Math.min(channel.notBeforeMs, clock.wallMs())
  }

  function worthWaitingFor(places: number): ClaimChannel[] {
    const sinceMs = clock.monotonicMs() - LATELY_MS
    const recent = [...givers.values()].filter(({ lastMs }) => lastMs >= sinceMs)
    const each = Math.floor(places / recent.length)
    return recent.flatMap(({ lane, endpoint }) => {
      const known = healthOf(lane, endpoint)
      if (!known?.isRepeatable || known.itemsPerCall > 1) return []
      const { concurrency } = known.plan
      const limit = Math.min(each, concurrency - (laneInFlight.get(lane) ?? 0))
      if (limit <= 0) return []
      // Where health allows less than there is room for, each call decides what the next one may do.
      if (known.channel && health.allowance(known.channel, limit).limit < limit) return []
      return [{ lane, endpoint, limit, laneConcurrency: concurrency * known.laneItemsPerCall }]
    })
  }

  return {
    refresh,
    plan,
    claimed,
    given(items) {
      for (const [key, count] of countByChannel(items)) remember(key, count)
    },
    worthWaitingFor,
    started(lane) {
      add(laneInFlight, lane, 1)
    },
    ended(lane) {
      add(laneInFlight, lane, -1)
    },
    settled(_item, settlement, receipt) {
      if (receipt.outcome !== 'settled') return
      if (receipt.queued.length > 0) queuedHere = true
      if (receipt.queued.length > 0 || isBackSoon(settlement)) dirty = true
    },
    markDirty,
    hint() {
      markDirty()
      hinted = true
    },
    hintAt(where) {
      for (const channel of where) {
        const { lane, endpoint } = channel
        if (parts.onlyLanes && !parts.onlyLanes.has(lane)) continue
        // What waits for company is not asked for before the store has been.
        if (looking || (healthOf(lane, endpoint)?.lingerMs ?? 0) > 0) markDirty()
        else expectWork(channel, true)
      }
    },
    isDirty: () => dirty,
    isRationed: () => rationed,
    nextDueMs() {
      let earliestMs = Number.POSITIVE_INFINITY
      for (const channel of channels.values()) {
        if (channel.isFull) continue
        earliestMs = Math.min(earliestMs, Math.max(channel.earliestDueMs, channel.notBeforeMs))
      }
      return earliestMs
    },
  }
}

const KNOWN_BY_LOOK = { isGuess: false, dueBeforeHintMs: undefined, isHintedAnew: false, isFull: false } as const

function restMs(channel: Channel, pollMs: number): number {
  const restMs = FIRST_REST_MS * 2 ** Math.min(channel.disappointments, 20)
  channel.disappointments += 1
  return Math.min(restMs, Math.max(pollMs, FIRST_REST_MS))
}

/** Lanes whose steps nobody here knows still move: their items are looked at, and held with a reason. */
const UNKNOWN_LANE_CONCURRENCY = 5

function isBackSoon(settlement: Settlement): boolean {
  return settlement.to.state === 'retrying' || settlement.to.state === 'queued'
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by
  if (next <= 0) counts.delete(key)
  else counts.set(key, next)
}

/** Items of one channel come one after the other, mostly: a key is made for each change, not for each item. */
function countByChannel(items: readonly ClaimedItem[]): Map<string, number> {
  const counts = new Map<string, number>()
  let from = 0
  for (const [index, { lane, endpoint }] of items.entries()) {
    const next = items[index + 1]
    if (next?.lane === lane && next.endpoint === endpoint) continue
    add(counts, channelKey(lane, endpoint), index + 1 - from)
    from = index + 1
  }
  return counts
}
