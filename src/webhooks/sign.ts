/** The other side: what a provider would send. For tests, and for webhooks of one's own. */
import type { WebhookProvider } from '../config/webhook-providers.ts'
import type { HmacSettings } from '../config/webhook-settings.ts'
import { configurationError } from '../core/errors.ts'
import { schemeOf } from './verify.ts'

export interface SignOptions {
  readonly provider: WebhookProvider
  readonly secret: string
  readonly hmac?: HmacSettings
}

export interface RequestToSend {
  readonly body: Uint8Array | string
  /** Signed by HubSpot and Twilio. Default `POST` and an empty address. */
  readonly method?: string
  readonly url?: string
  /** Equal on all tries of one event. Signed by Standard Webhooks and Svix, which need it. */
  readonly id?: string
}

/**
 * The headers that a signed request has, beside its own.
 * @param nowMs the time that is signed, where one is
 * @throws HoldfastError `webhook_cannot_sign` where only the provider can (SendGrid), `webhook_secret_invalid`,
 *   `unknown_webhook_provider`
 */
export function signWebhook(options: SignOptions, request: RequestToSend, nowMs: number): Record<string, string> {
  const scheme = schemeOf(options)
  if (!scheme.sign) {
    throw configurationError(
      'webhook_cannot_sign',
      `Webhooks of ${options.provider} are signed with a private key that only the provider has`,
      'Use a recorded request in tests.',
      { provider: options.provider },
    )
  }
  const { body, method = 'POST', url = '', id = '' } = request
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return scheme.sign(scheme.key(options.secret), { method, url, body: bytes, id, timestampMs: nowMs })
}
