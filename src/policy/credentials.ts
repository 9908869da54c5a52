/**
 * When a token is used, renewed or given up, and what a token endpoint means by its answer (D01, R011, R145, R146; RFC 6749,
 * sections 5.1 and 5.2). Pure: the record says what is known to all processes.
 */
import type { OAuthSettings, StoredAuthSettings } from '../config/settings.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import type { Random } from '../core/random.ts'
import { parseRetryAfter } from './rate-limits/retry-after.ts'
import { backoffDelayMs, withRetryAfter } from './retry/backoff.ts'

/** What all processes know of a credential. Times are wall-clock milliseconds; 0 is never. */
export interface CredentialState {
  /** Grows by one with each secret or token; 0: there is none yet. */
  readonly version: number
  /** There is something to send: after a new refresh token was set, there is not. */
  readonly usable: boolean
  readonly obtainedAtMs: number
  /** 0: nobody said. */
  readonly expiresAtMs: number
  /** The version that the API refused; 0: none. */
  readonly rejectedVersion: number
  /** When the token endpoint was last asked: written before it is. */
  readonly askedAtMs: number
  /** It was asked and, as far as anybody knows, has not answered: a rotating refresh token may be lost with the answer. */
  readonly unanswered: boolean
  /** Of the token endpoint, in a row. */
  readonly failures: number
  /** It is not asked before this. */
  readonly retryAtMs: number
  /** A person must do something. */
  readonly refused: { readonly atMs: number; readonly code: string; readonly reason: string } | null
  /** When a person last said that it may go on. */
  readonly liftedAtMs: number
}

export const UNKNOWN_CREDENTIAL: CredentialState = {
  version: 0,
  usable: false,
  obtainedAtMs: 0,
  expiresAtMs: 0,
  rejectedVersion: 0,
  askedAtMs: 0,
  unanswered: false,
  failures: 0,
  retryAtMs: 0,
  refused: null,
  liftedAtMs: 0,
}

export type CredentialStep =
  /** `renew`: and get the next one meanwhile, without waiting for it. */
  | { readonly kind: 'use'; readonly renew: boolean }
  | { readonly kind: 'renew' }
  | { readonly kind: 'wait'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }

const LONGEST_AHEAD_MS = 300_000
const AHEAD_SHARE = 0.2
/** Clocks differ, and a call takes time: a token is not used in its last moments. */
const LONGEST_SKEW_MS = 30_000
const SKEW_SHARE = 0.1

/**
 * What to do with a credential before a call.
 * @param rejectedVersion what the API refused to this caller; 0: nothing
 * @param chance in [0, 1), of this process: renewals ahead of time do not begin everywhere at once
 */
export function nextCredentialStep(
  state: CredentialState,
  auth: OAuthSettings | StoredAuthSettings,
  rejectedVersion: number,
  nowMs: number,
  chance: number,
): CredentialStep {
  const canRenew = auth.type === 'oauth2'
  const asksFromMs = canRenew ? Math.max(state.retryAtMs, mayBeAskedFromMs(state, auth)) : 0
  const left = state.expiresAtMs === 0 ? Number.POSITIVE_INFINITY : state.expiresAtMs - nowMs
  const lifeMs = Math.max(0, state.expiresAtMs - state.obtainedAtMs)
  const wasRejected = state.version <= Math.max(rejectedVersion, state.rejectedVersion)
  if (state.usable && !wasRejected && left > Math.min(LONGEST_SKEW_MS, lifeMs * SKEW_SHARE)) {
    const aheadMs = canRenew ? aheadOf(auth, lifeMs) * (0.5 + chance / 2) : 0
    return { kind: 'use', renew: left <= aheadMs && state.refused === null && asksFromMs <= nowMs }
  }
  if (state.refused) return { kind: 'refused', ...state.refused }
  if (!canRenew) return { kind: 'refused', ...whyNoSecret(state) }
  if (asksFromMs <= nowMs) return { kind: 'renew' }
  const reason =
    state.failures === 0
      ? 'the token endpoint may not be asked again so soon'
      : 'the token endpoint does not answer well'
  return { kind: 'wait', untilMs: asksFromMs, reason }
}

