import { HoldfastError } from './errors.ts'

/** A span of time as people write it: a number with a unit (`"500ms"`, `"30s"`, `"15m"`, `"24h"`, `"3d"`), or milliseconds. */
export type Duration = number | `${number}${DurationUnit}`
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd'

const UNIT_MS: Record<DurationUnit, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const PATTERN = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/

/**
 * Milliseconds of a duration.
 * @throws HoldfastError `invalid_duration` for anything else: negative, not finite, no unit, unknown unit.
 */
export function durationMs(duration: Duration | string): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration
    throw invalidDuration(duration)
  }
  const match = PATTERN.exec(duration.trim())
  if (!match) throw invalidDuration(duration)
  return Number(match[1]) * UNIT_MS[match[2] as DurationUnit]
}

/** The shortest wording a person reads at a glance: `"850ms"`, `"2.5s"`, `"4m 10s"`, `"3h 5m"`, `"2d 4h"`. */
export function formatDuration(delayMs: number): string {
  if (!Number.isFinite(delayMs)) return 'forever'
  const absoluteMs = Math.abs(delayMs)
  const sign = delayMs < 0 ? '-' : ''
  if (absoluteMs < 1000) return `${sign}${Math.round(absoluteMs)}ms`
  if (absoluteMs < 60_000) return `${sign}${Math.floor(absoluteMs / 100) / 10}s`
  const totalSeconds = Math.round(absoluteMs / 1000)
  if (totalSeconds < 3600) return sign + joinUnits(totalSeconds, 60, 'm', 1, 's')
  if (totalSeconds < 86_400) return sign + joinUnits(totalSeconds, 3600, 'h', 60, 'm')
  return sign + joinUnits(totalSeconds, 86_400, 'd', 3600, 'h')
}

function joinUnits(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const whole = Math.floor(seconds / large)
  const rest = Math.floor((seconds % large) / small)
  return rest === 0 ? `${whole}${largeUnit}` : `${whole}${largeUnit} ${rest}${smallUnit}`
}

function invalidDuration(value: unknown): HoldfastError {
  return new HoldfastError({
    code: 'invalid_duration',
    class: 'configuration',
    message: `${JSON.stringify(value)} is not a duration`,
    hint: 'Write a number with a unit, for example "500ms", "30s", "15m", "24h" or "3d".',
  })
}
