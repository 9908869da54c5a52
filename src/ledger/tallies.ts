/** What attempts failed with, counted by a SQL store (R018). */
import type { Failure } from '../core/failure.ts'
import type { FailureTally } from './port.ts'

/** Kinds of failures that are told: the most frequent of them. */
export const MOST_TALLIES = 1000

export interface TallyRow {
  lane: string
  endpoint: string
  day: number
  count: number
  first_ms: number
  last_ms: number
  example: string
  failure: string
}

export function toTally(row: TallyRow): FailureTally {
  return {
    lane: row.lane,
    endpoint: row.endpoint,
    dayMs: row.day * 86_400_000,
    count: row.count,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    exampleItemId: row.example,
    failure: JSON.parse(row.failure) as Failure,
  }
}
