/** Waiting until nothing can move any more without a person. */
import type { Clock } from '../core/clock.ts'
import type { Balance, BalanceFilter, Ledger } from '../ledger/port.ts'
import type { DrainOptions } from './api.ts'

export interface DrainParts {
  readonly ledger: Ledger
  readonly clock: Clock
  /** Resolves at the next moment this process has nothing to do, or after the delay: another process may do the work. */
  readonly nextIdle: (limitMs: number, signal: AbortSignal | undefined) => Promise<void>
}

/** Between two looks at the whole, when other processes do the work. */
const LOOK_EVERY_MS = 1000

export async function drain(parts: DrainParts, options: DrainOptions = {}): Promise<Balance> {
  const filter: BalanceFilter = {
    ...(options.batch !== undefined && { batch: options.batch }),
    ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
  }
  for (;;) {
    options.signal?.throwIfAborted()
    const balance = await parts.ledger.balance(filter)
    if (!(await canMove(parts.ledger, balance))) return balance
    await parts.nextIdle(LOOK_EVERY_MS, options.signal)
  }
}

/** Dead letters of the slow lane come back in hours: nobody waits for those. */
async function canMove(ledger: Ledger, balance: Balance): Promise<boolean> {
  const { queued, processing, retrying, parked, unknown_outcome, dead_lettered } = balance.states
  if (processing > 0) return true
  // `needsPerson` counts dead letters too; those that do are at most all of them.
  const undecided = unknown_outcome - Math.max(0, balance.needsPerson - dead_lettered)
  const moving = queued + retrying + parked + Math.max(0, undecided)
  if (moving === 0) return false
  return !(await allSuspended(ledger))
}

/** Work that only waits for an operator to resume its lane does not move by itself. */
async function allSuspended(ledger: Ledger): Promise<boolean> {
  const [lanes, channels] = await Promise.all([ledger.lanes(), ledger.channels()])
  const suspended = new Set(lanes.filter((lane) => lane.suspended).map((lane) => lane.lane))
  return suspended.size > 0 && channels.every((channel) => suspended.has(channel.lane))
}
