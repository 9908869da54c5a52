import { parseRate } from '../../config/quantities.ts'
import type { WrittenRate } from '../../config/schema-parts.ts'
import type { Clock } from '../../core/clock.ts'

/** How a 429 says when to come back (facts of real vendors). */
export type RetryAfterForm = 'seconds' | 'decimal_seconds' | 'http_date' | 'milliseconds' | 'none'
/** What `X-RateLimit-Reset` counts. */
export type ResetForm = 'epoch_seconds' | 'epoch_milliseconds' | 'delta_seconds'

export interface RateLimitOptions {
  /** `100/10s`: so many in any window of this length; it slides. */
  readonly rate: WrittenRate
  /** Counted for everybody together, or for each `Authorization`. Default `everyone`. */
  readonly per?: 'everyone' | 'credential'
  /** Default `seconds`. `milliseconds` is the header `retry-after-ms`. */
  readonly retryAfter?: RetryAfterForm
  /** Adds `X-RateLimit-Limit`, `-Remaining` and `-Reset` to every answer. Default true. */
  readonly headers?: boolean
  /** Default `epoch_seconds`. */
  readonly reset?: ResetForm
  /** Of a refusal. Default 429. */
  readonly status?: number
}

export interface RateVerdict {
  readonly allowed: boolean
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

export interface RateLimiter {
  /** Counts a request, unless it is refused: refusals use nothing up. */
  take(credential: string): RateVerdict
}

export function createRateLimiter(options: RateLimitOptions, clock: Clock): RateLimiter {
  const { limit, perMs } = parseRate(options.rate)
  const windows = new Map<string, number[]>()

  function windowOf(credential: string): number[] {
    const name = options.per === 'credential' ? credential : ''
    const window = windows.get(name) ?? []
    windows.set(name, window)
    return window
  }

  return {
    take(credential) {
      const nowMs = clock.monotonicMs()
      const window = windowOf(credential)
      const stillCounted = window.findIndex((atMs) => atMs > nowMs - perMs)
      window.splice(0, stillCounted === -1 ? window.length : stillCounted)
      const allowed = window.length < limit
      if (allowed) window.push(nowMs)
      const waitMs = (window[0] ?? nowMs) + perMs - nowMs
      return {
        allowed,
        status: options.status ?? 429,
        headers: {
          ...(options.headers !== false && {
            'x-ratelimit-limit': String(limit),
            'x-ratelimit-remaining': String(limit - window.length),
            'x-ratelimit-reset': resetValue(options.reset ?? 'epoch_seconds', waitMs, clock.wallMs()),
          }),
          ...(!allowed && retryAfterHeader(options.retryAfter ?? 'seconds', waitMs, clock.wallMs())),
        },
      }
    },
  }
}

/** Always rounded up: who waits as long as told is let in. */
function retryAfterHeader(form: RetryAfterForm, waitMs: number, wallMs: number): Record<string, string> {
  switch (form) {
    case 'seconds':
      return { 'retry-after': String(Math.ceil(waitMs / 1000)) }
    case 'decimal_seconds':
      return { 'retry-after': (Math.ceil(waitMs) / 1000).toFixed(3) }
    case 'http_date':
      return { 'retry-after': new Date(Math.ceil((wallMs + waitMs) / 1000) * 1000).toUTCString() }
    case 'milliseconds':
      return { 'retry-after-ms': String(Math.ceil(waitMs)) }
    case 'none':
      return {}
  }
}

function resetValue(form: ResetForm, waitMs: number, wallMs: number): string {
  if (form === 'delta_seconds') return String(Math.ceil(waitMs / 1000))
  if (form === 'epoch_seconds') return String(Math.ceil((wallMs + waitMs) / 1000))
  return String(Math.ceil(wallMs + waitMs))
}
