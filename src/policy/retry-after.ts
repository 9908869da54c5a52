/**
 * When a server wants us back, in every form seen in the wild (R046-R048, D11, facts.md section 1). Everything here is a
 * floor for the caller: jitter is added on top, and nothing shortens it. What cannot be understood is ignored, never guessed.
 * `retry-after.vectors.json` beside this file is the published list of examples.
 */
import { isJsonObject, type Json } from '../core/json.ts'
import { epochOrDeltaMs, parseDateMs, parseResetMs, RESET_FAMILIES, rateLimitItems } from './retry-after-values.ts'

/** When a server wants us back. */
export interface RetryAfter {
  /** From receipt of the answer; 0 or more; never above 31 days (absurd values are cut there, and say so in `note`). */
  readonly delayMs: number
  /** The header or body field it came from. */
  readonly source: string
  readonly note?: string
}

type Headers = Readonly<Record<string, string>>

const LONGEST_MS = 31 * 86_400_000
const DECIMAL = /^\+?(?:\d+(?:\.\d*)?|\.\d+)$/
/** Vendor headers in milliseconds, finer than `Retry-After` and therefore read before it (Azure, OpenAI, AWS). */
const MILLISECOND_HEADERS = ['retry-after-ms', 'x-ms-retry-after-ms', 'x-amz-retry-after'] as const

/**
 * What the headers ask for: `retry-after-ms` and its kin, else `Retry-After` as whole or decimal seconds, a date in the three
 * forms of RFC 9110 section 5.6.7 or RFC 3339, an epoch, or "date, seconds". Dates count from the `Date` header where there
 * is one, which cancels clock skew, else from `receivedAtMs`. A date that has passed means 0. Names in lower case.
 */
export function parseRetryAfter(headers: Headers, receivedAtMs: number): RetryAfter | undefined {
  const serverNowMs = serverClockMs(headers, receivedAtMs)
  for (const name of MILLISECOND_HEADERS) {
    const text = headers[name]?.trim() ?? ''
    if (DECIMAL.test(text)) return bounded(Number(text), name)
  }
  const text = headers['retry-after']?.trim() ?? ''
  return parseSeconds(text, serverNowMs) ?? parseDate(text, serverNowMs) ?? parseSeveral(text, serverNowMs)
}

function parseSeconds(text: string, serverNowMs: number): RetryAfter | undefined {
  // Before any date: Date.parse('120') is the year 120.
  if (!DECIMAL.test(text)) return undefined
  const number = Number(text)
  if (number < 1e9) return bounded(secondsToMs(number), 'retry-after')
  if (!Number.isFinite(serverNowMs)) return undefined
  return bounded(epochOrDeltaMs(number, serverNowMs), 'retry-after', 'read as a point in time, not as seconds')
}

function parseDate(text: string, serverNowMs: number): RetryAfter | undefined {
  const dateMs = parseDateMs(text)
  if (dateMs === undefined || !Number.isFinite(serverNowMs)) return undefined
  return bounded(dateMs - serverNowMs, 'retry-after')
}

/** A header sent twice, or AWS' "date, seconds": the longest wait is the one that keeps every promise. */
function parseSeveral(text: string, serverNowMs: number): RetryAfter | undefined {
  const comma = text.lastIndexOf(',')
  if (comma < 0) return undefined
  const first = text.slice(0, comma).trim()
  const last = parseSeconds(text.slice(comma + 1).trim(), serverNowMs)
  const rest = parseSeconds(first, serverNowMs) ?? parseDate(first, serverNowMs)
  if (!last || !rest) return undefined
  return bounded(Math.max(last.delayMs, rest.delayMs), 'retry-after', 'several values: the longest counts')
}

/**
 * What the body asks for, where headers do not: `retry_after` (seconds, Discord), `retry_after_seconds` (Apollo),
 * `retry_after_ms`, Google's `RetryInfo.retryDelay` ("3.5s"), and "Retry after <date>" in Google's messages.
 */
export function parseBodyRetryAfter(body: Json | undefined, receivedAtMs: number): RetryAfter | undefined {
  if (!isJsonObject(body)) return undefined
  const error = ownMember(body, 'error')
  for (const [prefix, place] of [
    ['body:', body],
    ['body:error.', error],
    ['body:parameters.', ownMember(body, 'parameters')],
  ] as const) {
    const found = isJsonObject(place) ? parseBodyFields(place, prefix) : undefined
    if (found) return found
  }
  return isJsonObject(error) ? (parseRetryInfo(error) ?? parseRetryMessage(error, receivedAtMs)) : undefined
}

