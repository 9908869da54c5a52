/** Gates and suspensions; changes are to be made inside a transaction. */
import { type LaneRow, toLaneState } from '../../lane-rows.ts'
import type { Gate, LaneState, Suspension } from '../../port.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'

export interface Lanes {
  closeGates(session: Session, gates: readonly Gate[]): Promise<void>
  openGates(session: Session, lanes: readonly string[]): Promise<void>
  suspend(session: Session, suspensions: readonly Suspension[]): Promise<void>
  resume(session: Session, lanes: readonly string[]): Promise<void>
  all(session: Session): Promise<LaneState[]>
}

export function prepareLanes(s: string): Lanes {
  const closeGates = prepare(
    `INSERT INTO ${s}.lanes AS l (lane, gate_until_ms, gate_reason)
     SELECT DISTINCT ON (g.lane) g.lane, g.until_ms, g.reason
     FROM unnest($1::text[], $2::bigint[], $3::text[]) g (lane, until_ms, reason) ORDER BY g.lane, g.until_ms DESC
     ON CONFLICT (lane) DO UPDATE SET gate_until_ms = excluded.gate_until_ms, gate_reason = excluded.gate_reason
     WHERE excluded.gate_until_ms > l.gate_until_ms`,
  )
  const openGates = prepare(`UPDATE ${s}.lanes SET gate_until_ms = 0, gate_reason = '' WHERE lane = ANY($1::text[])`)
  const suspend = prepare(
    `INSERT INTO ${s}.lanes AS l (lane, suspended_at_ms, suspended_reason)
     SELECT DISTINCT ON (n.lane) n.lane, n.at_ms, n.reason
     FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY n (lane, at_ms, reason, ord)
     ORDER BY n.lane, n.ord DESC
     ON CONFLICT (lane) DO UPDATE SET suspended_at_ms = excluded.suspended_at_ms,
       suspended_reason = excluded.suspended_reason`,
  )
  const resume = prepare(
    `UPDATE ${s}.lanes SET suspended_at_ms = NULL, suspended_reason = NULL WHERE lane = ANY($1::text[])`,
  )
  const selectAll = prepare<LaneRow>(
    `SELECT l.lane, l.gate_until_ms, l.gate_reason, l.suspended_at_ms, l.suspended_reason,
       (SELECT coalesce(sum(out.open), 0) FROM ${leasesOfLane(s, 'l.lane')} out) AS processing
     FROM ${s}.lanes l ORDER BY l.lane`,
  )

  return {
    async closeGates(session, gates) {
      if (gates.length === 0) return
      await session.rows(closeGates, [
        column(gates, (gate) => gate.lane),
        column(gates, (gate) => gate.untilMs),
        column(gates, (gate) => gate.reason),
      ])
    },
    openGates: async (session, lanes) => void (await session.rows(openGates, [lanes])),
    async suspend(session, suspensions) {
      await session.rows(suspend, [
        column(suspensions, (suspension) => suspension.lane),
        column(suspensions, (suspension) => suspension.atMs),
        column(suspensions, (suspension) => suspension.reason),
      ])
    },
    resume: async (session, lanes) => void (await session.rows(resume, [lanes])),
    all: async (session) => (await session.rows(selectAll)).map(toLaneState),
  }
}

/**
 * The leases of a lane as a table: by its channels, whatever a plan expects that was made when there were hardly any. The leases
 * of all lanes may be very many.
 */
export function leasesOfLane(s: string, lane: string): string {
  return `(SELECT o.* FROM (SELECT c.id FROM ${s}.channels c WHERE c.lane = ${lane} OFFSET 0) own
    CROSS JOIN LATERAL (SELECT e.* FROM ${s}.leases e WHERE e.channel = own.id OFFSET 0) o)`
}
