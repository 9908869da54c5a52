/** A signed request of each provider, for the tests of this room. */
import { generateKeyPairSync } from 'node:crypto'
import { WEBHOOK_PROVIDERS } from '../config/webhook-providers.ts'
import type { WebhookRequest } from './request.ts'
import { signWebhook } from './sign.ts'
import { type Verification, type VerifyOptions, verifyWebhook } from './verify.ts'

export const NOW_MS = Date.UTC(2026, 10, 22)
export const URL_OF_OURS = 'https://hooks.example.com/in?source=1'

export interface Sample {
  readonly options: VerifyOptions
  readonly request: WebhookRequest & { readonly headers: Record<string, string>; readonly body: Buffer }
  readonly nowMs: number
}

export function bytes(text: string): Buffer {
  return Buffer.from(text)
}

export function verdict({ options, request, nowMs }: Sample, changed: Partial<WebhookRequest> = {}): Verification {
  return verifyWebhook(options, { ...request, ...changed }, nowMs)
}

export const WHSEC = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
export const ed25519 = generateKeyPairSync('ed25519')
const rawPublic = ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
const rawPrivate = ed25519.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
export const WHPK = `whpk_${rawPublic.toString('base64')}`
const WHSK = `whsk_${Buffer.concat([rawPrivate, rawPublic]).toString('base64')}`

export const SENDGRID: Sample = {
  options: {
    provider: 'sendgrid',
    secrets: [
      'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
    ],
  },
  request: {
    method: 'POST',
    url: URL_OF_OURS,
    headers: {
      'x-twilio-email-event-webhook-signature':
        'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
      'x-twilio-email-event-webhook-timestamp': '1600112502',
    },
    body: bytes(
      `${JSON.stringify([
        {
          email: 'hello@world.com',
          event: 'dropped',
          reason: 'Bounced Address',
          sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
          sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
          'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
          timestamp: 1600112492,
        },
      ])}\r\n`,
    ),
  },
  nowMs: NOW_MS,
}

const BODIES: Partial<Record<(typeof WEBHOOK_PROVIDERS)[number], string>> = {
  linear: JSON.stringify({ type: 'Issue', webhookTimestamp: NOW_MS }),
  twilio: 'MessageSid=SM1&Body=hello+there',
  segment: '[{"messageId":"m1","type":"track","name":"a]\\"b"} , {"messageId":"m2"}]',
  hubspot: '[{"portalId":1,"subscriptionId":2,"eventId":3,"occurredAt":4,"subscriptionType":"contact.creation"}]',
}

export const SECRETS: Partial<Record<(typeof WEBHOOK_PROVIDERS)[number], string>> = {
  'standard-webhooks': WHSEC,
  openai: WHSEC,
  svix: WHSK,
  airtable: Buffer.from('a secret of airtable').toString('base64'),
}

const HMAC = {
  header: 'X-Mine',
  prefix: 's=',
  signedText: '{method} {url} {id} {timestamp} {body}',
  timestamp: { header: 'X-At', unit: 'iso' },
  id: { header: 'X-Id' },
} as const

/** A signed request of each provider. */
export const SAMPLES: readonly Sample[] = WEBHOOK_PROVIDERS.map((provider) => {
  if (provider === 'sendgrid') return SENDGRID
  const secret = SECRETS[provider] ?? `secret of ${provider}`
  const body = bytes(BODIES[provider] ?? JSON.stringify({ id: 'evt_1', type: 'made', event_id: 'E1' }))
  const hmac = provider === 'hmac' ? { hmac: HMAC } : {}
  const parts = { body, method: 'POST', url: URL_OF_OURS, id: 'msg_1' }
  return {
    options: { provider, secrets: [secret === WHSK ? WHPK : secret], ...hmac },
    request: { ...parts, headers: signWebhook({ provider, secret, ...hmac }, parts, NOW_MS) },
    nowMs: NOW_MS,
  }
})
