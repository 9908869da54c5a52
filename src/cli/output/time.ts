import { formatDuration } from '../../core/duration.ts'

/** Local time with the time of UTC beside it: `2026-11-22 14:03:05 (13:03:05Z)`. */
export function formatTime(atMs: number, timeZone?: string): string {
  const local = wallTime(atMs, timeZone)
  const utc = wallTime(atMs, 'UTC')
  if (local === utc) return `${utc}Z`
  const [localDay] = local.split(' ')
  const [utcDay, utcTime] = utc.split(' ')
  return `${local} (${localDay === utcDay ? '' : `${utcDay} `}${utcTime}Z)`
}

function wallTime(atMs: number, timeZone: string | undefined): string {
  // The Swedish form is the ISO one: 2026-11-22 14:03:05.
  return new Intl.DateTimeFormat('sv-SE', {
    dateStyle: 'short',
    timeStyle: 'medium',
    ...(timeZone !== undefined && { timeZone }),
  }).format(atMs)
}

/** `4m 10s ago`, `in 30s`, `now`. */
export function formatRelative(atMs: number, nowMs: number): string {
  const distanceMs = atMs - nowMs
  if (Math.abs(distanceMs) < 1000) return 'now'
  return distanceMs > 0 ? `in ${formatDuration(distanceMs)}` : `${formatDuration(-distanceMs)} ago`
}

/** `12,345` */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}
