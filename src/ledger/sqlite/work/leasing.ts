/** The write-ahead of an attempt: an item is leased, or taken over, and handed to its worker. */
import { itemId } from '../../../core/ids.ts'
import type { AttemptRecord, ClaimedItem } from '../../port.ts'
import { itemsOfRun } from '../intake/item-numbers.ts'
import type { Names } from '../intake/names.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Attempts } from './attempts.ts'
import type { KnownLeases } from './known-leases.ts'
import type { Leasable } from './leasable.ts'
import type { Leases, LeaseTerms } from './leases.ts'
import type { Tally } from './tally.ts'

/** Where items wait. */
export interface Channel {
  readonly id: number
  readonly lane: string
  readonly endpoint: string
}

/** The lease that an item lost. */
export interface LostLease {
  readonly id: number
  readonly fromMs: number
}

export interface Leasing {
  /** Leases the first due rows of a channel, given as they were read in this transaction, in order. */
  lease(channel: Channel, rows: readonly Leasable[], terms: LeaseTerms): Claimed[]
  /** The leases of other workers have expired: their attempts are recorded as crashed. */
  takeOver(channel: Channel, rows: readonly (readonly [Leasable, LostLease])[], terms: LeaseTerms): ClaimedItem[]
}

export interface Claimed {
  readonly row: Leasable
  readonly item: ClaimedItem
}

export interface LeasingParts {
  readonly attempts: Attempts
  readonly known: KnownLeases
  readonly leases: Leases
  readonly names: Names
  readonly tally: Tally
}

/** A new lease, as one row has it. */
interface NewLease {
  readonly id: number
  readonly channel: Channel
  readonly nowMs: number
  readonly lost: LostLease | undefined
}

/** About what the columns of a success take that a leased item does not have yet; see `items.room`. */
const ROOM_FOR_AN_END_BYTES = 20
const NO_OUTPUTS: Readonly<Record<string, string>> = {}
const NO_LABELS: Readonly<Record<string, string>> = {}

export function prepareLeasing(database: Database, parts: LeasingParts): Leasing {
  const { attempts, known, leases, names, tally } = parts
  const leaseAll = prepare(
    database,
    `UPDATE items SET state = 'processing', reason = NULL, due_at_ms = NULL, lease = ?1,
       lease_token = lease_token + 1, updated_at_ms = ?2, first_attempt_at_ms = coalesce(first_attempt_at_ms, ?2),
       room = zeroblob(${ROOM_FOR_AN_END_BYTES})
     WHERE no IN (SELECT value FROM json_each(?3))`,
  )
  const leaseAgain = prepare(
    database,
    `UPDATE items SET lease = ?, lease_token = lease_token + 1, updated_at_ms = ?, crashes = crashes + 1,
       recorded = recorded + 1 WHERE no = ?`,
  )
  const selectOutputs = prepare<{ step: string; output: string }>(
    database,
    `SELECT step, output FROM items
     WHERE ${itemsOfRun('?1')}
       AND state = 'succeeded' AND step IN (SELECT value FROM json_each(?2))`,
  )
  const selectEdit = prepare<{ input: string }>(
    database,
    'SELECT input FROM edits WHERE item = ? ORDER BY number DESC LIMIT 1',
  )

  /** One statement for all. */
  function lease(channel: Channel, rows: readonly Leasable[], terms: LeaseTerms): Claimed[] {
    if (rows.length === 0) return []
    const { nowMs } = terms
    const numbers = JSON.stringify(rows.map((row) => row.no))
    const id = leases.grant(channel.id, rows.length, numbers, terms)
    leaseAll.run(id, nowMs, numbers)
    for (const row of rows) tally.move(row.book, row.state, 'processing')
    return rows.map((row) => ({ row, item: claimed(row, { id, channel, nowMs, lost: undefined }) }))
  }

  function takeOver(
    channel: Channel,
    rows: readonly (readonly [Leasable, LostLease])[],
    terms: LeaseTerms,
  ): ClaimedItem[] {
    const { nowMs } = terms
    const numbers = JSON.stringify(rows.map(([row]) => row.no))
    const id = leases.grant(channel.id, rows.length, numbers, terms)
    return rows.map(([row, lost]) => {
      leases.leave(lost.id)
      attempts.append(row.no, row.past.recorded + 1, crashedAttempt(lost.fromMs, nowMs))
      leaseAgain.run(id, nowMs, row.no)
      return claimed(row, { id, channel, nowMs, lost })
    })
  }

  function inputOf(row: Leasable): string {
    return (row.past.edits > 0 ? selectEdit.get(row.no)?.input : undefined) ?? row.input
  }

  function outputsOf(row: Leasable): Readonly<Record<string, string>> {
    if (row.after === null) return NO_OUTPUTS
    const rows = selectOutputs.all(row.run, row.after)
    return Object.fromEntries(rows.map((output) => [output.step, output.output]))
  }

  function remember(row: Leasable, itemId: string, newLease: NewLease): void {
    known.remember(itemId, {
      token: row.token + 1,
      no: row.no,
      run: row.run,
      lease: newLease.id,
      book: row.book,
      recorded: newLease.lost ? row.past.recorded + 1 : row.past.recorded,
      slowLaneTries: row.past.slowLaneTries,
      optional: row.optional === 1,
      dependents: row.dependents,
      entity: row.entity,
      isDeadLetter: row.past.fingerprint !== null,
      memo: row.past.memo,
    })
  }

  function claimed(row: Leasable, newLease: NewLease): ClaimedItem {
    const { channel, nowMs, lost } = newLease
    const id = itemId(row.runId, row.step)
    remember(row, id, newLease)
    const { tenant, pipeline } = names.namesOfFlow(row.flow)
    return {
      itemId: id,
      tenant,
      token: row.token + 1,
      runId: row.runId,
      pipeline,
      step: row.step,
      lane: channel.lane,
      endpoint: channel.endpoint,
      key: row.key ?? row.runId,
      from: row.state,
      counters: {
        attempts: row.past.attempts,
        deferrals: row.past.deferrals,
        crashes: lost ? row.past.crashes + 1 : row.past.crashes,
        replays: row.past.replays,
      },
      attemptsBeforeBudget: row.past.attemptsBeforeBudget,
      budgetFromMs: row.past.budgetFromMs ?? row.createdAtMs,
      slowLaneTries: row.past.slowLaneTries,
      createdAtMs: row.createdAtMs,
      firstAttemptAtMs: row.past.firstAttemptAtMs ?? nowMs,
      lostAttemptStartedAtMs: lost?.fromMs,
      input: inputOf(row),
      outputs: outputsOf(row),
      labels: row.labels === null ? NO_LABELS : (JSON.parse(row.labels) as Record<string, string>),
      correlationId: row.correlationId ?? row.runId,
      lastFailure: row.past.recorded > 0 ? attempts.lastFailure(row.no) : undefined,
      memo: row.past.memo ?? undefined,
      cancelRequested: row.past.cancelReason !== null,
    }
  }

  return { lease, takeOver }
}

function crashedAttempt(startedAtMs: number, endedAtMs: number): AttemptRecord {
  return {
    startedAtMs,
    endedAtMs,
    outcome: 'crashed',
    counts: false,
    note: 'its worker did not report back before its lease ended',
  }
}
