/**
 * The limiter's record in the ledger: each worker's starts under its own name, so that nobody overwrites another's and a
 * restart does not forget a daily quota.
 */
import { isJsonObject, type Json } from '../core/json.ts'
import type { RateState } from '../policy/limiter.ts'
import type { LaneHealth, OtherStarts, OwnRate } from './lane-health.ts'

export interface LimiterRecord {
  readonly workers: Readonly<Record<string, WorkerStarts>>
}

interface WorkerStarts {
  readonly atMs: number
  readonly rate: RateState['starts']
  readonly quota: RateState['starts']
}

/** What the others have started, and when each of them last did. */
export function otherStarts(record: LimiterRecord, workerId: string): OtherStarts {
  const others = Object.entries(record.workers).filter(([id]) => id !== workerId)
  const startsOfAll = (kind: 'rate' | 'quota'): RateState => ({
    starts: others.flatMap(([, worker]) => worker[kind]).sort(([one], [other]) => one - other),
  })
  return {
    rate: startsOfAll('rate'),
    quota: startsOfAll('quota'),
    workers: others.map(([id, { atMs }]) => ({ atMs, goesFirst: id < workerId })),
  }
}

/** The record with this worker's starts brought up to date, and what no window holds any more left out. */
export function rateRecord(
  lane: LaneHealth,
  known: LimiterRecord | undefined,
  workerId: string,
  nowMs: number,
): LimiterRecord {
  const windowMs = Math.max(lane.rate?.settings.perMs ?? 0, lane.quota?.settings.perMs ?? 0)
  const others = Object.entries(known?.workers ?? {}).filter(
    ([id, worker]) => id !== workerId && nowMs - worker.atMs < windowMs,
  )
  const own: WorkerStarts = { atMs: nowMs, rate: startsOf(lane.rate, nowMs), quota: startsOf(lane.quota, nowMs) }
  return { workers: { ...Object.fromEntries(others), [workerId]: own } }
}

function startsOf(rate: OwnRate | undefined, nowMs: number): RateState['starts'] {
  if (!rate) return []
  return rate.starts.starts.filter(([startMs]) => nowMs - startMs < rate.settings.perMs)
}

export function limiterToJson(record: LimiterRecord): Json {
  return record as unknown as Json
}

/** `undefined` for a record that is not a limiter's: another version's, or damaged. */
export function limiterFromJson(value: Json): LimiterRecord | undefined {
  if (!isJsonObject(value) || !isJsonObject(value.workers)) return undefined
  const whole = Object.values(value.workers).every(
    (worker) =>
      isJsonObject(worker) &&
      typeof worker.atMs === 'number' &&
      Array.isArray(worker.rate) &&
      Array.isArray(worker.quota),
  )
  return whole ? (value as unknown as LimiterRecord) : undefined
}
