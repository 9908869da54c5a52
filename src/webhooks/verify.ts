/** Is this request from whom it says? Pure: bytes, secrets and the time in, a verdict out. */
import { didYouMean } from '../config/nearest.ts'
import { WEBHOOK_PROVIDERS, type WebhookProvider } from '../config/webhook-providers.ts'
import type { HmacSettings } from '../config/webhook-settings.ts'
import { type Duration, durationMs } from '../core/duration.ts'
import { configurationError } from '../core/errors.ts'
import { eventsOf, type WebhookEvent } from './event.ts'
import { type ReadRequest, readRequest, type WebhookRequest } from './request.ts'
import type { Handshake, Key, RefusalReason, WebhookScheme } from './scheme.ts'
import { hmacScheme, SCHEMES } from './schemes/index.ts'
import { jsonOf } from './values.ts'

export interface VerifyOptions {
  readonly provider: WebhookProvider
  /** All that may have been signed with: the present one, and others while it is replaced. */
  readonly secrets: readonly string[]
  /** How far the signed time may be off, either way. Default: the provider's own (mostly 5 min). */
  readonly tolerance?: Duration
  /** For the provider `hmac`: how it signs. */
  readonly hmac?: HmacSettings
}

export type Verification = Verified | RefusedWebhook

export interface Verified {
  readonly ok: true
  /** Empty for a handshake. */
  readonly events: readonly WebhookEvent[]
  readonly eventIds: readonly string[]
  /** When it was signed, where that is part of what is signed. */
  readonly timestampMs: number | undefined
  /** What the provider wants to hear before it sends events. */
  readonly handshake?: Handshake
}

export interface RefusedWebhook {
  readonly ok: false
  readonly refused: RefusalReason
}

export interface Verifier {
  readonly scheme: WebhookScheme
  verify(request: WebhookRequest, nowMs: number): Verification
}

/**
 * Verifies one request on its raw bytes (R154).
 * @throws HoldfastError as {@link createVerifier}; never because of the request.
 */
export function verifyWebhook(options: VerifyOptions, request: WebhookRequest, nowMs: number): Verification {
  return createVerifier(options).verify(request, nowMs)
}

/**
 * The same for many requests: secrets are decoded once.
 * @throws HoldfastError `unknown_webhook_provider`, `webhook_secret_missing`, `webhook_secret_invalid`, `webhook_hmac_missing`
 */
export function createVerifier(options: VerifyOptions): Verifier {
  const scheme = schemeOf(options)
  if (options.secrets.length === 0 && !scheme.unsignedHandshake) {
    throw configurationError(
      'webhook_secret_missing',
      `Webhooks of ${options.provider} need a secret: without one, anybody could send them`,
      'Give the secret that the provider shows where the webhook is set up.',
      { provider: options.provider },
    )
  }
  const keys = options.secrets.map(scheme.key)
  const toleranceMs = options.tolerance === undefined ? scheme.toleranceMs : durationMs(options.tolerance)
  return { scheme, verify: (request, nowMs) => verify(scheme, keys, toleranceMs, readRequest(request), nowMs) }
}

/** @throws HoldfastError `unknown_webhook_provider`, `webhook_hmac_missing` */
export function schemeOf({ provider, hmac }: Pick<VerifyOptions, 'provider' | 'hmac'>): WebhookScheme {
  if (provider === 'hmac') {
    if (hmac) return hmacScheme(hmac)
    throw configurationError(
      'webhook_hmac_missing',
      'The provider "hmac" needs to know how its sender signs',
      'Give `hmac: { header: ... }`, or name a provider that is known.',
    )
  }
  if (Object.hasOwn(SCHEMES, provider)) return SCHEMES[provider]
  throw configurationError(
    'unknown_webhook_provider',
    `There is no webhook provider "${provider}"${didYouMean(provider, WEBHOOK_PROVIDERS)}`,
    `Known: ${WEBHOOK_PROVIDERS.join(', ')}. Any other sender that signs with a shared secret: "hmac".`,
    { provider },
  )
}

function verify(
  scheme: WebhookScheme,
  keys: readonly Key[],
  toleranceMs: number | undefined,
  request: ReadRequest,
  nowMs: number,
): Verification {
  const introduction = unsignedHandshake(scheme, request)
  if (introduction) return { ok: true, events: [], eventIds: [], timestampMs: undefined, handshake: introduction }
  if (keys.length === 0) return { ok: false, refused: 'no_secret' }
  const checked = scheme.check(request, keys)
  if (!checked.ok) return checked
  const { timestampMs } = checked
  if (timestampMs !== undefined && toleranceMs !== undefined) {
    if (timestampMs < nowMs - toleranceMs) return { ok: false, refused: 'timestamp_too_old' }
    if (timestampMs > nowMs + toleranceMs) return { ok: false, refused: 'timestamp_in_future' }
  }
  const handshake = scheme.handshake?.(jsonOf(request.body))
  if (handshake) return { ok: true, events: [], eventIds: [], timestampMs, handshake }
  const events = eventsOf(request, scheme.event)
  return { ok: true, events, eventIds: events.map(({ id }) => id), timestampMs }
}

/** Only where no signature is claimed: with one, it is judged like any other request. */
function unsignedHandshake(scheme: WebhookScheme, request: ReadRequest): Handshake | undefined {
  if (!scheme.unsignedHandshake) return undefined
  if (scheme.signatureHeaders.some((name) => request.header(name) !== undefined)) return undefined
  return scheme.unsignedHandshake(jsonOf(request.body))
}
