/** Lanes as rows of a SQL store. */
import type { LaneState } from './port.ts'

export interface LaneRow {
  lane: string
  gate_until_ms: number
  gate_reason: string
  suspended_at_ms: number | null
  suspended_reason: string | null
  processing: number
}

export function toLaneState(row: LaneRow): LaneState {
  return {
    lane: row.lane,
    gateUntilMs: row.gate_until_ms,
    gateReason: row.gate_reason,
    suspended:
      row.suspended_at_ms === null ? undefined : { reason: row.suspended_reason ?? '', atMs: row.suspended_at_ms },
    processing: row.processing,
  }
}
