/**
 * Claims that stand (decision 035), in memory: those of this process, for submits of this process. What a transaction has made due is
 * leased to them at its end by the code that claims, and they are told of it after the commit.
 */
import type { Clock } from '../../../core/clock.ts'
import type { ChannelRef, ClaimChannel, NewRun, StandingClaim, StandingLease, SubmitReceipt } from '../../port.ts'
import type { Claims } from './claim.ts'

export interface Standing {
  /** `standClaim` of the port. */
  leave(claim: StandingClaim, onLeased: OnLeased): Promise<boolean>
  /** Inside a transaction: what was submitted, and the answer to it, in which {@link lease} says what it has leased. */
  submitted(runs: readonly NewRun[], receipts: SubmitReceipt[]): SubmitReceipt[]
  /** At the end of a transaction, when all items are written. */
  lease(): void
  /** When whoever asked for something in the transaction has been answered. */
  afterCommit(): void
  afterRollback(): void
  /** The ledger is closed: nobody waits here any more. */
  stop(): void
}

/** By worker: those of all ledgers that share a connection. */
export type StandingClaims = Map<string, Waiting>

type OnLeased = (lease: StandingLease) => void

interface Waiting {
  readonly claim: StandingClaim
  readonly onLeased: OnLeased
  readonly places: readonly Place[]
}

/** What is left of what a claim may still be given. */
interface Place {
  readonly channel: ClaimChannel
  room: number
}

interface Given {
  readonly waiting: Waiting
  readonly place: Place
  readonly lease: StandingLease
}

export interface StandingParts {
  readonly clock: Pick<Clock, 'wallMs'>
  readonly claims: Pick<Claims, 'claim'>
  readonly standing: StandingClaims
}

/** Runs of one transaction: of more, claims take more at once. */
const MOST_ALONE = 16

export function createStanding({ clock, claims, standing }: StandingParts): Standing {
  const own = new Set<string>()
  /** Of the transaction under way. */
  let accepted: { readonly runs: readonly NewRun[]; readonly receipts: SubmitReceipt[] }[] = []
  let given: Given[] = []

  function lease(): void {
    if (accepted.length === 0) return
    if (accepted.reduce((sum, { runs }) => sum + runs.length, 0) > MOST_ALONE) {
      accepted = []
      return
    }
    const nowMs = clock.wallMs()
    for (const { channel } of waitedFor(nowMs)) if (isDueNow(channel, nowMs)) leaseIn(channel, nowMs)
    if (given.length > 0) tellSubmitters()
    accepted = []
  }

  /** One for each channel. */
  function waitedFor(nowMs: number): Iterable<Place> {
    const places = [...standing.values()].filter((waiting) => stands(waiting, nowMs)).flatMap(({ places }) => places)
    return new Map(places.filter(({ room }) => room > 0).map((place) => [nameOf(place.channel), place])).values()
  }

  /** This transaction has made something due there. */
  function isDueNow(channel: ChannelRef, nowMs: number): boolean {
    return accepted.some(({ runs, receipts }) =>
      runs.some(
        ({ items }, index) =>
          receipts[index]?.outcome === 'accepted' &&
          items.some((item) => item.after.length === 0 && item.dueAtMs <= nowMs && isSame(item, channel)),
      ),
    )
  }

  function leaseIn(channel: ChannelRef, nowMs: number): void {
    const takers = [...standing.values()]
      .filter((waiting) => stands(waiting, nowMs))
      .flatMap((waiting) => waiting.places.map((place) => ({ waiting, place })))
      .filter(({ place }) => place.room > 0 && isSame(place.channel, channel))
      .sort((one, other) => other.place.room - one.place.room)
    for (const { waiting, place } of takers) {
      const { workerId, leaseMs } = waiting.claim
      const leaseUntilMs = nowMs + leaseMs
      const channels = [{ ...place.channel, limit: place.room }]
      const items = claims.claim({ workerId, nowMs, leaseUntilMs, channels })
      if (items.length === 0) continue
      place.room -= items.length
      given.push({ waiting, place, lease: { items, leaseUntilMs } })
    }
  }

  function tellSubmitters(): void {
    const leased = new Map<string, Set<string>>()
    for (const { runId, step } of given.flatMap(({ lease: { items } }) => items)) {
      leased.set(runId, (leased.get(runId) ?? new Set()).add(step))
    }
    for (const { runs, receipts } of accepted) {
      for (const [index, { id, items }] of runs.entries()) {
        const steps = leased.get(id)
        const receipt = receipts[index]
        if (!steps || receipt?.outcome !== 'accepted') continue
        // What is due later, or has to wait for its turn, is still to be looked for.
        const isLeased = items.every(({ step, after }) => after.length > 0 || steps.has(step))
        if (isLeased) receipts[index] = { ...receipt, isLeased }
      }
    }
  }

  function takeBack(workerId: string): void {
    standing.delete(workerId)
    own.delete(workerId)
  }

  return {
    // What was leased before this is told before it resolves: both are next in line when their turn of the event loop is over.
    async leave(claim, onLeased) {
      takeBack(claim.workerId)
      if (claim.channels.length === 0) return false
      const places = claim.channels.map((channel) => ({ channel, room: channel.limit }))
      standing.set(claim.workerId, { claim, onLeased, places })
      own.add(claim.workerId)
      return true
    },
    submitted(runs, receipts) {
      if (standing.size > 0) accepted.push({ runs, receipts })
      return receipts
    },
    lease,
    afterCommit() {
      const told = given
      given = []
      for (const { waiting, lease } of told) void Promise.resolve(lease).then(waiting.onLeased)
    },
    afterRollback() {
      for (const { place, lease } of given) place.room += lease.items.length
      given = []
      accepted = []
    },
    stop() {
      for (const workerId of own) takeBack(workerId)
    },
  }
}

function stands({ claim }: Waiting, nowMs: number): boolean {
  return claim.untilMs > nowMs
}

function isSame(one: ChannelRef, other: ChannelRef): boolean {
  return one.endpoint === other.endpoint && one.lane === other.lane
}

function nameOf({ lane, endpoint }: ChannelRef): string {
  return JSON.stringify([lane, endpoint])
}
