/** The attempt history: append-only rows. */
import type { Failure } from '../../core/failure.ts'
import type { AttemptRecord } from '../port.ts'
import { type Database, prepare } from './connection.ts'

export interface Attempts {
  append(run: number, step: string, number: number, attempt: AttemptRecord): void
  /** What the newest attempt that failed ended with. */
  lastFailure(run: number, step: string): Failure | undefined
  of(run: number, step: string): (AttemptRecord & { number: number })[]
}

interface AttemptRow {
  number: number
  outcome: AttemptRecord['outcome']
  counts: number
  started_at_ms: number
  ended_at_ms: number
  status: number | null
  idempotency_key: string | null
  note: string | null
  failure: string | null
}

export function prepareAttempts(database: Database): Attempts {
  const insert = prepare(
    database,
    `INSERT INTO attempts (run, step, number, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key, note,
       failure)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const selectLastFailure = prepare<{ failure: string }>(
    database,
    'SELECT failure FROM attempts WHERE run = ? AND step = ? AND failure IS NOT NULL ORDER BY number DESC LIMIT 1',
  )
  const selectAll = prepare<AttemptRow>(database, 'SELECT * FROM attempts WHERE run = ? AND step = ? ORDER BY number')

  return {
    append(run, step, number, attempt) {
      insert.run(
        run,
        step,
        number,
        attempt.outcome,
        attempt.counts ? 1 : 0,
        attempt.startedAtMs,
        attempt.endedAtMs,
        attempt.status ?? null,
        attempt.idempotencyKey ?? null,
        attempt.note ?? null,
        attempt.failure === undefined ? null : JSON.stringify(attempt.failure),
      )
    },
    lastFailure(run, step) {
      const row = selectLastFailure.get(run, step)
      return row && (JSON.parse(row.failure) as Failure)
    },
    of: (run, step) => selectAll.all(run, step).map(toAttempt),
  }
}

function toAttempt(row: AttemptRow): AttemptRecord & { number: number } {
  return {
    number: row.number,
    startedAtMs: row.started_at_ms,
    endedAtMs: row.ended_at_ms,
    outcome: row.outcome,
    counts: row.counts === 1,
    ...(row.status !== null && { status: row.status }),
    ...(row.failure !== null && { failure: JSON.parse(row.failure) as Failure }),
    ...(row.idempotency_key !== null && { idempotencyKey: row.idempotency_key }),
    ...(row.note !== null && { note: row.note }),
  }
}
