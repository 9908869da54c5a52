/** The record by which processes share the limits of one lane. */
import { isJsonObject, type Json } from '../../core/json.ts'
import type { SharedLimit } from '../../policy/limiter/limiter-slots.ts'

export interface LimiterRecord {
  readonly atMs: number
  /** `rate`, `quota`, and the shares of the quota. */
  readonly limits: Readonly<Record<string, SharedLimit>>
}

/** The shares stand beside `rate` and `quota`, where they always were. */
export function limiterToJson({ atMs, limits }: LimiterRecord): Json {
  return { ...limits, atMs } as unknown as Json
}

/** `undefined` for a record that is not a limiter's: another version's, or damaged. */
export function limiterFromJson(value: Json): LimiterRecord | undefined {
  if (!isJsonObject(value)) return undefined
  const { atMs, ...limits } = value
  const whole = Object.values(limits).every(
    (shared) => isJsonObject(shared) && isJsonObject(shared.free) && isJsonObject(shared.holders),
  )
  return Number.isSafeInteger(atMs) && whole ? ({ atMs, limits } as unknown as LimiterRecord) : undefined
}
