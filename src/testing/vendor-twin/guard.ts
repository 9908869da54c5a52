/** What comes before and after every call of a vendor twin: answers asked for, credentials, limits, failures by chance. */
import type { Profile } from '../../config/profile.ts'
import type { WaitUnit } from '../../config/profile-rule.ts'
import { parseRate } from '../../config/quantities.ts'
import type { RateLimitReading, RateLimitWindow } from '../../config/rate-limits.ts'
import type { Clock } from '../../core/clock.ts'
import { durationMs } from '../../core/duration.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { type Random, seededRandom } from '../../core/random.ts'
import { valueAt } from '../../policy/batches/batch-answer.ts'
import type { Arrival, ArrivedRequest, Guard, SentProblem } from '../twin/options.ts'
import type { TwinResponse } from '../twin/route.ts'
import type { RuleShare } from './fail.ts'
import { limitHeaders, limitInBody, resetText } from './limit-headers.ts'
import { createLimitKeeper, type LimitVerdict, type VendorLimit } from './limits.ts'
import type { VendorTwinOptions } from './options.ts'
import { type Call, type Spoken, type VendorProblem, type Voice, withExistingId } from './voice.ts'
import { replaceAt } from './write-at.ts'

/** Names the rule whose recorded answer this one request gets: `locked`, or its second answer, `locked#2`. */
export const ANSWER_HEADER = 'x-twin-answer'
const DAILY_MS = 12 * 3_600_000

export interface GuardParts {
  readonly profile: Profile
  readonly voice: Voice
  readonly limits: readonly VendorLimit[]
  readonly rules: readonly RuleShare[]
  readonly options: VendorTwinOptions
  readonly clock: Clock
  readonly random: Random
}

export function createGuard(parts: GuardParts): Guard {
  const { profile, voice, clock, rules } = parts
  // A stream of its own: ids do not change with what fails.
  const chance = seededRandom(Buffer.from(parts.random.bytes(16)).toString('hex'))
  const limits = createLimitKeeper(parts.limits, clock)
  const needsCredential = parts.options.credentials !== false && takesCredentials(profile)
  const tokenPath = profile.auth?.tokenUrl === undefined ? undefined : new URL(profile.auth.tokenUrl).pathname

  function refuse(spoken: Spoken, outcome: string): Arrival {
    return { refusal: recorded(spoken, profile, clock.wallMs()), outcome, finish: (response) => response }
  }

  function drawn(call: Call): { readonly spoken: Spoken; readonly executed: boolean } | undefined {
    for (const { id, share, executed = false } of rules) {
      if (chance.next() >= share) continue
      const fitting = voice.samplesOf(id).filter((spoken) => voice.fits(spoken, call))
      const spoken = fitting[Math.floor(chance.next() * fitting.length)]
      if (spoken) return { spoken, executed }
    }
    return undefined
  }

  function arrive(arrived: ArrivedRequest): Arrival {
    const call = callOf(arrived)
    const wanted = arrived.headers[ANSWER_HEADER]
    if (wanted !== undefined) return askedFor(wanted)
    if (call.path === tokenPath) return { finish: (response) => response }
    const credential = credentialOf(profile, arrived)
    if (needsCredential && credential === undefined) return unauthenticated(call)
    const verdict = limits.take(arrived, credential ?? '')
    if (verdict.hit) return limited(call, verdict)
    const failure = drawn(call)
    if (failure && !failure.executed) return refuse(failure.spoken, `answer_${failure.spoken.rule.id}`)
    return {
      finish: (response) => {
        const answer = failure ? recorded(failure.spoken, profile, clock.wallMs()) : response
        return withLimits(answer, verdict, clock.wallMs())
      },
    }
  }

  function askedFor(wanted: string): Arrival {
    const [id = '', place = '1'] = wanted.split('#')
    const spoken = voice.samplesOf(id)[Number(place) - 1]
    if (spoken) return refuse(spoken, `answer_${id}`)
    const message = `${ANSWER_HEADER}: there is no recorded answer ${wanted}`
    return { refusal: { status: 400, body: voice.plain(message, 'unknown_answer') }, outcome: 'refused', finish: same }
  }

  function unauthenticated(call: Call): Arrival {
    const spoken = voice.say('unauthenticated', call)
    const body = voice.plain('No credentials were given', 'unauthenticated')
    return { refusal: spoken ? plainly(spoken) : { status: 401, body }, outcome: 'unauthenticated', finish: same }
  }

  function limited(call: Call, verdict: LimitVerdict): Arrival {
    const { hit, told } = verdict as Required<LimitVerdict>
    const nowMs = clock.wallMs()
    const headers = Object.assign({}, ...told.map(({ reading, state }) => limitHeaders(reading, state, nowMs)))
    const isDaily = hit.waitMs > DAILY_MS || /dai?ly|day/.test(hit.limit.name)
    const spoken =
      namedByPolicy(parts, hit.limit) ??
      (isDaily ? voice.say('quota_spent', call, headers) : undefined) ??
      voice.say('rate_limited', call, headers)
    const answer = spoken ? withWait(spoken, hit.waitMs, profile, nowMs) : plainLimit(voice, hit.waitMs)
    return { refusal: withLimits(answer, verdict, nowMs), outcome: 'rate_limited', finish: same }
  }

  return { arrive }
}