function parseBodyFields(place: Json, prefix: string): RetryAfter | undefined {
  for (const [name, unitMs] of [
    ['retry_after_ms', 1],
    ['retry_after_seconds', 1000],
    ['retry_after', 1000],
  ] as const) {
    const value = ownMember(place, name)
    const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
    if (DECIMAL.test(text)) return bounded(secondsToMs((Number(text) * unitMs) / 1000), prefix + name)
  }
  return undefined
}

function parseRetryInfo(error: Json): RetryAfter | undefined {
  const details = ownMember(error, 'details')
  if (!Array.isArray(details)) return undefined
  for (const detail of details.slice(0, 20)) {
    const delay = ownMember(detail, 'retryDelay')
    const match = typeof delay === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(delay) : null
    if (match) return bounded(secondsToMs(Number(match[1])), 'body:error.details.retryDelay')
  }
  return undefined
}

function parseRetryMessage(error: Json, receivedAtMs: number): RetryAfter | undefined {
  const message = ownMember(error, 'message')
  const match = typeof message === 'string' ? /retry after (\d{4}-\d\d-\d\dT[\d:.]{5,20}Z)/i.exec(message) : null
  const dateMs = match?.[1] === undefined ? undefined : parseDateMs(match[1])
  if (dateMs === undefined || !Number.isFinite(receivedAtMs)) return undefined
  return bounded(dateMs - receivedAtMs, 'body:error.message')
}

function ownMember(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

/**
 * When the rate-limit window renews (R049): `RateLimit` of every draft, `X-RateLimit-Reset` and its kin, as delta seconds,
 * epoch seconds, epoch milliseconds, a duration (`6m0s`) or a timestamp. Read only where the remaining quota is 0 (then the
 * window that renews last counts), or, with `throttled`, for an answer that itself says that the limit is reached (then the
 * one that renews first). `Retry-After` wins over it: ask {@link parseRetryAfter} first.
 */
export function parseRateLimitReset(headers: Headers, receivedAtMs: number, throttled = false): RetryAfter | undefined {
  const windows = [...standardWindows(headers), ...vendorWindows(headers, serverClockMs(headers, receivedAtMs))]
  const spent = windows.filter((window) => window.remaining === 0)
  if (spent.length > 0) return soonestOrLatest(spent, Math.max)
  return throttled && windows.length > 0 ? soonestOrLatest(windows, Math.min) : undefined
}

interface QuotaWindow {
  readonly remaining: number | undefined
  readonly resetMs: number
  readonly source: string
}

function soonestOrLatest(windows: readonly QuotaWindow[], choose: (...values: number[]) => number): RetryAfter {
  const resetMs = choose(...windows.map((window) => window.resetMs))
  const source = windows.find((window) => window.resetMs === resetMs)?.source ?? ''
  return bounded(resetMs, source) ?? { delayMs: 0, source }
}

function standardWindows(headers: Headers): QuotaWindow[] {
  return rateLimitItems(headers['ratelimit'] ?? '').map(({ remaining, resetSeconds }) => ({
    remaining,
    resetMs: secondsToMs(resetSeconds),
    source: 'ratelimit',
  }))
}

function vendorWindows(headers: Headers, serverNowMs: number): QuotaWindow[] {
  const windows: QuotaWindow[] = []
  for (const family of RESET_FAMILIES) {
    for (const source of family.resets) {
      const resetMs = parseResetMs(headers[source]?.trim() ?? '', serverNowMs)
      if (resetMs === undefined) continue
      windows.push({ remaining: lowestNumber(headers[family.remaining]), resetMs, source })
      break
    }
  }
  return windows
}

/** Outreach sends a pair, `9999, 19988`: the scarcer one decides. */
function lowestNumber(text: string | undefined): number | undefined {
  const numbers = (text ?? '').split(',').map((part) => part.trim())
  const valid = numbers.filter((part) => /^-?\d+(\.\d+)?$/.test(part)).map((part) => Math.max(0, Number(part)))
  return valid.length > 0 ? Math.min(...valid) : undefined
}

/** Rounded up to the millisecond: truncating would come back too early. Cut to micro-units first, since 1.1 * 1000 > 1100. */
function secondsToMs(seconds: number): number {
  const delayMs = seconds * 1000
  return delayMs < 1e12 ? Math.ceil(Number(delayMs.toFixed(3))) : delayMs
}

function bounded(delayMs: number, source: string, note?: string): RetryAfter | undefined {
  if (Number.isNaN(delayMs)) return undefined
  if (delayMs > LONGEST_MS) return { delayMs: LONGEST_MS, source, note: 'longer than 31 days: cut' }
  return { delayMs: Math.max(0, Math.ceil(delayMs)), source, ...(note !== undefined && { note }) }
}

function serverClockMs(headers: Headers, receivedAtMs: number): number {
  return parseDateMs(headers['date']?.trim() ?? '') ?? receivedAtMs
}
