/** When the next minute, hour, day or month begins on a clock somewhere. */
import type { Boundary } from '../../config/profile-rule.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** @param timeZone IANA name; only days depend on it. Default UTC. */
export function nextBoundaryMs(boundary: Boundary, nowMs: number, timeZone = 'UTC'): number {
  if (boundary === 'next_minute') return (Math.floor(nowMs / MINUTE_MS) + 1) * MINUTE_MS
  if (boundary === 'next_hour') return (Math.floor(nowMs / HOUR_MS) + 1) * HOUR_MS
  if (boundary === 'next_month') return nextMonthMs(new Date(nowMs))
  if (timeZone === 'UTC') return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS
  const guessMs = nowMs + DAY_MS - sinceMidnightMs(nowMs, timeZone)
  // A day on which the clocks change has 23 or 25 hours.
  const overMs = sinceMidnightMs(guessMs, timeZone)
  return overMs > DAY_MS / 2 ? guessMs + DAY_MS - overMs : guessMs - overMs
}

function nextMonthMs(now: Date): number {
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
}

function sinceMidnightMs(atMs: number, timeZone: string): number {
  const parts = formatOf(timeZone).formatToParts(atMs)
  const [hours = 0, minutes = 0, seconds = 0] = ['hour', 'minute', 'second'].map((wanted) =>
    Number(parts.find(({ type }) => type === wanted)?.value),
  )
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + (((atMs % 1000) + 1000) % 1000)
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** Making one takes longer than everything else here. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  formats.set(timeZone, format)
  return format
}
