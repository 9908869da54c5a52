/**
 * How long an answer asks to wait, read from its headers by RFC 9110 (section 10.2.3) and the vendors' documentation, and by nothing
 * that the engine reads it with.
 */

type Headers = Readonly<Record<string, string>>

const SECONDS = /^\d+(\.\d+)?$/

/**
 * In milliseconds from the receipt, at `receivedAtMs` by the clock of whoever got it. Undefined: it asks for nothing. Reset headers
 * count only for a refusal without anything better.
 */
export function waitAskedMs(headers: Headers, status: number, receivedAtMs: number): number | undefined {
  if (status < 400) return undefined
  const nowMs = Date.parse(headers.date ?? '') || receivedAtMs
  const inMilliseconds = headers['retry-after-ms']
  if (inMilliseconds !== undefined && SECONDS.test(inMilliseconds)) return Number(inMilliseconds)
  const retryAfter = headers['retry-after']
  if (retryAfter !== undefined)
    return SECONDS.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - nowMs
  const reset = headers['x-ratelimit-reset']
  return status === 429 && reset !== undefined && SECONDS.test(reset) ? untilReset(Number(reset), nowMs) : undefined
}

/** Epoch seconds, epoch milliseconds, or seconds from now: told apart by their size. */
function untilReset(value: number, nowMs: number): number {
  if (value > 1e12) return value - nowMs
  return value > 1e9 ? value * 1000 - nowMs : value * 1000
}
