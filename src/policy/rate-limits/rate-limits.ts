/**
 * What an answer says about limits (R049): the vendor's own way, as its profile tells it, and the ways that many share, which are
 * tried for every API. What cannot be understood, or is absurd, is left out: never guessed.
 */
import type { HeadersReading, PolicyReading, RateLimitReading, RateLimitWindow } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import { readStandardLimits } from './rate-limit-fields.ts'
import { type CompiledReading, type CompiledReadings, compileReadings, jsonAt } from './rate-limit-readings.ts'
import { LEAST_SKEW_MS, type Moment, resetAtMs, windowEnd } from './rate-limit-times.ts'
import type { RetryAfter } from './retry-after.ts'

/** One limit as an answer tells it. Plain data. */
export interface RateLimitState {
  readonly name: string
  /** Points: a call may take many of them (tokens, cost). */
  readonly unit: 'calls' | 'points'
  /** Whom it holds: the whole lane, or the endpoints that were answered with it. */
  readonly scope: 'lane' | 'endpoint'
  readonly remaining: number
  readonly limit?: number
  /** On our clock. Without it, nobody told when the window ends. */
  readonly resetAtMs?: number
  readonly windowMs?: number
  /** A leaky bucket: this many come back each second. */
  readonly restorePerSecond?: number
  /** Points that this call took or asks for. */
  readonly cost?: number
  /** Header or body field, for people. */
  readonly source: string
}

export interface LimitedAnswer {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed; only looked at where a reading asks for it. */
  readonly body?: Json | undefined
}

type Told = Omit<RateLimitState, 'remaining'> & { readonly remaining: number | undefined }

const LARGEST_NUMBER = 1e12
const LONGEST_RESET_MS = 31 * 86_400_000
/** Nobody's window ends much later than one window from now. */
const WINDOW_TOLERANCE = 1.1
const WINDOW_TOLERANCE_MS = 60_000

/** Every limit that the answer tells of. `nowMs` is when it was received. Never throws, whatever was sent. */
export function readRateLimits(
  answer: LimitedAnswer,
  readings: readonly RateLimitReading[],
  nowMs: number,
): RateLimitState[] {
  return readAll(answer, compileReadings(readings), nowMs, false) as RateLimitState[]
}

/** Must the body be parsed to know the limits? */
export function readsBody(readings: readonly RateLimitReading[]): boolean {
  return compileReadings(readings).needsBody
}

/**
 * When to come back, by the limits (R049): the limits that are spent say it, and the one that renews last counts. With `throttled`, for
 * an answer that itself says that a limit is reached: what the vendor says of the limit it names, else the spent ones, else the one
 * that renews first. `Retry-After` wins over all of this: ask for it first.
 */
export function rateLimitWait(
  answer: LimitedAnswer,
  readings: readonly RateLimitReading[],
  nowMs: number,
  throttled = false,
): RetryAfter | undefined {
  const compiled = compileReadings(readings)
  const named = throttled ? waitOfPolicies(answer, compiled, nowMs) : undefined
  if (named) return named
  const told = readAll(answer, compiled, nowMs, throttled)
  const spent = waitsOf(told.filter(isSpent), nowMs)
  if (spent.length > 0) return spent.reduce((one, other) => (other.delayMs > one.delayMs ? other : one))
  const all = throttled ? waitsOf(told, nowMs) : []
  return all.length > 0 ? all.reduce((one, other) => (other.delayMs < one.delayMs ? other : one)) : undefined
}

function isSpent({ remaining, cost = 0 }: Told): boolean {
  return remaining !== undefined && (remaining === 0 || remaining < cost)
}

function waitsOf(told: readonly Told[], nowMs: number): RetryAfter[] {
  return told.flatMap((state) => {
    const inMs = renewsInMs(state, nowMs)
    if (inMs === undefined) return []
    return [{ delayMs: Math.ceil(Math.min(LONGEST_RESET_MS, Math.max(0, inMs))), source: state.source }]
  })
}

/** When a call that is refused now would be let in, as far as it is told. */
export function renewsInMs(state: Told | RateLimitState, nowMs: number): number | undefined {
  if (state.restorePerSecond !== undefined) {
    const missing = Math.max(0, (state.cost ?? 1) - (state.remaining ?? 0))
    return (missing / state.restorePerSecond) * 1000
  }
  return state.resetAtMs === undefined ? state.windowMs : state.resetAtMs - nowMs
}

