/** `settle` of the port, to be called inside a transaction. */
import { parseItemId } from '../../core/ids.ts'
import { isEndState } from '../../core/item-state.ts'
import type { SettledState, Settlement, SettleReceipt } from '../port.ts'
import type { Attempts } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import type { Dependents } from './dependents.ts'
import type { Effects } from './effects.ts'
import type { KnownLease, KnownLeases } from './known-leases.ts'
import type { Lanes } from './lanes.ts'
import type { Tally } from './tally.ts'

export type Settle = (settlements: readonly Settlement[], nowMs: number) => SettleReceipt[]

export interface SettleParts {
  readonly database: Database
  readonly attempts: Attempts
  readonly dependents: Dependents
  readonly effects: Effects
  readonly known: KnownLeases
  readonly lanes: Lanes
  readonly tally: Tally
}

interface LeasedRow {
  run: number
  book: number
  recorded: number
  slow_lane_tries: number
  optional: number
  dependents: string | null
  fingerprint: string | null
  memo: string | null
}

const NOTHING: readonly string[] = []
const LEASE_LOST: SettleReceipt = { outcome: 'lease_lost' }
const FENCE = 'run = ? AND step = ? AND lease_token = ? AND lease_until_ms IS NOT NULL'

export function prepareSettle(parts: SettleParts): Settle {
  const { database, attempts, dependents, effects, known, lanes, tally } = parts
  const selectLeased = prepare<LeasedRow>(
    database,
    `SELECT run, book, recorded, slow_lane_tries, optional, dependents, fingerprint, memo FROM items
     WHERE run = (SELECT no FROM runs WHERE id = ?) AND step = ? AND lease_token = ? AND lease_until_ms IS NOT NULL`,
  )
  const selectCancelReason = prepare<{ cancel_reason: string | null }>(
    database,
    `SELECT cancel_reason FROM items WHERE ${FENCE}`,
  )
  const endLease = prepare(
    database,
    `UPDATE items SET lease_until_ms = NULL, lease_from_ms = NULL, lease_worker = NULL, attempts = attempts + ?,
       recorded = recorded + ?, deferrals = deferrals + ?, state = ?, reason = ?, updated_at_ms = ?, ended_at_ms = ?,
       due_at_ms = ?, output = ?, external_id = ?, slow_lane_tries = ?, memo = ?
     WHERE ${FENCE} AND (cancel_reason IS NULL OR ?)`,
  )
  const updateDeadLetter = prepare(
    database,
    `UPDATE items SET fingerprint = ?, summary = ?, hint = ?, cause = ?,
       dead_since_ms = CASE WHEN ? THEN coalesce(dead_since_ms, ?) END
     WHERE run = ? AND step = ?`,
  )

  function settleOne(settlement: Settlement, nowMs: number): SettleReceipt {
    const at = parseItemId(settlement.itemId)
    if (!at) return LEASE_LOST
    const lease = known.take(settlement.itemId, settlement.token) ?? lookUp(at.runId, at.step, settlement.token)
    if (!lease) return LEASE_LOST
    const to = writeItem(lease, at.step, settlement, nowMs)
    if (!to) return LEASE_LOST
    tally.move(lease.book, 'processing', to.state)
    // Apart from the rest, so that items that never fail do not pay for it.
    if ('deadLetter' in to || lease.isDeadLetter) writeDeadLetter(lease.run, at.step, to, nowMs)
    if (settlement.attempt) attempts.append(lease.run, at.step, lease.recorded + 1, settlement.attempt)
    if (settlement.effect) effects.end(settlement.effect, settlement.tenant, settlement.itemId)
    if (settlement.gate) lanes.closeGate(settlement.gate)
    if (lease.dependents === null) return { outcome: 'settled', state: to.state, queued: NOTHING }
    const queued = dependents.followUp({ ...lease, itemId: settlement.itemId }, to.state, nowMs)
    return { outcome: 'settled', state: to.state, queued }
  }

  /** Returns the state it ended in; `undefined` where the lease is lost. */
  function writeItem(lease: KnownLease, step: string, settlement: Settlement, nowMs: number): SettledState | undefined {
    if (writeState(lease, step, settlement, settlement.to, nowMs)) return settlement.to
    // Somebody else has it, or asked for its cancellation, than which only a success is stronger.
    const reason = selectCancelReason.get(lease.run, step, settlement.token)?.cancel_reason
    if (reason === undefined || reason === null) return undefined
    const cancelled = { state: 'cancelled', reason } as const
    return writeState(lease, step, settlement, cancelled, nowMs) ? cancelled : undefined
  }

  function writeState(
    lease: KnownLease,
    step: string,
    { attempt, deferral, memo, token }: Settlement,
    to: SettledState,
    nowMs: number,
  ): boolean {
    const success = to.state === 'succeeded' ? to : undefined
    const { changes } = endLease.run(
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
      (to.state === 'dead_lettered' ? to.slowLaneTries : undefined) ?? lease.slowLaneTries,
      memo === undefined ? lease.memo : memo,
      lease.run,
      step,
      token,
      to.state === 'succeeded' || to.state === 'cancelled' ? 1 : 0,
    )
    return changes === 1
  }

  function lookUp(runId: string, step: string, token: number): KnownLease | undefined {
    const row = selectLeased.get(runId, step, token)
    return (
      row && {
        token,
        run: row.run,
        book: row.book,
        recorded: row.recorded,
        slowLaneTries: row.slow_lane_tries,
        optional: row.optional === 1,
        dependents: row.dependents,
        isDeadLetter: row.fingerprint !== null,
        memo: row.memo,
      }
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

function dueOf(to: SettledState, nowMs: number): number | null {
  if (to.state === 'queued') return nowMs
  return 'dueAtMs' in to ? (to.dueAtMs ?? null) : null
}
