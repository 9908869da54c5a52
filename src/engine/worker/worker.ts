/**
 * The worker: claims what is due and allowed, runs it, settles it, keeps leases alive, takes over what others lost. It
 * never waits inside an item: everything that waits is a row with a due time (rule 4).
 */
import type { Health } from '../../client/health/health.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { type HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { ClaimedItem, Ledger, Settlement, SettleReceipt, Where } from '../../ledger/port.ts'
import type { Worker } from '../api.ts'
import { type ClaimEnds, executeTogether } from '../batches/execute-batch.ts'
import type { EngineSettings } from '../defaults.ts'
import { type Claim, type ExecuteParts, executeClaim } from '../execution/execute.ts'
import { givenBack } from '../execution/verdict.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import { createPlaces, type Placeable } from '../places.ts'
import { createChannelBoard } from './channel-board.ts'
import { itemRefOf, settledEvent } from './item-events.ts'
import { createLeaseKeeper } from './leases.ts'
import { type Placed, Roster } from './roster.ts'
import type { Settler } from './settler.ts'
import { createStandingClaim } from './standing-claim.ts'
import { tellUnseenFailure } from './unseen-failures.ts'

export interface WorkerParts {
  readonly id: string
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly health: Health
  readonly clock: Clock
  readonly events: EventBus
  readonly settler: Settler
  readonly execute: ExecuteParts
  readonly settings: EngineSettings
  readonly concurrency: number
  readonly onlyLanes: ReadonlySet<string> | undefined
  /** Called when nothing is under way and nothing is due: what `drain` waits for. */
  readonly onIdle: () => void
  readonly onStopped: () => void
  /** The store will not work again by waiting: damaged, or not ours to write. Whoever drains must hear of it. */
  readonly onStoreBroken: (error: HoldfastError) => void
}

export interface EngineWorker extends Worker {
  /** Something may have become due: there, where that is known. */
  wake(where?: Where): void
  readonly idle: boolean
}

interface Running extends Claim, Placed, Placeable {
  readonly item: ClaimedItem
  leaseDeadlineMs: number
}

