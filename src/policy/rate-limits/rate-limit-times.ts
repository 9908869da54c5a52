/** When a limit's window ends: resets in every unit, windows on the clock, and the skew between the vendor's clock and ours. */
import type { RateLimitWindow, ResetUnit } from '../../config/rate-limits.ts'
import { durationMs } from '../../core/duration.ts'
import { nextBoundaryMs } from './next-boundary.ts'
import { parseDateMs, parseResetMs } from './retry-after-values.ts'

type Headers = Readonly<Record<string, string>>

/** When an answer was received, and what it says of its own time. */
export interface Moment {
  /** Names in lower case. */
  readonly headers: Headers
  readonly nowMs: number
  readonly leastSkewMs: number
}

const NUMBER = /^\d{1,15}(?:\.\d{1,9})?$/
const DAY_MS = 86_400_000
/**
 * `Date` has whole seconds and is as old as the answer's way here: less than this is taken for no skew, where some milliseconds too early
 * do no harm. Whoever is refused counts every bit of it, and comes back rather late.
 */
export const LEAST_SKEW_MS = 2000
/** A `Date` further off is of a cache or invented: not a clock. */
const MOST_SKEW_MS = DAY_MS

const CALENDAR = {
  second: [1000, undefined],
  minute: [60_000, 'next_minute'],
  hour: [3_600_000, 'next_hour'],
  day: [DAY_MS, 'midnight'],
} as const

/** On our clock, whatever the vendor's shows; `undefined` for what is not written in that unit. */
export function resetAtMs(text: string, unit: ResetUnit, { headers, nowMs, leastSkewMs }: Moment): number | undefined {
  const skewMs = () => skewOf(headers, nowMs, leastSkewMs)
  switch (unit) {
    case 'delta_seconds':
      return NUMBER.test(text) ? nowMs + Number(text) * 1000 : undefined
    case 'delta_milliseconds':
      return NUMBER.test(text) ? nowMs + Number(text) : undefined
    case 'epoch_seconds':
      return NUMBER.test(text) ? Number(text) * 1000 - skewMs() : undefined
    case 'epoch_milliseconds':
      return NUMBER.test(text) ? Number(text) - skewMs() : undefined
    case 'duration': {
      const deltaMs = NUMBER.test(text) ? undefined : parseResetMs(text, nowMs)
      return deltaMs === undefined || parseDateMs(text) !== undefined ? undefined : nowMs + deltaMs
    }
    case 'rfc3339':
    case 'http_date': {
      const dateMs = parseDateMs(text)
      return dateMs === undefined ? undefined : dateMs - skewMs()
    }
    case 'guess': {
      const serverNowMs = nowMs + skewMs()
      const deltaMs = parseResetMs(text, serverNowMs)
      return deltaMs === undefined ? undefined : nowMs + deltaMs
    }
  }
}

/** By how much the vendor's clock is ahead of ours, as its `Date` header tells; 0 where that cannot be. */
function skewOf(headers: Headers, nowMs: number, leastSkewMs: number): number {
  const dateMs = parseDateMs(headers['date']?.trim() ?? '')
  const skew = dateMs === undefined ? 0 : dateMs - nowMs
  return Math.abs(skew) < leastSkewMs || Math.abs(skew) > MOST_SKEW_MS ? 0 : skew
}

/** How long the window is and, where it goes by the clock, when it ends. */
export function windowEnd(
  window: RateLimitWindow,
  { headers, nowMs, leastSkewMs }: Moment,
): { readonly windowMs?: number; readonly resetAtMs?: number } {
  if ('rolling' in window) return { windowMs: durationMs(window.rolling) }
  if ('header' in window) {
    const text = headers[window.header.toLowerCase()]?.trim() ?? ''
    const windowMs = NUMBER.test(text) ? Number(text) * (window.unit === 'seconds' ? 1000 : 1) : 0
    return windowMs > 0 && windowMs <= 31 * DAY_MS ? { windowMs } : {}
  }
  const [windowMs, boundary] = CALENDAR[window.calendar]
  const serverNowMs = nowMs + skewOf(headers, nowMs, leastSkewMs)
  const endMs =
    boundary === undefined
      ? (Math.floor(serverNowMs / windowMs) + 1) * windowMs
      : nextBoundaryMs(boundary, serverNowMs, window.timeZone)
  return { windowMs, resetAtMs: nowMs + endMs - serverNowMs }
}
