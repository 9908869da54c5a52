/** `settle` of the port, to be called inside a transaction. */
import { parseItemId } from '../../../core/ids.ts'
import { isEndState } from '../../../core/item-state.ts'
import { isKeptWithItem } from '../../kept-success.ts'
import type { SettledState, Settlement, SettleReceipt } from '../../port.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Attempts } from './attempts.ts'
import type { Effects } from './effects.ts'
import type { KnownLease, KnownLeases } from './known-leases.ts'
import type { Lanes } from './lanes.ts'
import type { Leases } from './leases.ts'
import type { Tally } from './tally.ts'
import type { Turns } from './turns.ts'

export type Settle = (settlements: readonly Settlement[], nowMs: number) => SettleReceipt[]

export interface SettleParts {
  readonly database: Database
  readonly attempts: Attempts
  readonly effects: Effects
  readonly known: KnownLeases
  readonly lanes: Lanes
  readonly leases: Leases
  readonly tally: Tally
  readonly turns: Turns
}

interface LeasedRow {
  no: number
  run: number
  lease: number
  book: number
  recorded: number
  slow_lane_tries: number
  optional: number
  dependents: string | null
  entity: number | null
  fingerprint: string | null
  memo: string | null
  cancel_reason: string | null
}

type SucceededState = Extract<SettledState, { state: 'succeeded' }>

const NOTHING: readonly string[] = []
const LEASE_LOST: SettleReceipt = { outcome: 'lease_lost' }
const FENCE = 'no = ? AND lease_token = ? AND lease = ?'

