/** `settle` of the port, to be called inside a transaction. */
import { parseItemId } from '../../core/ids.ts'
import { isEndState } from '../../core/item-state.ts'
import type { SettledState, Settlement, SettleReceipt } from '../port.ts'
import type { Attempts } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import type { Dependents } from './dependents.ts'
import type { Effects } from './effects.ts'
import type { Lanes } from './lanes.ts'
import type { Tally } from './tally.ts'

export type Settle = (settlements: readonly Settlement[], nowMs: number) => SettleReceipt[]

export interface SettleParts {
  readonly database: Database
  readonly attempts: Attempts
  readonly dependents: Dependents
  readonly effects: Effects
  readonly lanes: Lanes
  readonly tally: Tally
}

interface LeasedRow {
  run: number
  book: number
  recorded: number
  optional: number
  cancel_reason: string | null
  dependents: string | null
  fingerprint: string | null
  slow_lane_tries: number
  memo: string | null
}

const NOTHING: readonly string[] = []
const LEASE_LOST: SettleReceipt = { outcome: 'lease_lost' }

export function prepareSettle(parts: SettleParts): Settle {
  const { database, attempts, dependents, effects, lanes, tally } = parts
  const selectLeased = prepare<LeasedRow>(
    database,
    `SELECT run, book, recorded, optional, cancel_reason, dependents, fingerprint, slow_lane_tries, memo FROM items
     WHERE run = (SELECT no FROM runs WHERE id = ?) AND step = ? AND lease_token = ? AND lease_until_ms IS NOT NULL`,
  )
  const endLease = prepare(
    database,
    `UPDATE items SET lease_until_ms = NULL, lease_from_ms = NULL, lease_worker = NULL, attempts = attempts + ?,
       recorded = recorded + ?, deferrals = deferrals + ?, state = ?, reason = ?, updated_at_ms = ?, ended_at_ms = ?,
       due_at_ms = ?, output = ?, external_id = ?, slow_lane_tries = ?, memo = ?
     WHERE run = ? AND step = ?`,
  )
  const updateDeadLetter = prepare(
    database,
    `UPDATE items SET fingerprint = ?, summary = ?, hint = ?, cause = ?,
       dead_since_ms = CASE WHEN ? THEN coalesce(dead_since_ms, ?) END
     WHERE run = ? AND step = ?`,
  )

  function settleOne(settlement: Settlement, nowMs: number): SettleReceipt {
    const at = parseItemId(settlement.itemId)
    const row = at && selectLeased.get(at.runId, at.step, settlement.token)
    if (!at || !row) return LEASE_LOST
    const to = afterCancellation(settlement.to, row.cancel_reason)
    writeItem(row, at.step, to, settlement, nowMs)
    tally.move(row.book, 'processing', to.state)
    // Apart from the rest, so that items that never fail do not pay for it.
    if ('deadLetter' in to || row.fingerprint !== null) writeDeadLetter(row.run, at.step, to, nowMs)
    if (settlement.attempt) attempts.append(row.run, at.step, row.recorded + 1, settlement.attempt)
    if (settlement.effect) effects.end(settlement.effect, settlement.tenant, settlement.itemId)
    if (settlement.gate) lanes.closeGate(settlement.gate)
    const ended = { ...row, itemId: settlement.itemId, optional: row.optional === 1 }
    const queued = row.dependents === null ? NOTHING : dependents.followUp(ended, to.state, nowMs)
    return { outcome: 'settled', state: to.state, queued }
  }

  function writeItem(row: LeasedRow, step: string, to: SettledState, settlement: Settlement, nowMs: number): void {
    const { attempt, deferral, memo } = settlement
    const success = to.state === 'succeeded' ? to : undefined
    endLease.run(
      attempt?.counts ? 1 : 0,
      attempt ? 1 : 0,
      deferral ? 1 : 0,
      to.state,
      to.state === 'succeeded' ? (to.note ?? null) : to.reason,
      nowMs,
      isEndState(to.state) ? nowMs : null,
      dueOf(to, nowMs),
      success?.output ?? null,
      success?.externalId ?? null,
      (to.state === 'dead_lettered' ? to.slowLaneTries : undefined) ?? row.slow_lane_tries,
      memo === undefined ? row.memo : memo,
      row.run,
      step,
    )
  }

  function writeDeadLetter(run: number, step: string, to: SettledState, nowMs: number): void {
    const facts = 'deadLetter' in to ? to.deadLetter : undefined
    updateDeadLetter.run(
      facts?.fingerprint ?? null,
      facts?.summary ?? null,
      facts?.hint ?? null,
      facts?.cause ?? null,
      facts ? 1 : 0,
      nowMs,
      run,
      step,
    )
  }

  return (settlements, nowMs) => settlements.map((settlement) => settleOne(settlement, nowMs))
}

/** Somebody asked for cancellation while it was processing: only a success is stronger. */
function afterCancellation(to: SettledState, cancelReason: string | null): SettledState {
  if (cancelReason === null || to.state === 'succeeded') return to
  return { state: 'cancelled', reason: cancelReason }
}

function dueOf(to: SettledState, nowMs: number): number | null {
  if (to.state === 'queued') return nowMs
  return 'dueAtMs' in to ? (to.dueAtMs ?? null) : null
}
