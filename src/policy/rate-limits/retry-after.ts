/**
 * When a server wants us back, in every form seen in the wild (R046-R048, D11, facts.md section 1). Everything here is a
 * floor for the caller: jitter is added on top, and nothing shortens it. What cannot be understood is ignored, never guessed.
 * `retry-after.vectors.json` beside this file is the published list of examples.
 */
import { isJsonObject, type Json } from '../../core/json.ts'
import { epochOrDeltaMs, parseDateMs, parseResetMs } from './retry-after-values.ts'

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

/** Where vendors put it: at the top, below `error`, in the first of `errors`, Telegram's `parameters`, Graph's inner errors. */
const BODY_PLACES = ['', 'error.', 'errors.0.', 'parameters.', 'data.', 'error.innererror.', 'error.data.'] as const
const BODY_FIELDS = [
  ['retry_after_ms', 1],
  ['retryAfterMs', 1],
  ['retry_after_seconds', 1000],
  ['retryAfterSeconds', 1000],
  ['retry_after', 1000],
  ['retryAfter', 1000],
] as const

/**
 * What the body asks for, where headers do not: `retry_after` (seconds, Discord), `retry_after_seconds` (Apollo), their kin in
 * milliseconds and in camel case, Google's `RetryInfo.retryDelay` ("3.5s"), and "Retry after <date>" or "in 20s" in messages.
 */
export function parseBodyRetryAfter(body: Json | undefined, receivedAtMs: number): RetryAfter | undefined {
  const root = Array.isArray(body) ? body[0] : body
  if (!isJsonObject(root)) return undefined
  for (const place of BODY_PLACES) {
    const found = parseBodyFields(memberAt(root, place), `body:${place}`, receivedAtMs)
    if (found) return found
  }
  for (const place of ['error', 'errors.0', '']) {
    const holder = memberAt(root, place)
    const found = parseRetryInfo(holder, place) ?? parseRetryMessage(holder, place, receivedAtMs)
    if (found) return found
  }
  return undefined
}

function parseBodyFields(place: Json | undefined, prefix: string, receivedAtMs: number): RetryAfter | undefined {
  if (!isJsonObject(place)) return undefined
  for (const [name, unitMs] of BODY_FIELDS) {
    const value = ownMember(place, name)
    const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : ''
    if (DECIMAL.test(text)) return bounded(secondsToMs((Number(text) * unitMs) / 1000), prefix + name)
    const dateMs = parseDateMs(text)
    if (dateMs !== undefined && Number.isFinite(receivedAtMs)) return bounded(dateMs - receivedAtMs, prefix + name)
  }
  return undefined
}

/** A protobuf duration: `3.5s`, in the list of details (Google). */
function parseRetryInfo(holder: Json | undefined, place: string): RetryAfter | undefined {
  const details = ownMember(holder, 'details')
  if (!Array.isArray(details)) return undefined
  for (const detail of details.slice(0, 20)) {
    const delay = ownMember(detail, 'retryDelay')
    const match = typeof delay === 'string' ? /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(delay) : null
    if (match)
      return bounded(secondsToMs(Number(match[1])), `body:${place === '' ? '' : `${place}.`}details.retryDelay`)
  }
  return undefined
}

const RETRY_AT = /retry after (\d{4}-\d\d-\d\dT[\d:.]{5,20}Z)/i
/** OpenAI: "Please try again in 6m0s", "in 20s", "in 120ms". */
const TRY_AGAIN_IN = /(?:try again|retry) (?:in|after) ((?:\d{1,6}(?:\.\d{1,6})?(?:ms|[dhms])){1,5})(?![\w])/i

function parseRetryMessage(holder: Json | undefined, place: string, receivedAtMs: number): RetryAfter | undefined {
  const message = ownMember(holder, 'message')
  if (typeof message !== 'string' || !Number.isFinite(receivedAtMs)) return undefined
  const text = message.slice(0, 2000)
  const source = `body:${place === '' ? '' : `${place}.`}message`
  const dateMs = parseDateMs(RETRY_AT.exec(text)?.[1] ?? '')
  if (dateMs !== undefined) return bounded(dateMs - receivedAtMs, source)
  const delayMs = parseResetMs(TRY_AGAIN_IN.exec(text)?.[1] ?? '', receivedAtMs)
  return delayMs === undefined ? undefined : bounded(delayMs, source)
}

function memberAt(root: Json, path: string): Json | undefined {
  let found: Json | undefined = root
  for (const part of path.split('.')) {
    if (part === '') continue
    found = Array.isArray(found) && part === '0' ? found[0] : ownMember(found, part)
  }
  return found
}

function ownMember(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
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