export function prepareSettle(parts: SettleParts): Settle {
  const { database, attempts, effects, known, lanes, leases, tally, turns } = parts
  const selectLeased = prepare<LeasedRow>(
    database,
    `SELECT i.no, i.run, i.lease, i.book, i.recorded, i.slow_lane_tries, i.optional, i.dependents, i.entity,
       i.fingerprint, i.memo, i.cancel_reason
     FROM runs r CROSS JOIN items i ON ${ITEMS_OF_RUNS}
     WHERE r.id = ? AND i.step = ? AND i.lease_token = ? AND i.lease IS NOT NULL`,
  )
  const end = prepare(
    database,
    `UPDATE items SET lease = NULL, room = NULL, attempts = attempts + ?, recorded = recorded + ?,
       deferrals = deferrals + ?, state = ?, reason = ?, updated_at_ms = ?, due_at_ms = ?, ended_at_ms = ?,
       slow_lane_tries = ?, memo = ?
     WHERE ${FENCE} AND (cancel_reason IS NULL OR ?)`,
  )
  // The usual end, apart from the others: it alone has an output, it is stronger than a wish to cancel, and the fewer values
  // are bound, the less it costs.
  const succeed = prepare(
    database,
    `UPDATE items SET lease = NULL, room = NULL, attempts = attempts + ?1, recorded = recorded + ?1, state = 'succeeded',
       reason = ?2, updated_at_ms = ?3, ended_at_ms = ?3, output = ?4, external_id = ?5, success_from_ms = ?6,
       success_at_ms = ?7, success_status = ?8, success_key = ?9
     WHERE no = ?10 AND lease_token = ?11 AND lease = ?12`,
  )
  const addToSuccess = prepare(
    database,
    `UPDATE items SET attempts = attempts + ?, recorded = recorded + ?, deferrals = deferrals + ?, memo = ? WHERE no = ?`,
  )
  const updateDeadLetter = prepare(
    database,
    `UPDATE items SET fingerprint = ?, summary = ?, hint = ?, cause = ?,
       dead_since_ms = CASE WHEN ? THEN coalesce(dead_since_ms, ?) END
     WHERE no = ?`,
  )

  function settleOne(settlement: Settlement, nowMs: number): SettleReceipt {
    const remembered = known.take(settlement.itemId, settlement.token)
    if (remembered && writeEnd(remembered, settlement, settlement.to, nowMs)) {
      return settled(remembered, settlement, settlement.to, nowMs)
    }
    // Not by this connection, or not to be ended like this: the lease was lost, or parted, or a cancellation was asked for.
    const found = lookUp(settlement)
    if (!found) return LEASE_LOST
    const { lease, cancelReason } = found
    const to =
      cancelReason === null || isStrongerThanCancelling(settlement.to) ? settlement.to : cancelled(cancelReason)
    return writeEnd(lease, settlement, to, nowMs) ? settled(lease, settlement, to, nowMs) : LEASE_LOST
  }

  /** False where the item is not leased so any more, or its cancellation was asked for. */
  function writeEnd(lease: KnownLease, settlement: Settlement, to: SettledState, nowMs: number): boolean {
    if (to.state === 'succeeded') return writeSuccess(lease, settlement, to, nowMs)
    const { attempt, deferral, memo, token } = settlement
    const { changes } = end.run(
      attempt?.counts ? 1 : 0,
      attempt ? 1 : 0,
      deferral ? 1 : 0,
      to.state,
      to.reason,
      nowMs,
      dueOf(to, nowMs),
      isEndState(to.state) ? nowMs : null,
      (to.state === 'dead_lettered' ? to.slowLaneTries : undefined) ?? lease.slowLaneTries,
      memo === undefined ? lease.memo : memo,
      lease.no,
      token,
      lease.lease,
      to.state === 'cancelled' ? 1 : 0,
    )
    return changes === 1
  }

  function writeSuccess(lease: KnownLease, settlement: Settlement, to: SucceededState, nowMs: number): boolean {
    const { attempt, deferral, memo, token } = settlement
    const kept = attempt && isKeptWithItem(attempt) ? attempt : undefined
    const { changes } = succeed.run(
      kept ? 1 : 0,
      to.note ?? null,
      nowMs,
      to.output,
      to.externalId ?? null,
      kept?.startedAtMs ?? null,
      kept?.endedAtMs ?? null,
      kept?.status ?? null,
      kept?.idempotencyKey ?? null,
      lease.no,
      token,
      lease.lease,
    )
    if (changes === 0) return false
    const other = kept ? undefined : attempt
    if (other || deferral || memo !== undefined) {
      const newMemo = memo === undefined ? lease.memo : memo
      addToSuccess.run(other?.counts ? 1 : 0, other ? 1 : 0, deferral ? 1 : 0, newMemo, lease.no)
    }
    return true
  }

  /** What commits together with the end of the claim (rule 5). */
  function settled(lease: KnownLease, settlement: Settlement, to: SettledState, nowMs: number): SettleReceipt {
    const { attempt, effect, gate, itemId } = settlement
    leases.leave(lease.lease)
    tally.move(lease.book, 'processing', to.state)
    // Apart from the rest, so that items that never fail do not pay for it.
    if ('deadLetter' in to || lease.isDeadLetter) writeDeadLetter(lease.no, to, nowMs)
    if (attempt && !(to.state === 'succeeded' && isKeptWithItem(attempt))) {
      attempts.append(lease.no, lease.recorded + 1, attempt)
    }
    if (effect) effects.end(effect, settlement.tenant, itemId)
    if (gate) lanes.closeGate(gate)
    if (lease.dependents === null && lease.entity === null) {
      return { outcome: 'settled', state: to.state, queued: NOTHING }
    }
    return { outcome: 'settled', ...turns.follow({ ...lease, itemId }, to.state, nowMs) }
  }

  function lookUp({ itemId, token }: Settlement): { lease: KnownLease; cancelReason: string | null } | undefined {
    const at = parseItemId(itemId)
    const row = at && selectLeased.get(at.runId, at.step, token)
    if (!row) return undefined
    const lease = {
      token,
      no: row.no,
      run: row.run,
      lease: row.lease,
      book: row.book,
      recorded: row.recorded,
      slowLaneTries: row.slow_lane_tries,
      optional: row.optional === 1,
      dependents: row.dependents,
      entity: row.entity,
      isDeadLetter: row.fingerprint !== null,
      memo: row.memo,
    }
    return { lease, cancelReason: row.cancel_reason }
  }

  function writeDeadLetter(no: number, to: SettledState, nowMs: number): void {
    const facts = 'deadLetter' in to ? to.deadLetter : undefined
    updateDeadLetter.run(
      facts?.fingerprint ?? null,
      facts?.summary ?? null,
      facts?.hint ?? null,
      facts?.cause ?? null,
      facts ? 1 : 0,
      nowMs,
      no,
    )
  }

  return (settlements, nowMs) => settlements.map((settlement) => settleOne(settlement, nowMs))
}

function dueOf(to: SettledState, nowMs: number): number | null {
  if (to.state === 'queued') return nowMs
  return 'dueAtMs' in to ? (to.dueAtMs ?? null) : null
}

function cancelled(reason: string): SettledState {
  return { state: 'cancelled', reason }
}

function isStrongerThanCancelling(to: SettledState): boolean {
  return to.state === 'succeeded' || to.state === 'cancelled'
}
