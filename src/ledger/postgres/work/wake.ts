/** `wake` of the port, to be called inside a transaction. */
import type { WakeRequest } from '../../port.ts'
import { prepare, type Session, type Statement } from '../transactions/connection.ts'

export type Wake = (session: Session, request: WakeRequest, nowMs: number) => Promise<number>

/** A `parked` item is queued again; a dead letter of the slow lane stays one, and is due for its next try. */
export function prepareWake(s: string): Wake {
  const queueParked = prepareHeld(
    s,
    `i.state = 'parked'`,
    `state = 'queued', due_at_ms = $1::bigint, updated_at_ms = $1::bigint, reason = 'what held it is gone'`,
  )
  const hastenSlow = prepareHeld(
    s,
    `i.state = 'dead_lettered' AND i.cause = 'outage'`,
    `due_at_ms = $1::bigint, updated_at_ms = $1::bigint`,
  )

  return async (session, { lane, endpoint, what, limit }, nowMs) => {
    const woken = await session.rows(what === 'parked' ? queueParked : hastenSlow, [
      nowMs,
      lane ?? null,
      endpoint ?? null,
      limit,
    ])
    return woken.length
  }
}

/** Those that are due anyway need no waking. */
function prepareHeld(s: string, condition: string, change: string): Statement<object> {
  return prepare(
    `WITH held AS (
       SELECT h.* FROM ${s}.channels c CROSS JOIN LATERAL (
         SELECT i.tenant, i.run, i.step FROM ${s}.items i
         WHERE i.channel = c.id AND i.due_at_ms IS NOT NULL AND i.due_at_ms > $1::bigint AND ${condition}
         ORDER BY i.due_at_ms, i.run, i.step LIMIT $4 FOR UPDATE SKIP LOCKED) h
       WHERE c.lane = coalesce($2, c.lane) AND c.endpoint = coalesce($3, c.endpoint) LIMIT $4)
     UPDATE ${s}.items i SET ${change} FROM held h
     WHERE i.run = h.run AND i.step = h.step AND i.tenant = h.tenant RETURNING 1`,
  )
}
