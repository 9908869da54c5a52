/** What an answer says about a limit, in the vendor's own words: the inverse of `readRateLimits` in `policy/`. */
import type { HeadersReading, RateLimitReading, ResetUnit } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import { writeAt } from './write-at.ts'

/** A limit as it stands after a call. */
export interface LimitState {
  readonly limit: number
  readonly remaining: number
  readonly windowMs?: number
  /** Wall clock of the twin. */
  readonly resetAtMs?: number
  readonly restorePerSecond?: number
  /** Points that this call took. */
  readonly cost?: number
  /** GitHub's `core`, `search`, `graphql`. */
  readonly bucket?: string
}

/** Names in lower case. Empty for readings of bodies and policies. */
export function limitHeaders(reading: RateLimitReading, state: LimitState, nowMs: number): Record<string, string> {
  if (reading.kind === 'headers') return numberHeaders(reading, state, nowMs)
  if (reading.kind !== 'fraction') return {}
  const fraction = `${state.limit - state.remaining}/${state.limit}`
  return { [reading.header.toLowerCase()]: reading.key === undefined ? fraction : `${reading.key}=${fraction}` }
}

function numberHeaders(reading: HeadersReading, state: LimitState, nowMs: number): Record<string, string> {
  const written: [string | undefined, number | string | undefined][] = [
    [reading.limit, state.limit],
    [reading.remaining, state.remaining],
    [reading.used, state.limit - state.remaining],
    [reading.nameHeader, state.bucket],
    [reading.cost, state.cost],
  ]
  const { window, reset } = reading
  if (window && 'header' in window && state.windowMs !== undefined) {
    written.push([window.header, window.unit === 'seconds' ? state.windowMs / 1000 : state.windowMs])
  }
  if (reset && state.resetAtMs !== undefined)
    written.push([reset.header, resetText(reset.unit, state.resetAtMs, nowMs)])
  return Object.fromEntries(
    written.flatMap(([name, value]) =>
      name === undefined || value === undefined ? [] : [[name.toLowerCase(), String(value)]],
    ),
  )
}

/** Never too early: whoever comes back then is let in. */
export function resetText(unit: ResetUnit, atMs: number, nowMs: number): string {
  const deltaMs = Math.max(0, Math.ceil(atMs - nowMs))
  switch (unit) {
    case 'epoch_seconds':
      return String(Math.ceil(atMs / 1000))
    case 'epoch_milliseconds':
      return String(Math.ceil(atMs))
    case 'delta_milliseconds':
      return String(deltaMs)
    case 'duration':
      return deltaMs < 1000 ? `${deltaMs}ms` : `${Math.floor(deltaMs / 60_000)}m${(deltaMs % 60_000) / 1000}s`
    case 'rfc3339':
      return new Date(Math.ceil(atMs / 1000) * 1000).toISOString().replace('.000Z', 'Z')
    case 'http_date':
      return new Date(Math.ceil(atMs / 1000) * 1000).toUTCString()
    case 'delta_seconds':
    case 'guess':
      return String(Math.ceil(deltaMs / 1000))
  }
}

/** Only JSON bodies tell of limits, and only where a reading looks into bodies. */
export function limitInBody(reading: RateLimitReading, state: LimitState, body: Json): Json {
  if (reading.kind !== 'body') return body
  const { path, limit, remaining, restorePerSecond, cost } = reading
  const numbers: [string | undefined, number | undefined][] = [
    [limit && `${path}.${limit}`, state.limit],
    [`${path}.${remaining}`, state.remaining],
    [restorePerSecond && `${path}.${restorePerSecond}`, state.restorePerSecond],
    [cost, state.cost],
  ]
  return numbers.reduce<Json>(
    (written, [place, value]) =>
      place === undefined || value === undefined ? written : writeAt(written, place, value),
    body,
  )
}
