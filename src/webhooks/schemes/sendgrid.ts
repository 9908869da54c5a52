import { type KeyObject, verify } from 'node:crypto'
import { parseTimestamp } from '../mac-scheme.ts'
import type { ReadRequest } from '../request.ts'
import { type Checked, type Key, refused, type WebhookScheme } from '../scheme.ts'
import { spkiKey } from '../secrets.ts'

const SIGNATURE = 'x-twilio-email-event-webhook-signature'
const TIMESTAMP = 'x-twilio-email-event-webhook-timestamp'

/**
 * SendGrid, "Event Webhook security": ECDSA over time and body, whose last CRLF counts. The secret is the public key that the
 * settings show. Retries come for a day, and nobody says whether they are signed anew: the time is not judged by itself.
 */
export const sendgrid: WebhookScheme = {
  event: { id: [[{ body: 'sg_event_id' }]], type: [{ body: 'event' }], batch: true },
  toleranceMs: undefined,
  signatureHeaders: [SIGNATURE],
  key: spkiKey,
  check,
}

function check(request: ReadRequest, keys: readonly Key[]): Checked {
  const signature = request.header(SIGNATURE)
  if (signature === undefined) return refused('signature_missing')
  const timestamp = request.header(TIMESTAMP)
  if (timestamp === undefined) return refused('timestamp_missing')
  const bytes = Buffer.from(signature, 'base64')
  // One signature has one spelling.
  if (bytes.toString('base64') !== signature) return refused('signature_malformed')
  const signed = Buffer.concat([Buffer.from(timestamp), request.body])
  const isGood = keys.some((key) => key.kind === 'pair' && isSignedWith(key.key, signed, bytes))
  if (!isGood) return refused('signature_mismatch')
  const timestampMs = parseTimestamp(timestamp, 'seconds')
  return timestampMs === undefined ? refused('timestamp_malformed') : { ok: true, timestampMs }
}

/** What is no DER at all is simply not good. */
function isSignedWith(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify('sha256', signed, key, signature)
  } catch {
    return false
  }
}
