import type { BackoffSettings } from '../config/settings.ts'
import type { Random } from '../core/random.ts'

/** Wait before retry number `retry` (1 is the first retry), D10. */
export declare function backoffDelayMs(
  settings: BackoffSettings,
  retry: number,
  random: Random,
  previousDelayMs?: number,
): number

export interface ScheduleRow {
  readonly retry: number
  readonly minimumMs: number
  readonly expectedMs: number
  readonly maximumMs: number
  readonly expectedTotalMs: number
  readonly maximumTotalMs: number
}

/** The printable schedule: what `explain` and `plan` show (D10). */
export declare function backoffSchedule(settings: BackoffSettings, retries: number): ScheduleRow[]

/** A server's Retry-After as a floor, plus 0-10 % and at most 5 s, never shortened by a cap (D11). */
export declare function withRetryAfter(delayMs: number, retryAfterMs: number | undefined, random: Random): number
