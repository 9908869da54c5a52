/** Items as every list shows them. */
import { itemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type { DeadLetterCause } from '../../policy/dead-letter.ts'
import type { ItemSummary } from '../port.ts'

export interface SummaryRow {
  no: number
  run: number
  step: string
  state: ItemState
  reason: string | null
  due_at_ms: number | null
  attempts: number
  deferrals: number
  crashes: number
  replays: number
  first_attempt_at_ms: number | null
  ended_at_ms: number | null
  updated_at_ms: number
  lease_worker: string | null
  lease_until_ms: number | null
  lease_from_ms: number | null
  fingerprint: string | null
  summary: string | null
  hint: string | null
  cause: DeadLetterCause | null
  dead_since_ms: number | null
  external_id: string | null
  optional: number
  id: string
  tenant: string
  pipeline: string
  key: string
  created_at_ms: number
  labels: string | null
  lane: string
  endpoint: string
  batch: string
}

export const SUMMARY_COLUMNS = `i.no, i.run, i.step, i.state, i.reason, i.due_at_ms, i.attempts, i.deferrals, i.crashes,
  i.replays, i.first_attempt_at_ms, i.ended_at_ms, i.updated_at_ms, l.worker AS lease_worker,
  l.until_ms AS lease_until_ms, l.from_ms AS lease_from_ms, i.fingerprint, i.summary, i.hint, i.cause, i.dead_since_ms, i.external_id, i.optional, r.id, f.tenant, f.pipeline,
  coalesce(r.key, r.id) AS key, r.created_at_ms, r.labels, c.lane, c.endpoint, b.batch`

export const SUMMARY_JOINS = `JOIN runs r ON r.no = i.run JOIN flows f ON f.id = r.flow
  JOIN channels c ON c.id = i.channel JOIN books b ON b.id = i.book LEFT JOIN leases l ON l.id = i.lease`

/** Of rows that say nothing else. */
const USUAL_REASONS: Partial<Readonly<Record<ItemState, string>>> = {
  waiting: 'waits for the steps before it',
  queued: 'accepted',
  processing: 'claimed by a worker',
  succeeded: 'done',
}

export function toSummary(row: SummaryRow): ItemSummary {
  return {
    itemId: itemId(row.id, row.step),
    runId: row.id,
    tenant: row.tenant,
    pipeline: row.pipeline,
    step: row.step,
    key: row.key,
    lane: row.lane,
    endpoint: row.endpoint,
    state: row.state,
    reason: row.reason ?? USUAL_REASONS[row.state] ?? '',
    dueAtMs: row.due_at_ms ?? undefined,
    counters: { attempts: row.attempts, deferrals: row.deferrals, crashes: row.crashes, replays: row.replays },
    createdAtMs: row.created_at_ms,
    firstAttemptAtMs: row.first_attempt_at_ms ?? undefined,
    endedAtMs: row.ended_at_ms ?? undefined,
    updatedAtMs: row.updated_at_ms,
    lease: leaseOf(row),
    deadLetter: deadLetterOf(row),
    externalId: row.external_id ?? undefined,
    labels: labelsOf(row),
    batch: row.batch,
    optional: row.optional === 1,
  }
}

export function labelsOf({ labels }: { readonly labels: string | null }): Record<string, string> {
  return labels === null ? {} : (JSON.parse(labels) as Record<string, string>)
}

function leaseOf(row: SummaryRow): ItemSummary['lease'] {
  if (row.lease_until_ms === null) return undefined
  return { workerId: row.lease_worker ?? '', untilMs: row.lease_until_ms, startedAtMs: row.lease_from_ms ?? 0 }
}

function deadLetterOf(row: SummaryRow): ItemSummary['deadLetter'] {
  if (row.fingerprint === null) return undefined
  return {
    fingerprint: row.fingerprint,
    summary: row.summary ?? '',
    hint: row.hint ?? '',
    cause: row.cause ?? 'unknown',
    sinceMs: row.dead_since_ms ?? row.updated_at_ms,
  }
}