/** The vendor lets nobody ask more often, whoever it is. */
export function mayBeAskedFromMs({ askedAtMs }: CredentialState, { minIntervalMs }: OAuthSettings): number {
  return askedAtMs === 0 ? 0 : askedAtMs + minIntervalMs
}

function aheadOf({ refreshAheadMs }: OAuthSettings, lifeMs: number): number {
  return Math.min(refreshAheadMs ?? Math.min(LONGEST_AHEAD_MS, lifeMs * AHEAD_SHARE), lifeMs / 2)
}

function whyNoSecret({ version }: CredentialState): { code: string; reason: string } {
  return version === 0
    ? { code: 'credential_missing', reason: 'nothing is stored for it yet' }
    : { code: 'credential_refused', reason: 'the API refuses what is stored for it' }
}

/** A token that is refused when it is so new has never worked: another one would not either, and the next 401 would get it. */
const NEW_MS = 10_000

/** Is another token worth asking for, after a 401? (D01: once.) */
export function isWorthRenewing(state: CredentialState, auth: OAuthSettings, said: string, nowMs: number): boolean {
  if (nowMs - state.obtainedAtMs < NEW_MS && state.version > 0) return false
  const lower = said.toLowerCase()
  return !auth.neverRefreshOn.some((text) => lower.includes(text.toLowerCase()))
}

export interface TokenAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json | undefined
  readonly receivedAtMs: number
}

export type TokenVerdict =
  | {
      readonly kind: 'tokens'
      readonly accessToken: string
      readonly refreshToken: string | undefined
      readonly lifetimeMs: number | undefined
    }
  /** Asking again is of no use before a person has done something. `said`: upstream words, to be searched for secrets. */
  | { readonly kind: 'refused'; readonly code: string; readonly said: string }
  | { readonly kind: 'later'; readonly code: string; readonly said: string; readonly retryAfterMs: number | undefined }

/** Codes that pass; `error` of RFC 6749 and what vendors add to it. */
const PASSING_CODES = new Set(['temporarily_unavailable', 'server_error', 'slow_down', 'rate_limited', 'ratelimited'])
const LONGEST_TOKEN = 16_384

/** What the token endpoint means. */
export function judgeTokenAnswer({ status, headers, body, receivedAtMs }: TokenAnswer): TokenVerdict {
  const fields = isJsonObject(body) ? body : {}
  const { access_token: accessToken, refresh_token: refreshToken, error } = fields
  if (status < 300 && isToken(accessToken)) {
    const lifetimeMs = lifetimeOf(fields['expires_in'])
    return { kind: 'tokens', accessToken, refreshToken: isToken(refreshToken) ? refreshToken : undefined, lifetimeMs }
  }
  const code = typeof error === 'string' && /^[\w.-]{1,60}$/.test(error) ? error : `http_${status}`
  const said = typeof fields['error_description'] === 'string' ? fields['error_description'] : ''
  const passes = status === 408 || status === 425 || status === 429 || status >= 500 || PASSING_CODES.has(code)
  // An answer that is good and has no token says nothing: a page of a proxy, a cut-off body.
  if (passes || (status < 300 && error === undefined)) {
    return { kind: 'later', code, said, retryAfterMs: parseRetryAfter(headers, receivedAtMs)?.delayMs }
  }
  return { kind: 'refused', code, said }
}

/** What can stand in a header (RFC 6750, section 2.1, and more: vendors take liberties, but no blanks). */
function isToken(value: Json | undefined): value is string {
  return typeof value === 'string' && value.length <= LONGEST_TOKEN && /^[\x21-\x7e]+$/.test(value)
}

/** Seconds, as a number or as digits. */
function lifetimeOf(value: Json | undefined): number | undefined {
  const seconds = typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN
  return Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds * 1000) : undefined
}

const TOKEN_BACKOFF = { baseMs: 2000, capMs: 300_000, jitter: 'equal' } as const

/** How long the token endpoint is left alone after it failed so often in a row; Retry-After is a floor. */
export function tokenPauseMs(failures: number, retryAfterMs: number | undefined, random: Random): number {
  return withRetryAfter(backoffDelayMs(TOKEN_BACKOFF, failures, random), retryAfterMs, random)
}
