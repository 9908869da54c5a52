/** What a worker gets to see of an item that it leased. */
import type { Failure } from '../../../core/failure.ts'
import { itemId } from '../../../core/ids.ts'
import type { ItemState } from '../../../core/item-state.ts'
import type { ChannelRef, ClaimedItem } from '../../port.ts'

/** Few columns: what a fresh item has nothing of is `rest`, for each value costs both sides as much as a row of it does. */
export interface ClaimedRow {
  run: number
  step: string
  /** `null`: {@link USUAL_TENANT}. */
  tenant: string | null
  /** `null`: queued. */
  was: ItemState | null
  was_due_ms: number
  token: number
  id: string
  pipeline: string
  /** `null`: the id. */
  key: string | null
  /** `null`: the id. */
  correlation_id: string | null
  /** `null`: none. */
  labels: string | null
  created_at_ms: number
  /** The number of lane and endpoint; only where several were asked for. */
  channel?: number
  input: string
  /** `null`: it has never been claimed before, and needs no other step. */
  rest: Rest | null
}

interface Rest {
  lost_from_ms: number | null
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
}

/** Of nearly all items: what is not said costs nothing to say, and to read. */
const USUAL_TENANT = 'default'
/** `undefined` of what `rest` would tell is what a fresh item has. */
const FRESH: Partial<Rest> = {}

/**
 * For items that are looked up by their key. By the state, although the lease says the same: the index of leases, which is
 * nearly empty whenever statistics are taken, would tempt the planner to go through all leases for each of them.
 */
export const LEASED = `i.state = 'processing'`

/** The number of a run, looked up for each row by itself: not a join, whose order would be the planner's guess. */
export const runOf = (s: string, asked: string): string =>
  `(SELECT r.no FROM ${s}.runs r WHERE r.id = ${asked}.run_id AND r.tenant = ${asked}.tenant)`

/** After an UPDATE of `items i` from what was `due d` and its run `r`: the item as it is now, and as it was. */
export const CLAIMED_COLUMNS = (
  s: string,
): string => `i.run, i.step, nullif(i.tenant, '${USUAL_TENANT}') AS tenant, nullif(d.was, 'queued') AS was, d.was_due_ms, i.lease_token AS token,
  r.id, r.pipeline, r.key, nullif(r.correlation_id, r.id) AS correlation_id, nullif(r.labels, '{}') AS labels,
  r.created_at_ms,
  CASE WHEN i.edits = 0 THEN r.input ELSE (SELECT e.input FROM ${s}.edits e
    WHERE e.run = i.run AND e.step = i.step AND e.tenant = i.tenant ORDER BY e.number DESC LIMIT 1) END AS input,
  CASE WHEN i.lease_token > 1 OR i."after" IS NOT NULL THEN json_build_object('lost_from_ms', d.lost_from_ms,
    'attempts', i.attempts, 'deferrals', i.deferrals, 'crashes', i.crashes, 'replays', i.replays,
    'attempts_before_budget', i.attempts_before_budget, 'budget_from_ms', i.budget_from_ms,
    'slow_lane_tries', i.slow_lane_tries, 'first_attempt_at_ms', i.first_attempt_at_ms,
    'cancel_reason', i.cancel_reason, 'memo', i.memo, 'last_failure', i.last_failure,
    'outputs', CASE WHEN i."after" IS NOT NULL THEN (SELECT json_object_agg(o.step, o.output) FROM ${s}.items o
      WHERE o.run = i.run AND o.tenant = i.tenant AND o.state = 'succeeded'
        AND o.step IN (SELECT json_array_elements_text(i."after"::json))) END) END AS rest`

/** Of {@link CLAIMED_COLUMNS}: {@link ClaimedRow} without its channel. */
export const CLAIMED_NAMES =
  'run, step, tenant, was, was_due_ms, token, id, pipeline, key, correlation_id, labels, created_at_ms, input, rest'

/** {@link CLAIMED_NAMES} with their types. */
export const CLAIMED_TYPES = `run bigint, step text, tenant text, was text, was_due_ms bigint, token bigint, id text, pipeline text,
  key text, correlation_id text, labels text, created_at_ms bigint, input text, rest json`

/** @param at where the item waited, and when it was claimed */
export function toClaimed(row: ClaimedRow, at: { readonly channel: ChannelRef; readonly nowMs: number }): ClaimedItem {
  const takenOver = row.was === 'processing'
  const rest = row.rest ?? FRESH
  const { attempts = 0, deferrals = 0, crashes = 0, replays = 0 } = rest
  return {
    itemId: itemId(row.id, row.step),
    tenant: row.tenant ?? USUAL_TENANT,
    token: row.token,
    runId: row.id,
    pipeline: row.pipeline,
    step: row.step,
    lane: at.channel.lane,
    endpoint: at.channel.endpoint,
    key: row.key ?? row.id,
    from: row.was ?? 'queued',
    counters: { attempts, deferrals, crashes, replays },
    attemptsBeforeBudget: rest.attempts_before_budget ?? 0,
    budgetFromMs: rest.budget_from_ms ?? row.created_at_ms,
    slowLaneTries: rest.slow_lane_tries ?? 0,
    createdAtMs: row.created_at_ms,
    firstAttemptAtMs: rest.first_attempt_at_ms ?? at.nowMs,
    lostAttemptStartedAtMs: takenOver ? (rest.lost_from_ms ?? undefined) : undefined,
    input: row.input,
    outputs: rest.outputs ?? {},
    labels: row.labels === null ? {} : (JSON.parse(row.labels) as Record<string, string>),
    correlationId: row.correlation_id ?? row.id,
    lastFailure: typeof rest.last_failure === 'string' ? (JSON.parse(rest.last_failure) as Failure) : undefined,
    memo: rest.memo ?? undefined,
    cancelRequested: typeof rest.cancel_reason === 'string',
  }
}
