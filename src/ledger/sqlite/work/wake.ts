/** `wake` of the port, to be called inside a transaction. */
import type { WakeRequest } from '../../port.ts'
import { type Database, prepare, type Statement } from '../transactions/connection.ts'
import type { Tally } from './tally.ts'

export type Wake = (request: WakeRequest, nowMs: number) => number

interface HeldRow {
  no: number
  book: number
}

/** A `parked` item is queued again; a dead letter of the slow lane stays one, and is due for its next try. */
export function prepareWake(database: Database, tally: Tally): Wake {
  const selectChannels = prepare<{ id: number }>(
    database,
    'SELECT id FROM channels WHERE lane = coalesce(?, lane) AND endpoint = coalesce(?, endpoint)',
  )
  const selectParked = prepareHeld(database, `state = 'parked'`)
  const selectSlow = prepareHeld(database, `state = 'dead_lettered' AND cause = 'outage'`)
  const queue = prepare(
    database,
    `UPDATE items SET state = 'queued', due_at_ms = ?1, updated_at_ms = ?1, reason = 'what held it is gone'
     WHERE no = ?2`,
  )
  const makeDue = prepare(database, 'UPDATE items SET due_at_ms = ?1, updated_at_ms = ?1 WHERE no = ?2')

  function wakeChannel(channel: number, what: WakeRequest['what'], nowMs: number, limit: number): number {
    const held = (what === 'parked' ? selectParked : selectSlow).all(channel, nowMs, limit)
    for (const row of held) {
      if (what === 'parked') {
        queue.run(nowMs, row.no)
        tally.move(row.book, 'parked', 'queued')
      } else makeDue.run(nowMs, row.no)
    }
    return held.length
  }

  return ({ lane, endpoint, what, limit }, nowMs) => {
    let woken = 0
    for (const { id } of selectChannels.all(lane ?? null, endpoint ?? null)) {
      if (woken < limit) woken += wakeChannel(id, what, nowMs, limit - woken)
    }
    return woken
  }
}

/** Those that are due anyway need no waking. */
function prepareHeld(database: Database, condition: string): Statement<HeldRow> {
  return prepare(
    database,
    `SELECT no, book FROM items INDEXED BY items_due
     WHERE channel = ? AND due_at_ms > ? AND ${condition} ORDER BY due_at_ms, no LIMIT ?`,
  )
}
