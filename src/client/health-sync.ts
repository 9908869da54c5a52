/**
 * Exchanges health with the other processes through the ledger: reads what changed, merges, writes what others must know.
 * Compare-and-swap, so that nobody's word is lost; a store in trouble never stops the calls.
 */
import { messageOf } from '../core/errors.ts'
import type { HealthChange, HealthRecord } from '../ledger/port.ts'
import {
  type Breaker,
  type BreakerBoard,
  breakerFromJson,
  breakerToJson,
  mergeBreakers,
  shareSignature,
} from './breaker-board.ts'
import type { HealthParts } from './health-registry.ts'
import type { LaneHealth } from './lane-health.ts'
import { adoptRates, type LimiterRecord, limiterFromJson, limiterToJson, rateRecord } from './shared-rates.ts'

export interface HealthSync {
  /** One exchange after those already asked for. Never throws. */
  now(): Promise<void>
  /** An exchange at the end of this turn, without waiting for it: for news that others must have at once. */
  soon(): void
}

const BREAKER_PREFIX = 'breaker:'
const LIMITER_PREFIX = 'limiter:'
/** Conflicts in one exchange: what still conflicts then is left to the next one. */
const MAX_ROUNDS = 3

export function createHealthSync(
  parts: HealthParts,
  board: BreakerBoard,
  laneOf: (name: string) => LaneHealth,
  lanes: () => Iterable<LaneHealth>,
): HealthSync {
  const { ledger, clock, events, workerId } = parts
  const limiterRecords = new Map<string, { revision: number; record: LimiterRecord }>()
  let sinceRevision = 0
  let previousStartMs = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined
  let queued: Promise<void> | undefined
  let soonAsked = false

  async function exchange(): Promise<void> {
    const startMs = clock.wallMs()
    try {
      await readLanes(startMs)
      const { records, revision } = await ledger.readHealth(sinceRevision)
      for (const record of records) learn(record)
      sinceRevision = revision
      await writeBack()
      previousStartMs = startMs
    } catch (cause) {
      // The calls go on with what is known here; the next exchange catches up.
      events.emit('engine.trouble', clock.wallMs(), { where: 'health.sync', message: messageOf(cause), cause })
    }
  }

  async function readLanes(startMs: number): Promise<void> {
    for (const known of await ledger.lanes()) {
      const lane = laneOf(known.lane)
      lane.suspended = known.suspended?.reason
      // A gate closed here a moment ago may not be in the ledger yet. An older one is the ledger's to say: someone may
      // have opened it.
      const ownIsNews = lane.gateClosedHereAtMs >= Math.min(previousStartMs, startMs)
      if (ownIsNews && lane.gateUntilMs >= known.gateUntilMs) continue
      lane.gateUntilMs = known.gateUntilMs
      lane.gateReason = known.gateReason
    }
  }

  function learn(record: HealthRecord): void {
    if (record.key.startsWith(BREAKER_PREFIX)) learnBreaker(record)
    else if (record.key.startsWith(LIMITER_PREFIX)) learnLimiter(record)
  }

  function learnBreaker(record: HealthRecord): void {
    const remote = breakerFromJson(record.state)
    if (!remote) return
    const breaker = board.learn(record.key.slice(BREAKER_PREFIX.length))
    const merged = mergeBreakers(breaker.state, remote)
    const bothClosed = breaker.state.phase === 'closed' && remote.phase === 'closed'
    breaker.revision = record.revision
    // Windows of closed breakers differ between processes: correcting each other's would never end.
    if (!bothClosed || merged === remote) breaker.sharedSignature = shareSignature(remote)
    board.replace(breaker, merged, clock.wallMs())
  }

  function learnLimiter(record: HealthRecord): void {
    const parsed = limiterFromJson(record.state)
    if (!parsed) return
    limiterRecords.set(record.key, { revision: record.revision, record: parsed })
    adoptRates(laneOf(record.key.slice(LIMITER_PREFIX.length)), parsed, workerId, clock.wallMs())
  }

  async function writeBack(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const changes = [...changedBreakers(), ...changedLimiters()]
      if (changes.length === 0) return
      const receipts = await ledger.updateHealth(
        changes.map(({ change }) => change),
        clock.wallMs(),
      )
      for (const [index, receipt] of receipts.entries()) {
        if (receipt.applied) changes[index]?.written(receipt.revision)
        else if (receipt.current) learn(receipt.current)
      }
      if (receipts.every((receipt) => receipt.applied)) return
    }
  }

  function* changedBreakers(): Generator<PendingChange> {
    for (const breaker of board.all()) {
      const signature = shareSignature(breaker.state)
      if (signature === breaker.sharedSignature) continue
      const key = BREAKER_PREFIX + breaker.key
      yield {
        change: { key, fromRevision: breaker.revision, state: breakerToJson(breaker.state) },
        written: (revision) => markShared(breaker, revision, signature),
      }
    }
  }

  function* changedLimiters(): Generator<PendingChange> {
    for (const lane of lanes()) {
      if (!lane.rate?.changed && !lane.quota?.changed) continue
      const key = LIMITER_PREFIX + lane.lane
      const known = limiterRecords.get(key)
      const record = rateRecord(lane, known?.record, workerId, clock.wallMs())
      yield {
        change: { key, fromRevision: known?.revision ?? 0, state: limiterToJson(record) },
        written: (revision) => {
          limiterRecords.set(key, { revision, record })
          if (lane.rate) lane.rate.changed = false
          if (lane.quota) lane.quota.changed = false
        },
      }
    }
  }

  function now(): Promise<void> {
    // One that runs may have read before the caller's news: the caller gets the next one, shared with all who ask meanwhile.
    if (running) {
      queued ??= running.then(() => {
        queued = undefined
        return start()
      })
      return queued
    }
    return start()
  }

  function start(): Promise<void> {
    running = exchange().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    now,
    soon() {
      if (soonAsked) return
      soonAsked = true
      clock.nextTurn(() => {
        soonAsked = false
        void now()
      })
    },
  }
}

interface PendingChange {
  readonly change: HealthChange
  readonly written: (revision: number) => void
}

function markShared(breaker: Breaker, revision: number, signature: string): void {
  breaker.revision = revision
  breaker.sharedSignature = signature
}