export function startWorker(parts: WorkerParts): EngineWorker {
  const { clock, events, ledger, settings } = parts
  const running = new Roster<Running>()
  const shutdown = new AbortController()
  const ended = new AbortController()
  const board = createChannelBoard(parts)
  const places = createPlaces<Running>({
    ...parts,
    run: (claim) => void run(claim),
    runTogether: (claims) => void executeTogether(parts.execute, claims, ends),
    started: (lane) => board.started(lane),
    ended: (lane) => board.ended(lane),
  })
  const leases = createLeaseKeeper({ ...parts, running, freePlaces: places.free, onTakenOver: startAll })
  const standing = createStandingClaim({
    ...parts,
    onLeased(items, leaseFromMs) {
      board.given(items)
      startAll(items, leaseFromMs)
    },
  })
  let stopping = false
  let stopped: Promise<void> | undefined
  let turn: Promise<void> | undefined
  /** Something changed while a turn was under way: it may have looked too early. */
  let turnMissed = false
  let turnScheduled = false
  let idle = false
  let polledAtMs = clock.monotonicMs()
  /** Turns in a row in which the store did not answer. */
  let failedTurns = 0
  let timer: Timer | undefined
  let onDrained: (() => void) | undefined

  /** One claim per turn of the event loop: freed places and new work of the same turn share it, and the store's commit. */
  function scheduleTurn(): void {
    if (turnScheduled || stopping) return
    turnScheduled = true
    clock.nextTurn(() => {
      turnScheduled = false
      if (stopping) return
      if (turn) {
        turnMissed = true
        return
      }
      turn = takeTurn().finally(() => {
        turn = undefined
      })
    })
  }

  async function takeTurn(): Promise<void> {
    timer?.cancel()
    timer = undefined
    turnMissed = false
    let again = false
    giveBackWaiting(LONGEST_WAIT_MS, 'given back: claimed ahead, and its turn did not come')
    try {
      do again = await claimOnce()
      while (
        // At once, so that it shares a commit with what ended meanwhile. Not where each call decides what the next one may do.
        again &&
        !stopping &&
        places.room() > 0 &&
        !board.isDirty() &&
        !board.isRationed()
      )
      failedTurns = 0
    } catch (error) {
      failedTurns += 1
      events.emit('engine.trouble', clock.wallMs(), { where: 'claim', message: messageOf(error), cause: error })
      if (isHoldfastError(error) && BROKEN_STORE.has(error.code)) parts.onStoreBroken(error)
    }
    if (again || turnMissed) scheduleTurn()
    else rest()
  }

  /** True where another turn should follow at once. */
  async function claimOnce(): Promise<boolean> {
    const capacity = places.room() - standing.reserved()
    if (capacity <= 0) {
      if (places.room() > 0) standing.takeBack(scheduleTurn)
      return false
    }
    await board.refresh()
    if (stopping) return false
    const plan = board.plan(capacity)
    if (plan.length === 0) return board.isDirty()
    const nowMs = clock.wallMs()
    const leaseFromMs = clock.monotonicMs()
    const claimed = await ledger.claim({
      workerId: parts.id,
      nowMs,
      leaseUntilMs: nowMs + settings.leaseMs,
      channels: plan,
    })
    board.claimed(plan, claimed)
    places.answered(leaseFromMs)
    if (claimed.length >= capacity) standing.takeBack(scheduleTurn)
    startAll(claimed, leaseFromMs)
    return claimed.length > 0 || board.isDirty()
  }

  function startAll(claimed: readonly ClaimedItem[], leaseFromMs: number): void {
    const started: Running[] = []
    for (const item of claimed) {
      if (!stopping) started.push(start(item, leaseFromMs + settings.leaseMs))
      // Claimed while the stop was asked for. What was taken over keeps its lease: its story must not be cut short.
      else if (item.from !== 'processing') void parts.settler.settle(givenBack(item, STOPPING))
    }
    places.admit(started)
  }

  const ends: ClaimEnds = {
    ended: (claim, settlement) => void end(claim as Running, settlement),
    broke(claim, error) {
      reportBroken(claim, error)
      void end(claim as Running, undefined)
    },
  }

  function giveBackWaiting(atLeastMs: number, reason: string): void {
    for (const claim of places.takeWaiting(atLeastMs)) void end(claim, givenBack(claim.item, reason))
  }

  function start(item: ClaimedItem, leaseDeadlineMs: number): Running {
    const claim: Running = {
      item,
      leaseDeadlineMs,
      place: -1,
      held: undefined,
      signal: shutdown.signal,
      leaseIsLive: () => clock.monotonicMs() < claim.leaseDeadlineMs,
    }
    idle = false
    running.add(claim)
    if (events.wants('item.claimed')) {
      const { counters, from, token } = item
      events.emit('item.claimed', clock.wallMs(), {
        ...itemRefOf(item),
        claim: token,
        attempts: counters.attempts,
        from,
      })
    }
    return claim
  }

  async function run(claim: Running): Promise<void> {
    let settlement: Settlement | undefined
    try {
      settlement = await executeClaim(parts.execute, claim)
    } catch (error) {
      reportBroken(claim, error)
    }
    await end(claim, settlement)
  }

  /** A defect of ours: the item goes back by its lease, never lost, and the trouble is said aloud. */
  function reportBroken(claim: Claim, error: unknown): void {
    const where = `execute ${claim.item.itemId}`
    events.emit('engine.trouble', clock.wallMs(), { where, message: messageOf(error), cause: error })
  }

  async function end(claim: Running, settlement: Settlement | undefined): Promise<void> {
    // The place is free as soon as the settlement is on its way: the store keeps the order, so the next claim sees it.
    if (settlement) scheduleTurn()
    const pending = settlement ? parts.settler.settle(settlement) : undefined
    release(claim)
    const receipt = pending ? await pending : undefined
    leases.settled(claim)
    if (settlement && receipt) announce(claim.item, settlement, receipt)
    else events.emit('item.lease_lost', clock.wallMs(), { ...itemRefOf(claim.item), claim: claim.item.token })
    scheduleTurn()
    if (running.size === 0) onDrained?.()
  }

  function release(claim: Running): void {
    running.remove(claim)
    leases.settling(claim)
    places.ended(claim)
  }

  function announce(item: ClaimedItem, settlement: Settlement, receipt: SettleReceipt): void {
    if (receipt.outcome === 'lease_lost') {
      events.emit('item.lease_lost', clock.wallMs(), { ...itemRefOf(item), claim: item.token })
      return
    }
    board.settled(item, settlement, receipt)
    if (events.wants('item.settled'))
      events.emit('item.settled', clock.wallMs(), settledEvent(item, settlement, receipt))
    tellUnseenFailure(events, item, settlement, clock.wallMs())
  }

  /** Nothing more to do now: sleep until the next due time, a wake-up, or the poll. */
  function rest(): void {
    if (stopping || timer) return
    standing.wait(board.worthWaitingFor(Math.floor(places.free() / 2)))
    const pollInMs = polledAtMs + settings.pollMs - clock.monotonicMs()
    timer = clock.setTimer(Math.max(1, Math.min(pollInMs, nextTurnInMs())), () => {
      timer = undefined
      if (clock.monotonicMs() >= polledAtMs + settings.pollMs) poll()
      scheduleTurn()
    })
    if (running.size === 0 && !leases.isSettling() && !board.isDirty()) {
      idle = true
      parts.onIdle()
    }
  }

  function nextTurnInMs(): number {
    // A store that fails gets time to recover, and the log to be read.
    if (failedTurns > 0) return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failedTurns - 1, 10), LONGEST_PAUSE_MS)
    // While it is full, only the end of an item can change anything.
    if (places.room() <= 0) return Number.POSITIVE_INFINITY
    return board.nextDueMs() - clock.wallMs()
  }

  function poll(): void {
    polledAtMs = clock.monotonicMs()
    board.markDirty()
  }

  function wake(where?: Where): void {
    idle = false
    if (where) board.hintAt(where)
    else {
      polledAtMs = clock.monotonicMs()
      board.hint()
    }
    scheduleTurn()
  }

  async function stop(graceMs: number): Promise<void> {
    stopping = true
    await turn
    timer?.cancel()
    leases.stopTakingOver()
    await standing.stop()
    giveBackWaiting(0, STOPPING)
    const released = running.size
    if (running.size > 0) await waitForRunning(graceMs)
    if (running.size > 0) {
      const reason = new Error('the worker is stopping')
      shutdown.abort(reason)
      for (const claim of running) claim.abort?.(reason)
      await waitForRunning(ABORT_GRACE_MS)
    }
    // Whatever still ignores its signal keeps its lease and is taken over when that ends.
    await parts.settler.flushed(FLUSH_LIMIT_MS)
    leases.stop()
    events.emit('worker.stopped', clock.wallMs(), { workerId: parts.id, released: Math.min(released, running.size) })
    ended.abort()
    parts.onStopped()
  }

  async function waitForRunning(limitMs: number): Promise<void> {
    if (running.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    onDrained = resolve
    const limit = clock.setTimer(limitMs, resolve)
    await promise
    limit.cancel()
    onDrained = undefined
  }

  events.emit('worker.started', clock.wallMs(), { workerId: parts.id })
  void holdProcessOpen(clock, ended.signal)
  scheduleTurn()

  return {
    id: parts.id,
    wake,
    get idle() {
      return idle
    },
    get inFlight() {
      return running.size
    },
    stop(options) {
      stopped ??= stop(options?.graceMs ?? DEFAULT_GRACE_MS)
      return stopped
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
    },
  }
}

/** A program that starts a worker wants it to work: its timers alone would let the process end. */
async function holdProcessOpen(clock: Clock, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    // It only ever rejects because the worker has ended.
    await clock.sleep(HOUR_MS, ended).catch(() => undefined)
  }
}

const STOPPING = 'given back: the worker is stopping'
/** Of what was claimed ahead: it should begin within the time that a claim takes. */
const LONGEST_WAIT_MS = 1000
const HOUR_MS = 3_600_000
/** Between two turns that the store fails. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5000
const BROKEN_STORE: ReadonlySet<string> = new Set([
  'store_corrupt',
  'store_read_only',
  'store_foreign',
  'store_moved',
  'schema_too_new',
])
const DEFAULT_GRACE_MS = 10_000
/** For the settlements of what ended: the store may be full or busy. */
export const FLUSH_LIMIT_MS = 5000
/** After aborting: time for broken-off calls to settle as what they are. */
const ABORT_GRACE_MS = 2000
