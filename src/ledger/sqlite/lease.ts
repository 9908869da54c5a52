/** One lease: the write-ahead of an attempt, and what the worker gets to see of its item. */
import { itemId } from '../../core/ids.ts'
import type { ClaimedItem } from '../port.ts'
import type { Attempts } from './attempts.ts'
import { type Database, prepare } from './connection.ts'
import type { KnownLeases } from './known-leases.ts'
import type { Leasable } from './leasable.ts'
import type { Tally } from './tally.ts'

export interface LeaseTerms {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
}

export interface Leasing {
  /** Leases the first due rows of a channel, given as they were read in this transaction, in order. */
  leaseDue(channel: number, rows: readonly Leasable[], terms: LeaseTerms): void
  /** The lease of another worker has expired: its attempt is recorded as crashed. */
  takeOver(row: Leasable, terms: LeaseTerms): void
  /** What the worker gets, for a row that was just leased or taken over. */
  claimed(row: Leasable, terms: LeaseTerms): ClaimedItem
}

export function prepareLeasing(
  database: Database,
  parts: { readonly attempts: Attempts; readonly known: KnownLeases; readonly tally: Tally },
): Leasing {
  const { attempts, known, tally } = parts
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
  function leaseDue(channel: number, rows: readonly Leasable[], terms: LeaseTerms): void {
    const last = rows.at(-1)
    if (!last) return
    const { workerId, nowMs, leaseUntilMs } = terms
    leaseUpTo.run(leaseUntilMs, workerId, nowMs, channel, last.dueAtMs, last.run, last.step)
    for (const row of rows) tally.move(row.book, row.state, 'processing')
  }

  function takeOver(row: Leasable, terms: LeaseTerms): void {
    attempts.append(row.run, row.step, row.recorded + 1, {
      startedAtMs: row.leaseFromMs ?? terms.nowMs,
      endedAtMs: terms.nowMs,
      outcome: 'crashed',
      counts: false,
      note: 'its worker did not report back before its lease ended',
    })
    leaseAgain.run(terms.leaseUntilMs, terms.workerId, terms.nowMs, row.run, row.step)
  }

  function inputOf(row: Leasable): string {
    return (row.edits > 0 ? selectEdit.get(row.run, row.step)?.input : undefined) ?? row.input
  }

  function outputsOf(row: Leasable): Record<string, string> {
    if (row.after === null) return {}
    const rows = selectOutputs.all(row.run, row.after)
    return Object.fromEntries(rows.map((output) => [output.step, output.output]))
  }

  function remember(row: Leasable, id: string, crashed: boolean): void {
    known.remember(id, {
      token: row.token + 1,
      run: row.run,
      book: row.book,
      recorded: crashed ? row.recorded + 1 : row.recorded,
      slowLaneTries: row.slowLaneTries,
      optional: row.optional === 1,
      dependents: row.dependents,
      isDeadLetter: row.fingerprint !== null,
      memo: row.memo,
    })
  }

  function claimed(row: Leasable, terms: LeaseTerms): ClaimedItem {
    const crashed = row.state === 'processing'
    const id = itemId(row.runId, row.step)
    remember(row, id, crashed)
    return {
      itemId: id,
      tenant: row.tenant,
      token: row.token + 1,
      runId: row.runId,
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
      attemptsBeforeBudget: row.attemptsBeforeBudget,
      budgetFromMs: row.budgetFromMs ?? row.createdAtMs,
      slowLaneTries: row.slowLaneTries,
      createdAtMs: row.createdAtMs,
      firstAttemptAtMs: row.firstAttemptAtMs ?? terms.nowMs,
      lostAttemptStartedAtMs: crashed ? (row.leaseFromMs ?? undefined) : undefined,
      input: inputOf(row),
      outputs: outputsOf(row),
      labels: row.labels === '{}' ? {} : (JSON.parse(row.labels) as Record<string, string>),
      correlationId: row.correlationId,
      lastFailure: row.recorded > 0 ? attempts.lastFailure(row.run, row.step) : undefined,
      memo: row.memo ?? undefined,
      cancelRequested: row.cancelReason !== null,
    }
  }

  return { leaseDue, takeOver, claimed }
}