const same = (response: TwinResponse): TwinResponse => response

function callOf({ route, method }: ArrivedRequest): Call {
  return { method, path: route.slice(route.indexOf(' ') + 1) }
}

function takesCredentials({ auth }: Profile): boolean {
  return auth?.kinds.some((kind) => kind !== 'none') ?? false
}

function credentialOf({ auth }: Profile, { headers, target }: ArrivedRequest): string | undefined {
  const own = auth?.header === undefined ? undefined : headers[auth.header.toLowerCase()]
  const found = own ?? headers['authorization']
  if (found !== undefined && found.trim() !== '') return found
  const key = auth?.kinds.includes('query') ? new URL(target, 'http://twin').searchParams.get('key') : null
  return key ?? undefined
}

/** Where the vendor names the limit that was hit: the answer that names one of the same length. */
function namedByPolicy({ profile, voice }: GuardParts, limit: VendorLimit): Spoken | undefined {
  const spanMs = parseRate(limit.rate).perMs
  for (const reading of profile.rateLimits ?? []) {
    if (reading.kind !== 'policy' || reading.path === undefined) continue
    const { path, windows } = reading
    const names = Object.entries(windows).filter(([, window]) => windowMsOf(window) === spanMs)
    const spoken = profile.rules
      .flatMap(({ id }) => voice.samplesOf(id))
      .find(({ sample }) => {
        const value = valueAt(sample.body, path)
        return names.some(([name]) => typeof value === 'string' && value.toLowerCase() === name.toLowerCase())
      })
    if (spoken) return spoken
  }
  return undefined
}

const CALENDAR_MS = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

function windowMsOf(window: RateLimitWindow): number | undefined {
  if ('rolling' in window) return durationMs(window.rolling)
  return 'calendar' in window ? CALENDAR_MS[window.calendar] : undefined
}

function plainly({ sample }: Spoken): TwinResponse {
  return { status: sample.status, ...(sample.headers && { headers: sample.headers }), body: sample.body }
}

/** As it was recorded, but for the moments in it: those are told from now on. */
function recorded({ sample }: Spoken, { rateLimits = [] }: Profile, nowMs: number): TwinResponse {
  const headers = { ...sample.headers }
  const atMs = nowMs + RECORDED_WAIT_MS
  for (const reading of rateLimits) {
    const reset = reading.kind === 'headers' ? reading.reset : undefined
    const name = Object.keys(headers).find((header) => header.toLowerCase() === reset?.header.toLowerCase())
    if (reset && name && /^(?:epoch|rfc|http)/.test(reset.unit)) headers[name] = resetText(reset.unit, atMs, nowMs)
  }
  return { status: sample.status, headers, body: withMoment(sample.body, atMs) }
}

/** The wait in the form that the vendor tells it in, and in no other. */
function withWait({ rule, sample }: Spoken, waitMs: number, { rateLimits = [] }: Profile, nowMs: number): TwinResponse {
  const headers: Record<string, string> = {}
  const ofLimits = new Set(rateLimits.flatMap(headersOf))
  const atMs = nowMs + waitMs
  for (const [given, value] of Object.entries(sample.headers ?? {})) {
    const name = given.toLowerCase()
    // What was left then is not what is left now.
    if (ofLimits.has(name)) continue
    const isDate = /[a-z]/i.test(value)
    if (name === 'retry-after')
      headers[name] = isDate ? resetText('http_date', atMs, nowMs) : String(Math.ceil(waitMs / 1000))
    else headers[name] = name === 'retry-after-ms' ? String(Math.ceil(waitMs)) : value
  }
  const { path, unit } = rule.retryAfter ?? {}
  const told = withMoment(sample.body, atMs, `${Math.ceil(waitMs / 1000)}s`)
  const body = path === undefined || told === undefined ? told : replaceAt(told, path, waitIn(unit, waitMs, nowMs))
  return { status: sample.status, headers, body }
}

