/** What a worker gets to see of an item that it leased. */
import type { Failure } from '../../core/failure.ts'
import { itemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type { ClaimedItem } from '../port.ts'

export interface ClaimedRow {
  run: number
  step: string
  tenant: string
  was: ItemState
  was_due_ms: number
  lost_from_ms: number | null
  token: number
  attempts: number
  deferrals: number
  crashes: number
  replays: number
  attempts_before_budget: number
  budget_from_ms: number | null
  slow_lane_tries: number
  first_attempt_at_ms: number
  cancel_reason: string | null
  memo: string | null
  last_failure: string | null
  outputs: Record<string, string> | null
  id: string
  pipeline: string
  key: string
  labels: string
  correlation_id: string
  created_at_ms: number
  lane: string
  endpoint: string
  input: string
}

/**
 * For items that are looked up by their key. By the state, although the lease says the same: the index of leases, which is
 * nearly empty whenever statistics are taken, would tempt the planner to go through all leases for each of them.
 */
export const LEASED = `i.state = 'processing'`

/** The number of a run, looked up for each row by itself: not a join, whose order would be the planner's guess. */
export const runOf = (s: string, asked: string): string =>
  `(SELECT r.no FROM ${s}.runs r WHERE r.id = ${asked}.run_id AND r.tenant = ${asked}.tenant)`

/** After an UPDATE of `items i` from what was `due d` and its run `r`: the item as it is now, and as it was. */
export const CLAIMED_COLUMNS = (s: string): string => `i.run, i.step, i.tenant, d.was, d.was_due_ms, d.lost_from_ms,
  i.lease_token AS token, i.attempts, i.deferrals, i.crashes, i.replays, i.attempts_before_budget, i.budget_from_ms,
  i.slow_lane_tries, i.first_attempt_at_ms, i.cancel_reason, i.memo, i.last_failure,
  CASE WHEN i."after" IS NOT NULL THEN (SELECT json_object_agg(o.step, o.output) FROM ${s}.items o
    WHERE o.run = i.run AND o.tenant = i.tenant AND o.state = 'succeeded'
      AND o.step IN (SELECT json_array_elements_text(i."after"::json))) END AS outputs,
  r.id, r.pipeline, coalesce(r.key, r.id) AS key, r.labels, r.correlation_id, r.created_at_ms,
  d.lane_name AS lane, d.endpoint,
  CASE WHEN i.edits = 0 THEN r.input ELSE (SELECT e.input FROM ${s}.edits e
    WHERE e.run = i.run AND e.step = i.step AND e.tenant = i.tenant ORDER BY e.number DESC LIMIT 1) END AS input`

export function toClaimed(row: ClaimedRow): ClaimedItem {
  const takenOver = row.was === 'processing'
  return {
    itemId: itemId(row.id, row.step),
    tenant: row.tenant,
    token: row.token,
    runId: row.id,
    pipeline: row.pipeline,
    step: row.step,
    lane: row.lane,
    endpoint: row.endpoint,
    key: row.key,
    from: row.was,
    counters: { attempts: row.attempts, deferrals: row.deferrals, crashes: row.crashes, replays: row.replays },
    attemptsBeforeBudget: row.attempts_before_budget,
    budgetFromMs: row.budget_from_ms ?? row.created_at_ms,
    slowLaneTries: row.slow_lane_tries,
    createdAtMs: row.created_at_ms,
    firstAttemptAtMs: row.first_attempt_at_ms,
    lostAttemptStartedAtMs: takenOver ? (row.lost_from_ms ?? undefined) : undefined,
    input: row.input,
    outputs: row.outputs ?? {},
    labels: row.labels === '{}' ? {} : (JSON.parse(row.labels) as Record<string, string>),
    correlationId: row.correlation_id,
    lastFailure: row.last_failure === null ? undefined : (JSON.parse(row.last_failure) as Failure),
    memo: row.memo ?? undefined,
    cancelRequested: row.cancel_reason !== null,
  }
}
