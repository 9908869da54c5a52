/** Slowing down before the 429 (R049, R050): most APIs say on every answer how much is left. */
import { parseRateLimitReset } from '../policy/retry-after.ts'

const REMAINING_HEADERS = ['x-ratelimit-remaining', 'ratelimit-remaining', 'x-rate-limit-remaining', 'ratelimit']
const LIMIT_HEADERS = ['x-ratelimit-limit', 'ratelimit-limit', 'x-rate-limit-limit']
const WHOLE_NUMBER = /^\d+$/
/** R050: below this many calls left, and below this share where the limit is told, calls are spaced. */
const FEW_CALLS = 10
const FEW_SHARE = 0.1
const SPACING_MS = 500

export interface Backpressure {
  readonly delayMs: number
  readonly reason: string
}

/** How long the lane should hold still after a good answer; `undefined`: not at all. */
export function backpressureOf(
  headers: Readonly<Record<string, string>>,
  receivedAtMs: number,
): Backpressure | undefined {
  if (!tellsRemaining(headers)) return undefined
  const spent = parseRateLimitReset(headers, receivedAtMs)
  if (spent) return { delayMs: spent.delayMs, reason: `no calls left, says ${spent.source} (R049)` }
  const remaining = firstNumber(headers, REMAINING_HEADERS)
  const limit = firstNumber(headers, LIMIT_HEADERS) ?? Number.POSITIVE_INFINITY
  if (remaining === undefined || remaining >= Math.min(FEW_CALLS, limit * FEW_SHARE)) return undefined
  return { delayMs: SPACING_MS, reason: `only ${remaining} calls left in the window (R050)` }
}

/** On the path of every good answer. */
function tellsRemaining(headers: Readonly<Record<string, string>>): boolean {
  for (const name of REMAINING_HEADERS) if (headers[name] !== undefined) return true
  return false
}

function firstNumber(headers: Readonly<Record<string, string>>, names: readonly string[]): number | undefined {
  for (const name of names) {
    const text = headers[name]?.trim()
    if (text !== undefined && WHOLE_NUMBER.test(text)) return Number(text)
  }
  return undefined
}
