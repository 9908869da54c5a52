/** How the rows of `item-rows.ts` are selected from `items i`. */
import type { ItemRow } from '../../item-rows.ts'

export interface SummaryRow extends ItemRow {
  no: number
}

export const SUMMARY_COLUMNS = `i.no, i.run, i.step, i.state, i.reason, i.due_at_ms, i.attempts, i.deferrals, i.crashes,
  i.replays, i.first_attempt_at_ms, i.ended_at_ms, i.updated_at_ms, l.worker AS lease_worker,
  l.until_ms AS lease_until_ms, l.from_ms AS lease_from_ms, i.fingerprint, i.summary, i.hint, i.cause, i.dead_since_ms, i.external_id, i.optional, r.id, f.tenant, f.pipeline,
  coalesce(r.key, r.id) AS key, r.created_at_ms, r.labels, c.lane, c.endpoint, b.batch`

export const SUMMARY_JOINS = `JOIN runs r ON r.no = i.run JOIN flows f ON f.id = r.flow
  JOIN channels c ON c.id = i.channel JOIN books b ON b.id = i.book LEFT JOIN leases l ON l.id = i.lease`
