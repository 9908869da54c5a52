/** What the end of items means for the steps of their runs that wait for them. */

import { itemId } from '../../../core/ids.ts'
import { END_STATES } from '../../../core/item-state.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'

/** An item that has just ended or become a dead letter, as {@link FOLLOW_UP_COLUMNS} tells it. */
export interface EndedRow {
  tenant: string
  run: number
  step: string
  run_id: string
  state: string
  /** JSON array of steps; `null`: none. */
  dependents: string | null
  /** It has released its dependents now; an item does so once, however often it is replayed. */
  releases: boolean
  /** It takes its dependents along: it was cancelled, discarded or superseded, and they need it. */
  takes_along: boolean
  /** In whose order it has its place; `null`: nobody's. */
  entity: number | null
}

export interface Dependents {
  /** To be called in the transaction that ended the items. */
  followUp(session: Session, ended: readonly EndedRow[], nowMs: number): Promise<FollowedUp>
}

export interface FollowedUp {
  /** In no order. */
  readonly queued: QueuedItem[]
  /** Those that were taken along and had places in the order of entities. */
  readonly ended: PlacedRow[]
}

interface PlacedRow {
  tenant: string
  run: number
  step: string
  entity: number | null
}

export interface QueuedItem {
  readonly itemId: string
  readonly run: number
  readonly step: string
  /** Where its turn has come. */
  readonly entity?: number
}

export const ENDS = END_STATES.map((state) => `'${state}'`).join(', ')

/**
 * Whether an item of the new state has released its dependents: it ended well, or it is optional and failed. A dead letter
 * that is not optional leaves them waiting.
 */
export function releasedIn(state: string): string {
  return `i.released OR (i.dependents IS NOT NULL AND (${state} IN ('succeeded', 'skipped')
    OR (i.optional AND ${state} IN (${ENDS}, 'dead_lettered'))))`
}

export const TAKES_ALONG = `(i.dependents IS NOT NULL AND NOT i.optional AND i.state IN ('cancelled', 'discarded', 'superseded'))`

/** After an UPDATE of `items i` from `d`, which knows `was_released` and `run_id`. */
export const FOLLOW_UP_COLUMNS = `i.tenant, i.run, i.step, i.entity, d.run_id, i.state, i.dependents,
  i.released AND NOT d.was_released AS releases, ${TAKES_ALONG} AS takes_along`

export function prepareDependents(s: string): Dependents {
  const release = prepare<{ run: number; step: string; state: string }>(
    `WITH freed AS (
       SELECT i.tenant, i.run, i.step, n.times
       FROM unnest($2::text[], $3::bigint[], $4::text[], $5::int[]) n (tenant, run, step, times)
       JOIN ${s}.items i ON i.run = n.run AND i.step = n.step AND i.tenant = n.tenant
       WHERE i.state = 'waiting' ORDER BY i.run, i.step FOR UPDATE OF i)
     UPDATE ${s}.items i SET unmet = i.unmet - f.times, updated_at_ms = $1::bigint,
       state = CASE WHEN i.unmet = f.times THEN 'queued' ELSE i.state END,
       due_at_ms = CASE WHEN i.unmet = f.times THEN greatest($1::bigint, coalesce(i.not_before_ms, 0)) END,
       reason = CASE WHEN i.unmet = f.times THEN 'the steps before it are done' ELSE i.reason END
     FROM freed f WHERE i.run = f.run AND i.step = f.step AND i.tenant = f.tenant AND i.state = 'waiting'
     RETURNING i.run, i.step, i.state`,
  )
  const end = prepare<PlacedRow>(
    // All the way down: whatever needs a step that will never run will never run.
    `WITH RECURSIVE below (tenant, run, step, cause, state) AS (
       SELECT n.tenant, n.run, next.step, n.step, n.state
       FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[]) n (tenant, run, step, state, dependents)
       CROSS JOIN LATERAL json_array_elements_text(n.dependents::json) next (step)
       UNION
       SELECT b.tenant, b.run, next.step, b.cause, b.state
       FROM below b JOIN ${s}.items i ON i.run = b.run AND i.step = b.step AND i.tenant = b.tenant
       CROSS JOIN LATERAL json_array_elements_text(i.dependents::json) next (step)
       WHERE i.state = 'waiting' AND i.dependents IS NOT NULL),
     doomed AS (
       SELECT DISTINCT ON (i.run, i.step) i.tenant, i.run, i.step, b.cause, b.state AS next_state
       FROM below b JOIN ${s}.items i ON i.run = b.run AND i.step = b.step AND i.tenant = b.tenant
       WHERE i.state = 'waiting' ORDER BY i.run, i.step)
     UPDATE ${s}.items i SET state = d.next_state, ended_at_ms = $1::bigint, updated_at_ms = $1::bigint,
       reason = 'step "' || d.cause || '", which it needs, was ' || d.next_state
     FROM doomed d WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant AND i.state = 'waiting'
     RETURNING i.tenant, i.run, i.step, i.entity`,
  )

  async function releaseAfter(session: Session, ended: readonly EndedRow[], nowMs: number): Promise<QueuedItem[]> {
    const freed = freedBy(ended)
    if (freed.length === 0) return []
    const rows = await session.rows(release, [
      nowMs,
      column(freed, (item) => item.tenant),
      column(freed, (item) => item.run),
      column(freed, (item) => item.step),
      column(freed, (item) => item.times),
    ])
    const runIds = new Map(freed.map((item) => [item.run, item.runId]))
    return rows
      .filter((row) => row.state === 'queued')
      .map(({ run, step }) => ({ itemId: itemId(runIds.get(run) ?? '', step), run, step }))
  }

  async function endAfter(session: Session, ended: readonly EndedRow[], nowMs: number): Promise<PlacedRow[]> {
    const causes = ended.filter((item) => item.takes_along)
    if (causes.length === 0) return []
    const along = await session.rows(end, [
      nowMs,
      column(causes, (item) => item.tenant),
      column(causes, (item) => item.run),
      column(causes, (item) => item.step),
      column(causes, (item) => item.state),
      column(causes, (item) => item.dependents),
    ])
    return along.filter((item) => item.entity !== null)
  }

  return {
    async followUp(session, ended, nowMs) {
      const along = await endAfter(session, ended, nowMs)
      return { queued: await releaseAfter(session, ended, nowMs), ended: along }
    },
  }
}

interface FreedItem {
  readonly tenant: string
  readonly run: number
  readonly runId: string
  readonly step: string
  /** By how many of the items that ended. */
  times: number
}

function freedBy(ended: readonly EndedRow[]): FreedItem[] {
  const freed = new Map<string, FreedItem>()
  for (const { tenant, run, run_id, dependents, releases } of ended) {
    if (!releases) continue
    for (const step of JSON.parse(dependents ?? '[]') as string[]) {
      const known = freed.get(`${run}.${step}`)
      if (known) known.times += 1
      else freed.set(`${run}.${step}`, { tenant, run, runId: run_id, step, times: 1 })
    }
  }
  return [...freed.values()]
}
