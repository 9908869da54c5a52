/** The attempt history: append-only rows, but for a success that is kept with its item (`kept-success.ts`). */
import type { Failure } from '../../../core/failure.ts'
import type { AttemptRecord } from '../../port.ts'
import { type AttemptRow, toAttempt } from '../../record-rows.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Failures } from './failures.ts'

export interface Attempts {
  append(item: number, number: number, attempt: AttemptRecord): void
  /** What the newest attempt that failed ended with. */
  lastFailure(item: number): Failure | undefined
  /** All but the one that is kept with its item: see `kept-success.ts`. */
  of(item: number): (AttemptRecord & { number: number })[]
}

export function prepareAttempts(database: Database, failures: Failures): Attempts {
  const insert = prepare(
    database,
    `INSERT INTO attempts (item, number, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key, note, failure)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const selectLastFailure = prepare<{ failure: number }>(
    database,
    'SELECT failure FROM attempts WHERE item = ? AND failure IS NOT NULL ORDER BY number DESC LIMIT 1',
  )
  const selectAll = prepare<AttemptRow>(
    database,
    `SELECT a.number, a.outcome, a.counts, a.started_at_ms, a.ended_at_ms, a.status, a.idempotency_key, a.note,
       f.text AS failure
     FROM attempts a LEFT JOIN failures f ON f.id = a.failure WHERE a.item = ? ORDER BY a.number`,
  )

  return {
    append(item, number, attempt) {
      insert.run(
        item,
        number,
        attempt.outcome,
        attempt.counts ? 1 : 0,
        attempt.startedAtMs,
        attempt.endedAtMs,
        attempt.status ?? null,
        attempt.idempotencyKey ?? null,
        attempt.note ?? null,
        attempt.failure === undefined ? null : failures.numberOf(attempt.failure),
      )
    },
    lastFailure(item) {
      const row = selectLastFailure.get(item)
      return row && failures.read(row.failure)
    },
    of: (item) => selectAll.all(item).map(toAttempt),
  }
}
