/**
 * Exchanges health with the other processes through the ledger: reads what changed, merges, writes what others must know.
 * Compare-and-swap, so that nobody's word is lost; a store in trouble never stops the calls.
 */
import { messageOf } from '../../core/errors.ts'
import type { HealthChange, HealthRecord } from '../../ledger/port.ts'
import { hasPaceNews, learnPace, PACE_PREFIX, paceToJson } from './backpressure.ts'
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
import { LIMITER_PREFIX } from './shared-rates.ts'

/** What is learned here for others. */
export interface SyncParts extends HealthParts {
  /** Asking for a lane makes it known. */
  readonly laneOf: (name: string) => LaneHealth
  readonly lanes: () => Iterable<LaneHealth>
  readonly onLimiterRecord: (record: HealthRecord) => void
  /** Another process tells of a breaker that was not known here. */
  readonly onNewBreaker: () => void
}

const BREAKER_PREFIX = 'breaker:'
/** Conflicts in one exchange: what still conflicts then is left to the next one. */
const MAX_ROUNDS = 3

export class HealthSync {
  readonly #parts: SyncParts
  readonly #board: BreakerBoard
  #sinceRevision = 0
  #previousStartMs = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #queued: Promise<void> | undefined
  #soonAsked = false

  constructor(parts: SyncParts, board: BreakerBoard) {
    this.#parts = parts
    this.#board = board
  }

  /** An exchange that begins after this call. Never throws: trouble becomes an event. */
  now(): Promise<void> {
    if (!this.#running) return this.#start()
    // The one that runs may have read before the caller's news: all who ask meanwhile share the next one.
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined
      return this.#start()
    })
    return this.#queued
  }

  /** An exchange at the end of this turn, without waiting for it: for news that others must have at once. */
  soon(): void {
    if (this.#soonAsked) return
    this.#soonAsked = true
    this.#parts.clock.nextTurn(() => {
      this.#soonAsked = false
      void this.now()
    })
  }

  #start(): Promise<void> {
    this.#running = this.#exchange().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #exchange(): Promise<void> {
    const { ledger, clock, events } = this.#parts
    const startMs = clock.wallMs()
    try {
      await this.#readLanes(startMs)
      const { records, revision } = await ledger.readHealth(this.#sinceRevision)
      for (const record of records) this.#learn(record)
      this.#sinceRevision = revision
      await this.#writeBack()
      this.#previousStartMs = startMs
    } catch (cause) {
      // The calls go on with what is known here; the next exchange catches up.
      events.emit('engine.trouble', clock.wallMs(), { where: 'health.sync', message: messageOf(cause), cause })
    }
  }

  async #readLanes(startMs: number): Promise<void> {
    for (const known of await this.#parts.ledger.lanes()) {
      const lane = this.#parts.laneOf(known.lane)
      lane.suspended = known.suspended?.reason
      // A gate closed here a moment ago may not be in the ledger yet. An older one is the ledger's to say: someone may
      // have opened it.
      const ownIsNews = lane.gateClosedHereAtMs >= Math.min(this.#previousStartMs, startMs)
      if (ownIsNews && lane.gateUntilMs >= known.gateUntilMs) continue
      lane.gateUntilMs = known.gateUntilMs
      lane.gateReason = known.gateReason
    }
  }

  #learn(record: HealthRecord): void {
    if (record.key.startsWith(BREAKER_PREFIX)) this.#learnBreaker(record)
    else if (record.key.startsWith(LIMITER_PREFIX)) this.#parts.onLimiterRecord(record)
    else if (record.key.startsWith(PACE_PREFIX)) this.#learnPace(record)
  }

  #learnBreaker(record: HealthRecord): void {
    const remote = breakerFromJson(record.state)
    if (!remote) return
    const { clock, workerId, onNewBreaker } = this.#parts
    const key = record.key.slice(BREAKER_PREFIX.length)
    const isNew = this.#board.find(key) === undefined
    const breaker = this.#board.learn(key)
    if (isNew) onNewBreaker()
    const merged = mergeBreakers(breaker.state, remote, workerId)
    const bothClosed = breaker.state.phase === 'closed' && remote.phase === 'closed'
    breaker.revision = record.revision
    // Windows of closed breakers differ between processes: correcting each other's would never end.
    if (!bothClosed || merged === remote) breaker.sharedSignature = shareSignature(remote)
    this.#board.replace(breaker, merged, clock.wallMs())
  }

  #learnPace({ key, revision, state }: HealthRecord): void {
    const { clock, laneOf } = this.#parts
    learnPace(laneOf(key.slice(PACE_PREFIX.length)).pace, state, { revision, nowMs: clock.wallMs() })
  }

  async #writeBack(): Promise<void> {
    const { ledger, clock } = this.#parts
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const pending = [...this.#changedBreakers(), ...this.#changedPaces()]
      if (pending.length === 0) return
      const changes = pending.map(({ change }) => change)
      const receipts = await ledger.updateHealth(changes, clock.wallMs())
      for (const [index, receipt] of receipts.entries()) {
        if (receipt.applied) pending[index]?.written(receipt.revision)
        else if (receipt.current) this.#learn(receipt.current)
      }
      if (receipts.every(({ applied }) => applied)) return
    }
  }

  *#changedPaces(): Generator<PendingChange> {
    const { clock, lanes } = this.#parts
    const nowMs = clock.wallMs()
    for (const { lane, pace } of lanes()) {
      if (!hasPaceNews(pace, nowMs)) continue
      const untilMs = pace.slowUntilMs
      yield {
        change: { key: PACE_PREFIX + lane, fromRevision: pace.revision, state: paceToJson(pace, nowMs) },
        written: (revision) => {
          pace.revision = revision
          pace.toldUntilMs = untilMs
        },
      }
    }
  }

  *#changedBreakers(): Generator<PendingChange> {
    for (const breaker of this.#board.all()) {
      const signature = shareSignature(breaker.state)
      if (signature === breaker.sharedSignature) continue
      const key = BREAKER_PREFIX + breaker.key
      yield {
        change: { key, fromRevision: breaker.revision, state: breakerToJson(breaker.state) },
        written: (revision) => markShared(breaker, revision, signature),
      }
    }
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
