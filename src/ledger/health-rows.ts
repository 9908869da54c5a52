/** Health records as rows of a SQL store. */
import type { Json } from '../core/json.ts'
import type { HealthRecord } from './port.ts'

export interface HealthRow {
  key: string
  revision: number
  /** JSON text. */
  state: string
  updated_at_ms: number
}

export function toHealthRecord(row: HealthRow): HealthRecord {
  return {
    key: row.key,
    revision: row.revision,
    state: JSON.parse(row.state) as Json,
    updatedAtMs: row.updated_at_ms,
  }
}
