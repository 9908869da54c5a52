/** What the processes of one store tell each other: gates and lanes, and the records of health, limits and credentials. */
import type { Json } from '../core/json.ts'

export interface Gate {
  readonly lane: string
  readonly untilMs: number
  readonly reason: string
}

export interface Suspension {
  readonly lane: string
  readonly reason: string
  readonly atMs: number
}

export interface LaneState {
  readonly lane: string
  readonly gateUntilMs: number
  readonly gateReason: string
  readonly suspended: { readonly reason: string; readonly atMs: number } | undefined
  /** Items leased right now. */
  readonly processing: number
}

export interface HealthRecord {
  /** `breaker:hubspot:POST /contacts`, `limiter:...`, `credential:hubspot/default`, `latency:3:hubspot:POST /contacts` */
  readonly key: string
  readonly revision: number
  readonly state: Json
  readonly updatedAtMs: number
}

export interface HealthChange {
  readonly key: string
  /** The revision the change was made from; 0 for a record that does not exist yet. */
  readonly fromRevision: number
  readonly state: Json
}

export type HealthReceipt =
  | { readonly applied: true; readonly key: string; readonly revision: number }
  | { readonly applied: false; readonly key: string; readonly current: HealthRecord | undefined }
