/** Waiting until nothing can move any more without a person. */
import type { Clock } from '../../core/clock.ts'
import type { Balance, BalanceFilter, Ledger } from '../../ledger/port.ts'
import type { DrainOptions } from '../api.ts'
import { CALLBACK_BATCH, waitsForPerson } from '../callbacks/plans.ts'
import { stateOf } from '../jobs/job.ts'
import { selectItems } from '../operations/selection.ts'

export interface DrainParts {
  readonly ledger: Ledger
  readonly clock: Clock
  /** Resolves when what this process still has to queue because of what ended is queued. */
  readonly followedUp: () => Promise<void>
  /** How often this process had nothing to do so far. */
  readonly idleMoments: () => number
  /** Resolves when that was more often than `after`, or after the delay: another process may do the work. */
  readonly nextIdle: (after: number, limitMs: number, signal: AbortSignal | undefined) => Promise<void>
}

/** Between two looks at the whole, when other processes do the work: at first, and when long nothing has changed. */
const FIRST_LOOK_MS = 1000
const LONGEST_LOOK_MS = 5000
const MOST_JOBS = 50

export async function drain(parts: DrainParts, options: DrainOptions = {}): Promise<Balance> {
  const filter: BalanceFilter = {
    ...(options.batch !== undefined && { batch: options.batch }),
    ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
  }
  let lookMs = FIRST_LOOK_MS
  let before = ''
  for (;;) {
    options.signal?.throwIfAborted()
    await parts.followedUp()
    // Before the look, which takes its time: what happens meanwhile is no reason to wait.
    const idleMoments = parts.idleMoments()
    const balance = await parts.ledger.balance(filter)
    if (!(await canMove(parts.ledger, filter, balance))) return balance
    const states = JSON.stringify(balance.states)
    lookMs = states === before ? Math.min(lookMs * 1.5, LONGEST_LOOK_MS) : FIRST_LOOK_MS
    before = states
    await parts.nextIdle(idleMoments, lookMs, options.signal)
  }
}

/** Dead letters of the slow lane come back in hours: nobody waits for those. */
async function canMove(ledger: Ledger, filter: BalanceFilter, balance: Balance): Promise<boolean> {
  const { queued, processing, retrying, parked, unknown_outcome } = balance.states
  if (processing > 0) return true
  const looking = unknown_outcome > 0 && (await someAreLookedFor(ledger, filter))
  const isIdle = queued + retrying === 0 && (parked === 0 || (await onlyIdleCallbacks(ledger, filter, balance)))
  if (isIdle && !looking && !(await jobsGoOn(ledger))) return false
  return !(await allSuspended(ledger))
}

/** What is parked may be callbacks alone, of runs that need a person: those wait as long as their runs. */
async function onlyIdleCallbacks(ledger: Ledger, filter: BalanceFilter, { states }: Balance): Promise<boolean> {
  const isAll = filter.batch === undefined && filter.pipeline === undefined
  if (!isAll || states.parked === 0) return false
  const callbacks = await ledger.balance({ batch: CALLBACK_BATCH })
  if (callbacks.states.parked < states.parked) return false
  for await (const { itemId } of selectItems(ledger, { filter: { batch: CALLBACK_BATCH, states: ['parked'] } })) {
    const item = await ledger.item(itemId)
    // What tells that a run has stopped goes on as soon as it has.
    if (item?.step === 'stopped') return false
    if (item?.state === 'parked' && !(await waitsForPerson(ledger, item.input))) return false
  }
  return true
}

/** What a job still has to put back. */
async function jobsGoOn(ledger: Ledger): Promise<boolean> {
  const { rows } = await ledger.jobs({ open: true }, { limit: MOST_JOBS })
  return rows.map(stateOf).some(({ phase, total, reached }) => phase === 'running' && reached < total)
}

/** Unknown outcomes with a due time are looked for; the others wait for a person. */
async function someAreLookedFor(ledger: Ledger, filter: BalanceFilter): Promise<boolean> {
  const groups = await ledger.groups({ ...filter, states: ['unknown_outcome'] })
  return groups.some((group) => group.willRetry > 0)
}

/** Work that only waits for an operator to resume its lane does not move by itself. */
async function allSuspended(ledger: Ledger): Promise<boolean> {
  const [lanes, channels] = await Promise.all([ledger.lanes(), ledger.channels()])
  const suspended = new Set(lanes.filter((lane) => lane.suspended).map((lane) => lane.lane))
  return suspended.size > 0 && channels.every((channel) => suspended.has(channel.lane))
}
