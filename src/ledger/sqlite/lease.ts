/** One lease: the write-ahead of an attempt, and what the worker gets to see of its item. */
import { itemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type { ClaimedItem } from '../port.ts'
import type { Attempts } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import type { Tally } from './tally.ts'

/** An item joined with its run, as it was before it was leased. */
export interface LeasableRow {
  run: number
  step: string
  state: ItemState
  book: number
  due_at_ms: number | null
  lease_token: number
  lease_from_ms: number | null
  attempts: number
  deferrals: number
  crashes: number
  replays: number
  recorded: number
  edits: number
  attempts_before_budget: number
  budget_from_ms: number | null
  slow_lane_tries: number
  first_attempt_at_ms: number | null
  cancel_reason: string | null
  after: string | null
  memo: string | null
  lane: string
  endpoint: string
  id: string
  tenant: string
  pipeline: string
  key: string
  input: string
  labels: string
  correlation_id: string
  created_at_ms: number
}

/** Without lane and endpoint: whoever claims from a channel knows them. */
export const LEASABLE_COLUMNS = `i.run, i.step, i.state, i.book, i.due_at_ms, i.lease_token, i.lease_from_ms, i.attempts,
  i.deferrals, i.crashes, i.replays, i.recorded, i.edits, i.attempts_before_budget, i.budget_from_ms, i.slow_lane_tries,
  i.first_attempt_at_ms, i.cancel_reason, i."after", i.memo, r.id, r.tenant, r.pipeline, r.key, r.input, r.labels,
  r.correlation_id, r.created_at_ms`

export interface LeaseTerms {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
}

export interface Leasing {
  /** Leases the first due rows of a channel, given as they were read in this transaction, in order. */
  leaseDue(channel: number, rows: readonly LeasableRow[], terms: LeaseTerms): void
  /** The lease of another worker has expired: its attempt is recorded as crashed. */
  takeOver(row: LeasableRow, terms: LeaseTerms): void
  /** What the worker gets, for a row that was just leased or taken over. */
  claimed(row: LeasableRow, terms: LeaseTerms): ClaimedItem
}

export function prepareLeasing(database: Database, attempts: Attempts, tally: Tally): Leasing {
  const newLease = `state = 'processing', reason = NULL, room = NULL, due_at_ms = NULL, lease_until_ms = ?1,
    lease_worker = ?2, lease_from_ms = ?3, updated_at_ms = ?3, first_attempt_at_ms = coalesce(first_attempt_at_ms, ?3),
    lease_token = lease_token + 1`
  const leaseUpTo = prepare(
    database,
    `UPDATE items INDEXED BY items_due SET ${newLease}
     WHERE channel = ?4 AND due_at_ms IS NOT NULL AND (due_at_ms, run, step) <= (?5, ?6, ?7)`,
  )
  const leaseAgain = prepare(
    database,
    `UPDATE items SET ${newLease}, crashes = crashes + 1, recorded = recorded + 1 WHERE run = ?4 AND step = ?5`,
  )
  const selectOutputs = prepare<{ step: string; output: string }>(
    database,
    `SELECT step, output FROM items
     WHERE run = ? AND state = 'succeeded' AND step IN (SELECT value FROM json_each(?))`,
  )
  const selectEdit = prepare<{ input: string }>(
    database,
    'SELECT input FROM edits WHERE run = ? AND step = ? ORDER BY number DESC LIMIT 1',
  )

  /** One statement for all: they are the rows up to the last one in the order of the index. */
  function leaseDue(channel: number, rows: readonly LeasableRow[], terms: LeaseTerms): void {
    const last = rows.at(-1)
    if (!last) return
    const { workerId, nowMs, leaseUntilMs } = terms
    leaseUpTo.run(leaseUntilMs, workerId, nowMs, channel, last.due_at_ms, last.run, last.step)
    for (const row of rows) tally.move(row.book, row.state, 'processing')
  }

  function takeOver(row: LeasableRow, terms: LeaseTerms): void {
    attempts.append(row.run, row.step, row.recorded + 1, {
      startedAtMs: row.lease_from_ms ?? terms.nowMs,
      endedAtMs: terms.nowMs,
      outcome: 'crashed',
      counts: false,
      note: 'its worker did not report back before its lease ended',
    })
    leaseAgain.run(terms.leaseUntilMs, terms.workerId, terms.nowMs, row.run, row.step)
  }

  function inputOf(row: LeasableRow): string {
    return (row.edits > 0 ? selectEdit.get(row.run, row.step)?.input : undefined) ?? row.input
  }

  function outputsOf(row: LeasableRow): Record<string, string> {
    if (row.after === null) return {}
    const rows = selectOutputs.all(row.run, row.after)
    return Object.fromEntries(rows.map((output) => [output.step, output.output]))
  }

  function claimed(row: LeasableRow, terms: LeaseTerms): ClaimedItem {
    const crashed = row.state === 'processing'
    return {
      itemId: itemId(row.id, row.step),
      tenant: row.tenant,
      token: row.lease_token + 1,
      runId: row.id,
      pipeline: row.pipeline,
      step: row.step,
      lane: row.lane,
      endpoint: row.endpoint,
      key: row.key,
      from: row.state,
      counters: {
        attempts: row.attempts,
        deferrals: row.deferrals,
        crashes: crashed ? row.crashes + 1 : row.crashes,
        replays: row.replays,
      },
      attemptsBeforeBudget: row.attempts_before_budget,
      budgetFromMs: row.budget_from_ms ?? row.created_at_ms,
      slowLaneTries: row.slow_lane_tries,
      createdAtMs: row.created_at_ms,
      firstAttemptAtMs: row.first_attempt_at_ms ?? terms.nowMs,
      lostAttemptStartedAtMs: crashed ? (row.lease_from_ms ?? undefined) : undefined,
      input: inputOf(row),
      outputs: outputsOf(row),
      labels: row.labels === '{}' ? {} : (JSON.parse(row.labels) as Record<string, string>),
      correlationId: row.correlation_id,
      lastFailure: row.recorded > 0 ? attempts.lastFailure(row.run, row.step) : undefined,
      memo: row.memo ?? undefined,
      cancelRequested: row.cancel_reason !== null,
    }
  }

  return { leaseDue, takeOver, claimed }
}
