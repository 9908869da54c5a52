/** Items as rows of a SQL store, and as every list shows them. */
import { itemId } from '../core/ids.ts'
import type { ItemState } from '../core/item-state.ts'
import type { DeadLetterCause } from '../policy/retry/dead-letter.ts'
import type { ItemSummary } from './port.ts'

/** SQLite knows only 0 and 1. */
export type SqlBoolean = boolean | 0 | 1

export interface ItemRow {
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
  optional: SqlBoolean
  id: string
  tenant: string
  pipeline: string
  key: string
  created_at_ms: number
  /** JSON text; null: none. */
  labels: string | null
  lane: string
  endpoint: string
  batch: string
}

/** Of rows that say nothing else. */
const USUAL_REASONS: Partial<Readonly<Record<ItemState, string>>> = {
  waiting: 'waits for the steps before it',
  queued: 'accepted',
  processing: 'claimed by a worker',
  succeeded: 'done',
}

export function toSummary(row: ItemRow): ItemSummary {
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
    optional: Boolean(row.optional),
  }
}

export function labelsOf({ labels }: Pick<ItemRow, 'labels'>): Record<string, string> {
  return labels === null ? {} : (JSON.parse(labels) as Record<string, string>)
}

function leaseOf(row: ItemRow): ItemSummary['lease'] {
  if (row.lease_until_ms === null) return undefined
  return { workerId: row.lease_worker ?? '', untilMs: row.lease_until_ms, startedAtMs: row.lease_from_ms ?? 0 }
}

function deadLetterOf(row: ItemRow): ItemSummary['deadLetter'] {
  if (row.fingerprint === null) return undefined
  return {
    fingerprint: row.fingerprint,
    summary: row.summary ?? '',
    hint: row.hint ?? '',
    cause: row.cause ?? 'unknown',
    sinceMs: row.dead_since_ms ?? row.updated_at_ms,
  }
}
