/** Runs, and items with their whole history, as rows of a SQL store and as they are read one at a time. */
import type { Json } from '../core/json.ts'
import { type ItemRow, labelsOf, type SqlBoolean, toSummary } from './item-rows.ts'
import type { AttemptRecord, ItemRecord, RunRecord } from './port.ts'

export interface RunRow {
  id: string
  tenant: string
  pipeline: string
  key: string
  batch: string
  created_at_ms: number
  correlation_id: string
  labels: string | null
  input: string
}

export interface RecordRow extends ItemRow {
  after: string | null
  memo: string | null
  output: string | null
  slow_lane_tries: number
  cancel_reason: string | null
  input: string
  correlation_id: string
}

export interface AttemptRow {
  number: number
  outcome: AttemptRecord['outcome']
  counts: SqlBoolean
  started_at_ms: number
  ended_at_ms: number
  status: number | null
  idempotency_key: string | null
  note: string | null
  failure: string | null
}

export interface EditRow {
  input: string
  by: string
  at_ms: number
  replay: number
}

export interface OperationRow {
  what: string
  by: string
  at_ms: number
  note: string
}

/** Each oldest first; the steps below in the order of their run. */
export interface History {
  readonly edits: readonly EditRow[]
  readonly operations: readonly OperationRow[]
  readonly attempts: ItemRecord['attempts']
  readonly dependents: readonly string[]
  readonly turn: ItemRecord['turn']
}

export function toRun(row: RunRow, items: readonly ItemRow[]): RunRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    pipeline: row.pipeline,
    key: row.key,
    input: JSON.parse(row.input) as Json,
    labels: labelsOf(row),
    batch: row.batch,
    correlationId: row.correlation_id,
    createdAtMs: row.created_at_ms,
    items: items.map(toSummary),
  }
}

export function toRecord(row: RecordRow, { edits, operations, attempts, dependents, turn }: History): ItemRecord {
  return {
    ...toSummary(row),
    input: JSON.parse(row.input) as Json,
    edits: edits.map(({ input, by, at_ms, replay }) => ({ input: JSON.parse(input) as Json, by, atMs: at_ms, replay })),
    output: row.output === null ? undefined : (JSON.parse(row.output) as Json),
    after: row.after === null ? [] : (JSON.parse(row.after) as string[]),
    dependents,
    attempts,
    operations: operations.map(({ what, by, at_ms, note }) => ({ what, by, atMs: at_ms, note })),
    correlationId: row.correlation_id,
    memo: row.memo ?? undefined,
    slowLaneTries: row.slow_lane_tries,
    cancelRequested: row.cancel_reason !== null,
    turn,
  }
}

export function toAttempt(row: AttemptRow): ItemRecord['attempts'][number] {
  return {
    number: row.number,
    startedAtMs: row.started_at_ms,
    endedAtMs: row.ended_at_ms,
    outcome: row.outcome,
    counts: Boolean(row.counts),
    ...(row.status !== null && { status: row.status }),
    ...(row.failure !== null && { failure: JSON.parse(row.failure) as AttemptRecord['failure'] & object }),
    ...(row.idempotency_key !== null && { idempotencyKey: row.idempotency_key }),
    ...(row.note !== null && { note: row.note }),
  }
}
