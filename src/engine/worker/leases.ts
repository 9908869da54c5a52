/** Keeps this worker's leases alive, and takes over those that others let go (C15, C16: continuously, not at start-up). */
import type { Clock, Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { ClaimedItem, Fence, Ledger } from '../../ledger/port.ts'
import type { EngineSettings } from '../defaults.ts'
import { fence } from '../execution/verdict.ts'
import { type Placed, Roster } from './roster.ts'

interface HeldLease extends Placed {
  readonly item: ClaimedItem
  leaseDeadlineMs: number
  abort?: (reason: unknown) => void
}

export interface LeaseKeeper {
  /** Its settlement is on its way to the store: the lease is kept until that is done. */
  settling(lease: HeldLease): void
  settled(lease: HeldLease): void
  isSettling(): boolean
  /** The worker is ending: what it has is kept alive, nothing is taken over any more. */
  stopTakingOver(): void
  stop(): void
}

export interface LeaseKeeperParts {
  readonly id: string
  readonly ledger: Ledger
  readonly clock: Clock
  readonly events: EventBus
  readonly settings: EngineSettings
  /** Places for calls that are free now. */
  readonly freePlaces: () => number
  readonly running: { readonly size: number } & Iterable<HeldLease>
  readonly onTakenOver: (items: readonly ClaimedItem[], leaseFromMs: number) => void
}

export function createLeaseKeeper(parts: LeaseKeeperParts): LeaseKeeper {
  const { ledger, clock, events, settings, running } = parts
  const settling = new Roster<HeldLease>()
  const trust = watchClock(clock, settings.leaseMs)
  const everyMs = Math.max(MINIMUM_ROUND_MS, Math.floor(settings.leaseMs / 3))
  let stopped = false
  let takingOver = true
  let timer: Timer = clock.setTimer(0, round)

  function round(): void {
    void Promise.allSettled([guard('extend leases', extend), guard('take over leases', takeOver)]).then(() => {
      if (!stopped) timer = clock.setTimer(everyMs, round)
    })
  }

  async function extend(): Promise<void> {
    const held = [...running, ...settling]
    if (held.length === 0) return
    const fromMs = clock.monotonicMs()
    const lost = await ledger.extendLeases(
      held.map((lease) => fence(lease.item)),
      clock.wallMs() + settings.leaseMs,
    )
    const lostKeys = new Set(lost.map(keyOf))
    for (const lease of held) {
      if (lostKeys.has(keyOf(lease.item))) lose(lease)
      else lease.leaseDeadlineMs = fromMs + settings.leaseMs
    }
  }

  /** What it still does is void: stop it, and let nothing more be sent. */
  function lose(lease: HeldLease): void {
    lease.leaseDeadlineMs = 0
    lease.abort?.(new Error('the lease was lost'))
  }

  async function takeOver(): Promise<void> {
    if (!takingOver) return
    const isTrusted = trust()
    const limit = Math.max(0, parts.freePlaces())
    if (limit === 0 || !isTrusted) return
    const nowMs = clock.wallMs()
    const fromMs = clock.monotonicMs()
    const items = await ledger.reclaimExpired({
      workerId: parts.id,
      nowMs,
      leaseUntilMs: nowMs + settings.leaseMs,
      limit,
    })
    if (items.length > 0) parts.onTakenOver(items, fromMs)
  }

  async function guard(where: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      events.emit('engine.trouble', clock.wallMs(), { where, message: messageOf(error), cause: error })
    }
  }

  return {
    settling: (lease) => settling.add(lease),
    settled: (lease) => settling.remove(lease),
    isSettling: () => settling.size > 0,
    stopTakingOver() {
      takingOver = false
    },
    stop() {
      stopped = true
      takingOver = false
      timer.cancel()
    },
  }
}

/**
 * May leases be judged by the clock? Not while it has just been set ahead, or the machine has slept: then every lease looks ended, and those
 * who live need time to notice and to renew. What is lost is taken over that much later. A jump of less than a quarter of a lease cannot end one
 * that is renewed each third.
 */
function watchClock(clock: Clock, leaseMs: number): () => boolean {
  let aheadMs = clock.wallMs() - clock.monotonicMs()
  let distrustedUntilMs = Number.NEGATIVE_INFINITY
  return () => {
    const nowMs = clock.monotonicMs()
    const jumpMs = clock.wallMs() - nowMs - aheadMs
    aheadMs += jumpMs
    if (jumpMs > leaseMs / 4) distrustedUntilMs = nowMs + leaseMs + CLOCKS_FOLLOW_MS
    return nowMs >= distrustedUntilMs
  }
}

/** By then every process goes by a server's new time (it is measured each 30 s). */
const CLOCKS_FOLLOW_MS = 60_000

/** Often enough for short leases in tests, without a busy loop. */
const MINIMUM_ROUND_MS = 20

function keyOf(reference: Pick<Fence, 'itemId' | 'token'>): string {
  return `${reference.itemId}#${reference.token}`
}
