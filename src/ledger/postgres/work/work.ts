/**
 * `claim` and `settle` of the port, in one: what ended and what begins instead is one transaction, so one commit, and a
 * claim finds free every place whose settlement was asked for before it. Two of them are under way where there is so much to do
 * that the server would else wait for this process, and this process for the server.
 */
import type { Clock } from '../../../core/clock.ts'
import type { ClaimedItem, ClaimRequest, Settlement, SettleReceipt } from '../../port.ts'
import { createCoalescer } from '../transactions/coalesce.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'
import type { Transactor } from '../transactions/transact.ts'
import type { ClaimPlan, Claims } from './claim.ts'
import type { KnownRuns } from './known-runs.ts'
import type { Settle } from './settle.ts'

export interface Work {
  claim(request: ClaimRequest): Promise<ClaimedItem[]>
  settle(settlements: readonly Settlement[], nowMs: number): Promise<SettleReceipt[]>
  idle(): Promise<void>
}

export interface WorkParts {
  /** Quoted. */
  readonly schema: string
  readonly clock: Clock
  readonly transactor: Transactor
  readonly claims: Claims
  readonly settle: Settle
  readonly knownRuns: KnownRuns
  /** Commands that tell others that a settlement has made work due. */
  readonly announcement: () => string | undefined
}

interface Job {
  readonly settlements: readonly Settlement[]
  readonly nowMs: number
  readonly plan: ClaimPlan | undefined
}

interface Done {
  readonly receipts: readonly SettleReceipt[]
  readonly claimed: readonly ClaimedItem[]
}

const NOTHING: Done = { receipts: [], claimed: [] }
const MOST_UNDER_WAY = 2
const LARGEST_GROUP = 1000
/** Settlements that are worth a transaction beside another: each costs as much as some twenty of them. */
const WORTH_A_GROUP = 200

export function createWork(parts: WorkParts): Work {
  const { schema: s, clock, transactor, claims, knownRuns, announcement } = parts
  // In the order of their numbers, as everybody does who takes several.
  const lockLanes = prepare(
    `SELECT 1 FROM ${s}.lanes WHERE id = ANY($1::int[]) OR lane = ANY($2::text[]) ORDER BY id FOR UPDATE`,
  )
  const coalescer = createCoalescer<Job, Done>({
    clock,
    mostUnderWay: MOST_UNDER_WAY,
    largestGroup: LARGEST_GROUP,
    weightOf,
    select,
    async write(jobs) {
      const alone = claimAlone(jobs)
      if (alone) return [{ receipts: [], claimed: await claims.leaseAlone(alone) }]
      const done = await transactor.write((session) => writeGroup(session, jobs), {
        emptyIsNothing: true,
        behind: (all) => (all.some(({ receipts }) => receipts.some(makesDue)) ? announcement() : undefined),
      })
      return done.length === 0 ? jobs.map(() => NOTHING) : done
    },
  })

  /**
   * Where much is settled, what is claimed goes by itself: neither waits for the other. A claim that may need the places of what
   * is being settled waits for those, and holds up what came after it; as does one that must find gates closed. Never two of a
   * kind: two claims would wait for the same lanes, and two groups of settlements for places of leases, perhaps for each other.
   */
  function select(waiting: readonly Job[], underWay: readonly Job[]): readonly Job[] {
    const claiming = waiting.filter(isClaim)
    const settling = waiting.filter((job) => !isClaim(job))
    const isApart = hasRoom(claiming) && ![...waiting, ...underWay].some(closesGate)
    if (underWay.length === 0) return isApart && claiming.length > 0 && isMuch(settling) ? claiming : waiting
    if (!isApart) return []
    if (claiming.length > 0 && isMuch(underWay) && !underWay.some(isClaim)) return claiming
    return isMuch(settling) && underWay.every(isClaim) ? settling : []
  }

  /** For all that is asked for, beside everything that was claimed here and is not known to be settled. */
  function hasRoom(claiming: readonly Job[]): boolean {
    const channels = claiming.flatMap(({ plan }) => [...(plan?.channels.values() ?? [])])
    const asked = new Map<number, number>()
    return channels.every(({ laneNumber, limit, laneConcurrency }) => {
      const all = (asked.get(laneNumber) ?? 0) + limit
      asked.set(laneNumber, all)
      return knownRuns.held(laneNumber) + all <= laneConcurrency
    })
  }

  /** Empty where nothing was changed. */
  async function writeGroup(session: Session, jobs: readonly Job[]): Promise<Done[]> {
    const entries = jobs.flatMap(({ settlements, nowMs }) => settlements.map((settlement) => ({ settlement, nowMs })))
    const plans = jobs.flatMap(({ plan }) => plan ?? [])
    const lanes = plans.flatMap((plan) => plan.lanes)
    const gated = entries.flatMap(({ settlement }) => settlement.gate?.lane ?? [])
    const lock = () => session.rows(lockLanes, [lanes, column(gated, (lane) => lane)])
    // Nothing is awaited in between: all of it is sent at once. A gate is a change of its lane, whose turn comes before
    // that of the settlements then; else the lock is held for as short as can be.
    const [, receipts, , ...claimed] = await Promise.all([
      gated.length > 0 && lanes.length > 0 ? lock() : undefined,
      entries.length > 0 ? parts.settle(session, entries) : [],
      gated.length === 0 && lanes.length > 0 ? lock() : undefined,
      ...plans.map((plan) => claims.lease(session, plan)),
    ])
    const didNothing = entries.length === 0 && claimed.every((items) => items.length === 0)
    return didNothing ? [] : apportioned(jobs, receipts, claimed)
  }

  return {
    async claim(request) {
      const plan = await claims.plan(request)
      if (!plan) return []
      const { claimed } = await coalescer.add({ settlements: [], nowMs: request.nowMs, plan })
      return [...claimed]
    },
    async settle(settlements, nowMs) {
      const { receipts } = await coalescer.add({ settlements, nowMs, plan: undefined })
      return [...receipts]
    },
    idle: coalescer.idle,
  }
}

/** The plan, where that is all there is, and of one channel. */
function claimAlone(jobs: readonly Job[]): ClaimPlan | undefined {
  const [job, ...others] = jobs
  if (!job?.plan || others.length > 0 || job.settlements.length > 0) return undefined
  return job.plan.channels.size === 1 ? job.plan : undefined
}

/** What a group was answered, to each job its own. */
function apportioned(
  jobs: readonly Job[],
  receipts: readonly SettleReceipt[],
  claimed: readonly (readonly ClaimedItem[])[],
): Done[] {
  let settled = 0
  let leased = 0
  return jobs.map(({ settlements, plan }) => {
    settled += settlements.length
    return {
      receipts: receipts.slice(settled - settlements.length, settled),
      claimed: plan ? (claimed[leased++] ?? []) : [],
    }
  })
}

function isMuch(jobs: readonly Job[]): boolean {
  return jobs.reduce((sum, job) => sum + weightOf(job), 0) >= WORTH_A_GROUP
}

function closesGate({ settlements }: Job): boolean {
  return settlements.some(({ gate }) => gate !== undefined)
}

function isClaim({ plan }: Job): boolean {
  return plan !== undefined
}

function weightOf({ settlements }: Job): number {
  return settlements.length
}

function makesDue(receipt: SettleReceipt): boolean {
  return receipt.outcome === 'settled' && (receipt.queued.length > 0 || receipt.state === 'queued')
}
