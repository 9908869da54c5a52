/**
 * The places of a worker: how much may run at the same time, and how much more is claimed ahead, so that it has something to do
 * while the store is at work on the next claim. What is claimed ahead is leased like everything else: limits of lanes that are
 * shared by workers hold for it too.
 */
import type { Clock } from '../core/clock.ts'
import type { ClaimedItem } from '../ledger/port.ts'
import { isBatched } from './batches/batch-members.ts'
import type { Catalog, StepPlan } from './pipelines/catalog.ts'

export interface Placeable {
  readonly item: ClaimedItem
  /** The place that it has, perhaps with others; `undefined`: none yet. */
  held: Place | undefined
}

/** Items of one channel that share calls have one place together. */
interface Place {
  readonly lane: string
  readonly sinceMs: number
  /** Sends calls for several. */
  readonly isTogether: boolean
  readonly isRepeatable: boolean
  /** Claims that have not ended. */
  open: number
  hasBegun: boolean
}

export interface Places<Claim extends Placeable> {
  /** Calls that the next claim may bring. */
  room(): number
  /** Places where nothing runs, and nothing waits to. */
  free(): number
  /** In the order of the claims; what finds no place that is free waits for one. */
  admit(claims: readonly Claim[]): void
  ended(claim: Claim): void
  /** A claim that was asked for then is answered: how long that takes decides how much is claimed ahead. */
  answered(askedAtMs: number): void
  /**
   * Takes out those that wait to begin, for so long at least: nobody else can work on them meanwhile, and if this worker is lost
   * nobody knows that they were not begun. Not what was taken over, whose story must not be cut short. They keep their places until they have `ended`.
   */
  takeWaiting(atLeastMs: number): Claim[]
}

export interface PlacesParts<Claim> {
  readonly concurrency: number
  readonly clock: Clock
  readonly catalog: Catalog
  readonly run: (claim: Claim) => void
  readonly runTogether: (claims: readonly Claim[]) => void
  /** A call of this lane, with one item or several, is claimed; later it has ended. */
  readonly started: (lane: string) => void
  readonly ended: (lane: string) => void
}

/** Far below what a turn of the event loop should take, far above what one write should carry. */
const SLICE = 100
/** The cost of a transaction is little beside so many items. */
const MOST_AHEAD = 1000
/** Of what is claimed ahead: the least with which claims are worth to be made smaller than they could be. */
const WORTH_HALVING = 100

export function createPlaces<Claim extends Placeable>(parts: PlacesParts<Claim>): Places<Claim> {
  const { concurrency, clock, catalog } = parts
  /** What shares a place is together. */
  let queue: Claim[][] = []
  let taken = 0
  let begun = 0
  let ahead = 0
  const pace = createPace(clock.monotonicMs())
  let scheduled = false

  /** So many per turn of the event loop: what ends early is written, and replaced, while the rest is still under way. */
  function beginSlice(): void {
    const count = Math.min(SLICE, queue.length, concurrency - begun)
    if (count <= 0) return
    const slice = queue.slice(0, count)
    queue = queue.slice(count)
    for (const claims of slice) begin(claims)
    schedule()
  }

  function schedule(): void {
    if (scheduled || queue.length === 0 || begun >= concurrency) return
    scheduled = true
    clock.nextTurn(() => {
      scheduled = false
      beginSlice()
    })
  }

  function begin(claims: readonly Claim[]): void {
    const [first] = claims
    if (!first?.held) return
    first.held.hasBegun = true
    begun += 1
    if (first.held.isTogether) parts.runTogether(claims)
    else parts.run(first)
  }

  function planOf({ pipeline, step, endpoint }: ClaimedItem): StepPlan | undefined {
    return catalog.plan(pipeline, step, endpoint)
  }

  /** Each claim a place of its own, but one for as many as share a call. */
  function take(claims: readonly Claim[]): Claim[][] {
    const sinceMs = clock.monotonicMs()
    const places: Claim[][] = []
    const open = new Map<string, Claim[]>()
    for (const claim of claims) {
      const { lane, endpoint } = claim.item
      const plan = planOf(claim.item)
      const size = plan && isBatched(plan) ? plan.batch.size : undefined
      const channel = size && `${lane} ${endpoint}`
      const company = channel && open.get(channel)
      if (company && company.length < size) {
        join(claim, company)
        continue
      }
      const place = [claim]
      const isRepeatable = plan?.repeatable === true
      claim.held = { lane, sinceMs, isTogether: size !== undefined, isRepeatable, open: 1, hasBegun: false }
      places.push(place)
      if (channel) open.set(channel, place)
      taken += 1
      parts.started(lane)
    }
    return places
  }

  function join(claim: Claim, company: Claim[]): void {
    const place = company[0]?.held
    if (!place) return
    company.push(claim)
    place.open += 1
    claim.held = place
  }

  return {
    room() {
      const most = concurrency + ahead
      const left = most - taken
      // Not in crumbs while there is something to run: what is free by then would wait for them.
      if (queue.length > 0 && left < most / 4) return 0
      // In halves: there must be something to run meanwhile.
      return ahead < WORTH_HALVING ? left : Math.min(left, Math.ceil(most / 2))
    },
    free: () => concurrency - taken,
    admit(claims) {
      if (taken === 0) pace.startAnew(clock.monotonicMs())
      const places = take(claims)
      queue = queue.length === 0 ? places : [...queue, ...places]
      if (!scheduled) beginSlice()
    },
    ended(claim) {
      const place = claim.held
      if (!place) return
      claim.held = undefined
      place.open -= 1
      if (place.open > 0) return
      taken -= 1
      if (place.hasBegun) begun -= 1
      // A worker that is lost leaves what it had as if it had begun it: where that must be looked for, as little as possible.
      if (place.isRepeatable) pace.one()
      parts.ended(place.lane)
      schedule()
    },
    answered(askedAtMs) {
      const nowMs = clock.monotonicMs()
      // What ends while a claim is under way must be at hand, as much is being claimed, and the pace is still to grow.
      ahead = Math.min(MOST_AHEAD, Math.floor(4 * pace.perMs(nowMs) * (nowMs - askedAtMs)))
    },
    takeWaiting(atLeastMs) {
      const beforeMs = clock.monotonicMs() - atLeastMs
      const waits = (claims: readonly Claim[]): boolean =>
        claims.every(({ held, item }) => held !== undefined && held.sinceMs <= beforeMs && item.from !== 'processing')
      const [first] = queue
      if (!first || !waits(first)) return []
      const taking = queue.filter(waits)
      queue = queue.filter((claims) => !waits(claims))
      ahead = 0
      return taking.flat()
    },
  }
}

const PACE_WINDOW_MS = 500

/** How many per millisecond, over the last half to whole second. */
function createPace(fromMs: number) {
  let before = { fromMs, count: 0 }
  let now = before
  return {
    one(): void {
      now.count += 1
    },
    /** The time in which there was nothing to do says nothing. */
    startAnew(nowMs: number): void {
      before = { fromMs: nowMs, count: 0 }
      now = before
    },
    perMs(nowMs: number): number {
      const count = now === before ? now.count : before.count + now.count
      const perMs = count / Math.max(1, nowMs - before.fromMs)
      if (nowMs - now.fromMs >= PACE_WINDOW_MS) {
        before = now
        now = { fromMs: nowMs, count: 0 }
      }
      return perMs
    },
  }
}
