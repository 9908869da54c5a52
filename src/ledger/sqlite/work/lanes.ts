/** Gates and suspensions, to be called inside a transaction; reading them needs none. */
import { type LaneRow, toLaneState } from '../../lane-rows.ts'
import type { Gate, LaneState, Suspension } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Lanes {
  closeGate(gate: Gate): void
  openGate(lane: string): void
  suspend(suspension: Suspension): void
  resume(lane: string): void
  all(): LaneState[]
}

export function prepareLanes(database: Database): Lanes {
  const closeGate = prepare(
    database,
    `INSERT INTO lanes (lane, gate_until_ms, gate_reason) VALUES (?, ?, ?)
     ON CONFLICT (lane) DO UPDATE SET gate_until_ms = excluded.gate_until_ms, gate_reason = excluded.gate_reason
     WHERE excluded.gate_until_ms > gate_until_ms`,
  )
  const openGate = prepare(database, `UPDATE lanes SET gate_until_ms = 0, gate_reason = '' WHERE lane = ?`)
  const suspend = prepare(
    database,
    `INSERT INTO lanes (lane, suspended_at_ms, suspended_reason) VALUES (?, ?, ?)
     ON CONFLICT (lane) DO UPDATE SET suspended_at_ms = excluded.suspended_at_ms,
       suspended_reason = excluded.suspended_reason`,
  )
  const resume = prepare(database, 'UPDATE lanes SET suspended_at_ms = NULL, suspended_reason = NULL WHERE lane = ?')
  const selectAll = prepare<LaneRow>(
    database,
    `SELECT l.lane, l.gate_until_ms, l.gate_reason, l.suspended_at_ms, l.suspended_reason,
       (SELECT coalesce(sum(open), 0) FROM channels c JOIN leases ON leases.channel = c.id WHERE c.lane = l.lane)
         AS processing
     FROM lanes l ORDER BY l.lane`,
  )

  return {
    closeGate: (gate) => void closeGate.run(gate.lane, gate.untilMs, gate.reason),
    openGate: (lane) => void openGate.run(lane),
    suspend: (suspension) => void suspend.run(suspension.lane, suspension.atMs, suspension.reason),
    resume: (lane) => void resume.run(lane),
    all: () => selectAll.all().map(toLaneState),
  }
}