function waitOfPolicies(answer: LimitedAnswer, { policies }: CompiledReadings, nowMs: number): RetryAfter | undefined {
  for (const reading of policies) {
    const window = windowOfPolicy(answer, reading)
    if (!window) continue
    const end = windowEnd(window, { headers: answer.headers, nowMs, leastSkewMs: 0 })
    const delayMs = end.resetAtMs === undefined ? end.windowMs : end.resetAtMs - nowMs
    if (delayMs === undefined) continue
    const source = reading.path === undefined ? (reading.header as string).toLowerCase() : `body:${reading.path}`
    return { delayMs: Math.max(0, Math.ceil(delayMs)), source }
  }
  return undefined
}

function windowOfPolicy({ headers, body }: LimitedAnswer, reading: PolicyReading): RateLimitWindow | undefined {
  const value = reading.path === undefined ? headers[reading.header?.toLowerCase() ?? ''] : jsonAt(body, reading.path)
  if (typeof value !== 'string') return undefined
  const name = value.trim().toLowerCase()
  return Object.entries(reading.windows).find(([policy]) => policy.toLowerCase() === name)?.[1]
}

// --- Reading ---

/** @param alsoResets what tells only when it renews, and not what is left */
function readAll(answer: LimitedAnswer, compiled: CompiledReadings, nowMs: number, alsoResets: boolean): Told[] {
  const { headers } = answer
  const moment: Moment = { headers, nowMs, leastSkewMs: alsoResets ? 0 : LEAST_SKEW_MS }
  const told: Told[] = []
  for (const reading of compiled.own) {
    const state = readOne(answer, reading, moment)
    if (state && (alsoResets || state.remaining !== undefined)) told.push(state)
  }
  // On the path of every answer: mostly, none of these is there.
  for (const reading of compiled.common) {
    if (!alsoResets && headers[reading.remaining as string] === undefined) continue
    const state = readHeaders(reading, moment)
    if (state && (alsoResets || state.remaining !== undefined)) told.push(state)
  }
  if (compiled.readsStandard) told.push(...readStandard(moment))
  return told
}

function readOne(answer: LimitedAnswer, reading: CompiledReading, moment: Moment): Told | undefined {
  switch (reading.kind) {
    case 'headers':
      return readHeaders(reading, moment)
    case 'fraction': {
      const text = answer.headers[reading.header]
      const [used, limit] = text === undefined ? [] : fractionIn(text, reading.key)
      if (used === undefined || !limit) return undefined
      const { name, unit = 'calls', scope = 'lane', restorePerSecond, header } = reading
      const window = reading.window ? windowEnd(reading.window, moment) : {}
      const restore = restorePerSecond === undefined ? {} : { restorePerSecond }
      return { name, unit, scope, limit, remaining: Math.max(0, limit - used), ...restore, ...window, source: header }
    }
    case 'body':
      return readBody(answer, reading, moment)
  }
}

function readHeaders(reading: Extract<CompiledReading, { kind: 'headers' }>, moment: Moment): Told | undefined {
  const { headers } = moment
  const limit = (reading.limit && lowest(headers[reading.limit])) || reading.fixedLimit
  const used = reading.used === undefined ? undefined : lowest(headers[reading.used])
  const left = used === undefined || limit === undefined ? undefined : Math.max(0, limit - used)
  const remaining = (reading.remaining === undefined ? undefined : lowest(headers[reading.remaining])) ?? left
  const window = reading.window ? windowEnd(reading.window, moment) : {}
  const reset = resetOf(reading.resets, window.windowMs, moment)
  // The reset of an answer that is refused says something by itself; a limit alone never does.
  if (remaining === undefined && reset === undefined) return undefined
  const bucket = reading.nameHeader === undefined ? undefined : headers[reading.nameHeader]?.trim().slice(0, 64)
  const cost = reading.cost === undefined ? undefined : lowest(headers[reading.cost])
  return {
    name: bucket ? `${reading.name}:${bucket}` : reading.name,
    unit: reading.unit ?? 'calls',
    scope: reading.scope ?? 'lane',
    remaining,
    ...(limit !== undefined && { limit }),
    ...window,
    ...(reset && { resetAtMs: reset.atMs }),
    ...(cost !== undefined && { cost }),
    source: reset?.header ?? reading.remaining ?? reading.used ?? reading.name,
  }
}

