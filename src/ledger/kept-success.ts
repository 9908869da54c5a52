/**
 * A success without remarks is kept with its item and not with the other attempts: it ends its item, so it is the last, and its
 * few facts lie in the row that is written anyway.
 */
import type { AttemptRecord } from './port.ts'

/** An attempt in the columns of its item: `success_...`. */
export interface KeptSuccess {
  readonly success_from_ms: number | null
  readonly success_at_ms: number | null
  readonly success_status: number | null
  readonly success_key: string | null
}

/** True where the columns of {@link KeptSuccess} hold all there is to know of an attempt whose item succeeded by it. */
export function isKeptWithItem(attempt: AttemptRecord): boolean {
  return (
    attempt.outcome === 'succeeded' && attempt.counts && attempt.note === undefined && attempt.failure === undefined
  )
}

/** The attempt that is kept with its item, if there is one. */
export function keptSuccess(row: KeptSuccess, number: number): (AttemptRecord & { number: number }) | undefined {
  if (row.success_from_ms === null || row.success_at_ms === null) return undefined
  return {
    number,
    startedAtMs: row.success_from_ms,
    endedAtMs: row.success_at_ms,
    outcome: 'succeeded',
    counts: true,
    ...(row.success_status !== null && { status: row.success_status }),
    ...(row.success_key !== null && { idempotencyKey: row.success_key }),
  }
}