const RECORDED_WAIT_MS = 60_000
const MOMENT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g
const WAIT_IN_WORDS = /(try again in )\d[\dhms.]*/gi

/** Moments, and waits in words, wherever they stand in the texts of a body. */
function withMoment(body: Json | undefined, atMs: number, wait?: string): Json | undefined {
  if (typeof body === 'string') {
    const moved = body.replace(MOMENT, new Date(Math.ceil(atMs / 1000) * 1000).toISOString())
    return wait === undefined ? moved : moved.replace(WAIT_IN_WORDS, `$1${wait}`)
  }
  if (Array.isArray(body)) return (body as readonly Json[]).map((element) => withMoment(element, atMs, wait) ?? null)
  if (!isJsonObject(body)) return body
  const entries = Object.entries(body).map(([name, value]) => [name, withMoment(value, atMs, wait) ?? null] as const)
  return Object.fromEntries(entries)
}

function waitIn(unit: WaitUnit = 'seconds', waitMs: number, nowMs: number): Json {
  switch (unit) {
    case 'seconds':
      return Math.ceil(waitMs / 1000)
    case 'milliseconds':
      return Math.ceil(waitMs)
    case 'epoch_seconds':
      return Math.ceil((nowMs + waitMs) / 1000)
    case 'epoch_milliseconds':
      return Math.ceil(nowMs + waitMs)
    case 'duration':
      return `${Math.ceil(waitMs / 1000)}s`
    case 'timestamp':
      return new Date(Math.ceil((nowMs + waitMs) / 1000) * 1000).toISOString()
  }
}

function headersOf(reading: RateLimitReading): string[] {
  if (reading.kind === 'fraction') return [reading.header.toLowerCase()]
  if (reading.kind !== 'headers') return []
  const { limit, remaining, used, reset, nameHeader, cost } = reading
  return [limit, remaining, used, reset?.header, nameHeader, cost].flatMap((name) => name?.toLowerCase() ?? [])
}

function plainLimit(voice: Voice, waitMs: number): TwinResponse {
  return {
    status: 429,
    headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) },
    body: voice.plain('Too many requests', 'rate_limited'),
  }
}

function withLimits(response: TwinResponse, { told }: LimitVerdict, nowMs: number): TwinResponse {
  if (told.length === 0) return response
  const headers: Record<string, string> = {}
  let body = response.body as Json | undefined
  for (const { reading, state } of told) {
    const fresh = limitHeaders(reading, state, nowMs)
    for (const [name, value] of Object.entries(fresh)) {
      // Two limits in one header: `api-usage=18/5000; per-app-api-usage=17/250`.
      headers[name] = reading.kind === 'fraction' && headers[name] !== undefined ? `${headers[name]}; ${value}` : value
    }
    if (isJsonObject(body)) body = limitInBody(reading, state, body)
  }
  return { ...response, headers: { ...headers, ...response.headers }, ...(body !== undefined && { body }) }
}

const PROBLEM_OF_CODE: Readonly<Record<string, VendorProblem>> = {
  not_found: 'not_found',
  route_not_found: 'not_found',
  already_exists: 'already_exists',
  idempotency_key_in_use: 'key_in_use',
  idempotency_key_reused: 'key_reused',
  malformed_json: 'invalid',
  validation_failed: 'invalid',
}

/** Problems of the twin itself, in the vendor's words. */
export function problemAnswer(voice: Voice) {
  return (problem: SentProblem, arrived: ArrivedRequest): TwinResponse => {
    const kind = PROBLEM_OF_CODE[problem.code]
    const spoken = kind && voice.say(kind, callOf(arrived))
    if (!spoken) return { status: problem.status, body: voice.plain(problem.message, problem.code) }
    return { ...plainly(spoken), body: withExistingId(spoken.sample.body, problem.existingId) }
  }
}