function resetOf(
  resets: readonly NonNullable<HeadersReading['reset']>[],
  windowMs: number | undefined,
  moment: Moment,
): { readonly atMs: number; readonly header: string } | undefined {
  for (const { header, unit } of resets) {
    const text = moment.headers[header]?.trim()
    const atMs = text ? believable(resetAtMs(text, unit, moment), windowMs, moment.nowMs) : undefined
    if (atMs !== undefined) return { atMs, header }
  }
  return undefined
}

function believable(atMs: number | undefined, windowMs: number | undefined, nowMs: number): number | undefined {
  if (atMs === undefined || !(Math.abs(atMs - nowMs) <= LONGEST_RESET_MS)) return undefined
  const isTooFar = windowMs !== undefined && atMs - nowMs > windowMs * WINDOW_TOLERANCE + WINDOW_TOLERANCE_MS
  return isTooFar ? undefined : Math.max(nowMs, atMs)
}

function readBody(
  answer: LimitedAnswer,
  reading: Extract<CompiledReading, { kind: 'body' }>,
  moment: Moment,
): Told | undefined {
  const place = jsonAt(answer.body, reading.path)
  const number = (field: string | undefined) => (field === undefined ? undefined : numberOf(jsonAt(place, field)))
  const remaining = number(reading.remaining)
  if (remaining === undefined) return undefined
  const limit = number(reading.limit)
  const restorePerSecond = number(reading.restorePerSecond)
  const cost = reading.cost === undefined ? undefined : numberOf(jsonAt(answer.body, reading.cost))
  const { name, unit = 'calls', scope = 'lane' } = reading
  return {
    name,
    unit,
    scope,
    remaining,
    ...(limit && { limit }),
    ...(restorePerSecond && { restorePerSecond }),
    ...(cost !== undefined && { cost }),
    ...(reading.window ? windowEnd(reading.window, moment) : {}),
    source: `body:${reading.path}`,
  }
}

function readStandard(moment: Moment): Told[] {
  const { headers, nowMs } = moment
  const told: Told[] = []
  for (const { name, remaining, resetSeconds, limit, windowSeconds, quotaUnit } of readStandardLimits(headers)) {
    // How many may be under way at once is no matter of time.
    if (quotaUnit === 'concurrent-requests') continue
    const windowMs = windowSeconds ? windowSeconds * 1000 : undefined
    // Epoch seconds, where someone put them, are told by their size.
    const unit = (resetSeconds ?? 0) > 1e9 ? 'epoch_seconds' : 'delta_seconds'
    const at = resetSeconds === undefined ? undefined : resetAtMs(String(resetSeconds), unit, moment)
    const atMs = believable(at, windowMs, nowMs)
    told.push({
      name: name === '' ? 'requests' : name.slice(0, 64),
      unit: quotaUnit === undefined || quotaUnit === 'requests' ? 'calls' : 'points',
      scope: 'lane',
      remaining,
      ...(limit && { limit }),
      ...(windowMs !== undefined && windowMs <= LONGEST_RESET_MS && { windowMs }),
      ...(atMs !== undefined && { resetAtMs: atMs }),
      source: headers['ratelimit'] === undefined ? 'ratelimit-reset' : 'ratelimit',
    })
  }
  return told
}

/** `18/5000`, or the one behind its key in `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`. */
function fractionIn(text: string, key: string | undefined): [number?, number?] {
  for (const part of text.slice(0, 1000).split(/[;,]/)) {
    const match = /^\s*(?:([\w.-]+)\s*=\s*)?(\d{1,12}(?:\.\d{1,6})?)\s*\/\s*(\d{1,12}(?:\.\d{1,6})?)/.exec(part)
    if (match && (key === undefined || match[1]?.toLowerCase() === key.toLowerCase())) {
      return [Number(match[2]), Number(match[3])]
    }
  }
  return []
}

/** Outreach sends a pair, `9999, 19988`: the scarcer one decides. */
function lowest(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  let least: number | undefined
  for (const part of text.split(',')) {
    const trimmed = part.trim()
    if (!/^-?\d{1,12}(?:\.\d{1,6})?$/.test(trimmed)) continue
    least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.max(0, Number(trimmed)))
  }
  return least
}

function numberOf(value: Json | undefined): number | undefined {
  if (typeof value === 'string') return lowest(value)
  return typeof value === 'number' && Math.abs(value) <= LARGEST_NUMBER ? Math.max(0, value) : undefined
}
