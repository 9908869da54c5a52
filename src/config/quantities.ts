/** Rates and sizes as people write them; durations are in `core/duration.ts`. */
import { durationMs } from '../core/duration.ts'
import { configurationError } from '../core/errors.ts'
import type { RateSettings } from './settings.ts'

/** A number with a unit; unlike in code, a bare number is refused: nobody can tell which unit `30` means. */
export const DURATION_PATTERN = /^\d{1,15}(?:\.\d{1,6})? ?(?:ms|s|m|h|d)$/
/** `100/10s`, `5/second`, `250000/day`. */
export const RATE_PATTERN =
  /^\d{1,12} ?\/ ?(?:\d{1,9}(?:\.\d{1,3})? ?(?:ms|s|m|h|d)|ms|s|m|h|d|second|minute|hour|day)$/
/** `512KB`, `1MB`, `1.5GiB`, `100B`. */
export const SIZE_PATTERN = /^\d{1,12}(?:\.\d{1,3})? ?(?:B|KB|MB|GB|KiB|MiB|GiB)$/

const LONG_UNITS: Readonly<Record<string, string>> = { second: '1s', minute: '1m', hour: '1h', day: '1d' }

const SIZE_UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/**
 * `"100/10s"` -> `{ limit: 100, perMs: 10000 }`.
 * @throws HoldfastError `invalid_rate` for anything else, and for a limit or a span of zero.
 */
export function parseRate(text: string): RateSettings {
  const [limitText = '', spanText = ''] = text.split('/').map((part) => part.trim())
  if (RATE_PATTERN.test(text)) {
    const span = LONG_UNITS[spanText] ?? (/^\d/.test(spanText) ? spanText : `1${spanText}`)
    const rate = { limit: Number(limitText), perMs: durationMs(span) }
    if (rate.limit > 0 && rate.perMs > 0) return rate
  }
  throw configurationError(
    'invalid_rate',
    `${JSON.stringify(text)} is not a rate`,
    'Write a number per span of time, for example "100/10s", "5/second" or "250000/day".',
  )
}

/**
 * Whole bytes of a size: KB, MB, GB count in thousands, KiB, MiB, GiB in 1,024s.
 * @throws HoldfastError `invalid_size` for anything else, and for less than one byte.
 */
export function parseSize(text: string): number {
  const unit = /[A-Za-z]+$/.exec(text)?.[0] ?? ''
  if (SIZE_PATTERN.test(text)) {
    const bytes = Math.round(Number.parseFloat(text) * (SIZE_UNIT_BYTES[unit] as number))
    if (bytes >= 1) return bytes
  }
  throw configurationError(
    'invalid_size',
    `${JSON.stringify(text)} is not a size`,
    'Write a number with a unit, for example "512KB", "1MB" or "4MiB".',
  )
}
