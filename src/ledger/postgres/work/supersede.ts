/** Statements that end items because there is a newer value of their entity. */
import { SUPERSEDABLE } from '../../turns.ts'
import { runOf } from './claimed.ts'
import { FOLLOW_UP_COLUMNS, releasedIn } from './dependents.ts'

const STATES = SUPERSEDABLE.map((state) => `'${state}'`).join(', ')

const SUPERSEDE = `state = 'superseded', reason = d.reason, ended_at_ms = $1::bigint, updated_at_ms = $1::bigint,
  due_at_ms = NULL, released = ${releasedIn(`'superseded'`)},
  fingerprint = NULL, summary = NULL, hint = NULL, cause = NULL, dead_since_ms = NULL`

/** Newcomers that are the older ones themselves, by name. */
export function endOutdatedText(s: string): string {
  return `WITH d AS MATERIALIZED (
      SELECT u.*, ${runOf(s, 'u')} AS run, false AS was_released
      FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[]) u (tenant, run_id, step, entity, reason))
    UPDATE ${s}.items i SET entity = d.entity, ${SUPERSEDE} FROM d
    WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant AND i.state = 'waiting'
    RETURNING ${FOLLOW_UP_COLUMNS}, i.reason, i.attempts, d.run_id || '.' || i.step AS by`
}

/** What is older than the newest value of these entities, and not being processed, nor of an unknown outcome. */
export function endOlderText(s: string): string {
  return `WITH d AS MATERIALIZED (
      SELECT i.tenant, i.run, i.step, r.id AS run_id, i.released AS was_released, e.newest_item AS by,
        e.newest_item || ' has brought a newer value of "' || e.name || '"' AS reason
      FROM ${s}.entities e
      JOIN ${s}.places p ON p.entity = e.id AND p.tenant = e.tenant AND p.place < e.newest_place
      JOIN ${s}.items i ON i.run = p.run AND i.step = p.step AND i.tenant = p.tenant
      JOIN ${s}.runs r ON r.no = i.run AND r.tenant = i.tenant
      WHERE e.id = ANY($2::bigint[]) AND p.rule = 'supersede' AND i.state IN (${STATES}))
    UPDATE ${s}.items i SET ${SUPERSEDE} FROM d
    WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant AND i.state IN (${STATES})
    RETURNING ${FOLLOW_UP_COLUMNS}, i.reason, i.attempts, d.by`
}
