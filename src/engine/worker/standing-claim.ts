/**
 * The claim that a worker leaves with the store while it has nothing to do (decision 035): what is submitted then is leased to it at
 * once, and it hears of it with all that it needs to begin. Only a short cut: it claims as if there were none.
 */
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { ClaimChannel, ClaimedItem, Ledger, StandingLease } from '../../ledger/port.ts'
import type { EngineSettings } from '../defaults.ts'
import { channelKey } from './known-channels.ts'

export interface StandingClaim {
  /** There is nothing to do: leaves a claim on these, or renews it where it is about to end, or mostly used. */
  wait(channels: readonly ClaimChannel[]): void
  /** Places that it may still take. */
  reserved(): number
  /** Takes it back: there is more to do than what it waits for. `changed` is called when its places are free. */
  takeBack(changed: () => void): void
  /** Resolves when nothing is leased to it any more that it was not told of. */
  stop(): Promise<void>
}

export interface StandingClaimParts {
  readonly id: string
  readonly ledger: Pick<Ledger, 'standClaim'>
  readonly clock: Clock
  readonly events: EventBus
  readonly settings: Pick<EngineSettings, 'leaseMs'>
  readonly onLeased: (items: readonly ClaimedItem[], leaseFromMs: number) => void
}

/** Short: what is leased to a worker that has just frozen waits for the end of its lease. */
const STANDS_MS = 2000
const RENEWED_AFTER_MS = 1000
/** After it was taken back: there is other work. */
const TAKEN_BACK_PAUSE_MS = 250
/** After the store would not have it. */
const REFUSED_PAUSE_MS = 5000

export function createStandingClaim(parts: StandingClaimParts): StandingClaim {
  const { id, ledger, clock, events, settings, onLeased } = parts
  /** How many it may still take of each channel. */
  let left = roomOf([])
  let sinceMs = Number.NEGATIVE_INFINITY
  /** False where it surely stands no more, before its time is over. */
  let mayStand = false
  let pauseUntilMs = Number.NEGATIVE_INFINITY
  let writing: Promise<void> | undefined
  let stopped = false

  function write(channels: readonly ClaimChannel[]): Promise<void> {
    left = roomOf(channels)
    if (channels.length > 0) {
      sinceMs = clock.monotonicMs()
      mayStand = true
    }
    writing = leave(channels).finally(() => {
      writing = undefined
    })
    return writing
  }

  async function leave(channels: readonly ClaimChannel[]): Promise<void> {
    const untilMs = clock.wallMs() + STANDS_MS
    try {
      const stands = await ledger.standClaim({ workerId: id, leaseMs: settings.leaseMs, untilMs, channels }, leased)
      mayStand = stands
      if (stands || channels.length === 0) return
    } catch (error) {
      events.emit('engine.trouble', clock.wallMs(), {
        where: 'leave a claim',
        message: messageOf(error),
        cause: error,
      })
    }
    left = new Map()
    pauseUntilMs = clock.monotonicMs() + REFUSED_PAUSE_MS
  }

  function leased({ items, leaseUntilMs }: StandingLease): void {
    for (const { lane, endpoint } of items) {
      const channel = left.get(channelKey(lane, endpoint))
      if (channel) channel.room -= 1
    }
    const nowMs = clock.monotonicMs()
    // By the clock of whoever submitted it: where that is ahead, it began when it was told.
    onLeased(items, Math.min(nowMs, nowMs + leaseUntilMs - clock.wallMs() - settings.leaseMs))
  }

  function isAsGood(channels: readonly ClaimChannel[]): boolean {
    if (clock.monotonicMs() - sinceMs >= RENEWED_AFTER_MS) return channels.length === 0 && reserved() === 0
    return (
      channels.length === left.size &&
      channels.every(({ lane, endpoint }) => {
        const channel = left.get(channelKey(lane, endpoint))
        return channel !== undefined && channel.room * 2 > channel.most
      })
    )
  }

  function reserved(): number {
    if (clock.monotonicMs() - sinceMs >= STANDS_MS) return 0
    let places = 0
    for (const { room } of left.values()) places += Math.max(0, room)
    return places
  }

  return {
    wait(channels) {
      if (stopped || writing || clock.monotonicMs() < pauseUntilMs || isAsGood(channels)) return
      void write(channels)
    },
    reserved,
    takeBack(changed) {
      if (stopped || writing || left.size === 0) return
      pauseUntilMs = clock.monotonicMs() + TAKEN_BACK_PAUSE_MS
      void write([]).then(changed)
    },
    async stop() {
      stopped = true
      await writing
      if (mayStand && clock.monotonicMs() - sinceMs < STANDS_MS) await write([])
    },
  }
}

function roomOf(channels: readonly ClaimChannel[]): Map<string, { readonly most: number; room: number }> {
  return new Map(
    channels.map(({ lane, endpoint, limit }) => [channelKey(lane, endpoint), { most: limit, room: limit }]),
  )
}
