import { createHmac, createPublicKey, type KeyObject, sign as signBytes, verify } from 'node:crypto'
import { parseTimestamp, sameText } from '../mac-scheme.ts'
import type { ReadRequest } from '../request.ts'
import { type Checked, type EventFacts, type Key, refused, type ToSign, type WebhookScheme } from '../scheme.ts'
import { standardKey } from '../secrets.ts'

/** More than any sender has: a header full of signatures must not buy work. */
const MOST_CANDIDATES = 20
const TOLERANCE_MS = 300_000

/**
 * Standard Webhooks 1.0: `v1` (HMAC-SHA256) and `v1a` (ed25519), as the secret says; other versions are skipped.
 * @param families what the names of the three headers begin with; all three are read from the one whose signature is there.
 */
function standardScheme(...families: readonly [string, ...string[]]): WebhookScheme {
  const [family] = families
  const event: EventFacts = {
    id: families.map((name) => [{ header: `${name}-id` }]),
    type: [{ body: 'type' }],
  }
  return {
    event,
    toleranceMs: TOLERANCE_MS,
    signatureHeaders: families.map((name) => `${name}-signature`),
    key: standardKey,
    check(request, keys) {
      const name = families.find((one) => request.header(`${one}-signature`) !== undefined)
      return name === undefined ? refused('signature_missing') : check(request, name, keys)
    },
    sign: (key, request) => sign(key, request, family),
  }
}

export const standardWebhooks = standardScheme('webhook')
export const openai = standardScheme('webhook')
/** Svix: the same, under its own names or the standard ones. */
export const svix = standardScheme('svix', 'webhook')

function check(request: ReadRequest, family: string, keys: readonly Key[]): Checked {
  const id = request.header(`${family}-id`)
  if (id === undefined || id === '') return refused('id_missing')
  const timestamp = request.header(`${family}-timestamp`)
  if (timestamp === undefined) return refused('timestamp_missing')
  const candidates = (request.header(`${family}-signature`) ?? '').split(' ', MOST_CANDIDATES)
  const signed = signedBytes(id, timestamp, request.body)
  if (!keys.some((key) => candidates.some((candidate) => isGood(key, signed, candidate)))) {
    const isKnown = candidates.some((candidate) => /^v1a?,/.test(candidate))
    return refused(isKnown ? 'signature_mismatch' : 'signature_malformed')
  }
  const timestampMs = parseTimestamp(timestamp, 'seconds')
  return timestampMs === undefined ? refused('timestamp_malformed') : { ok: true, timestampMs }
}

function isGood(key: Key, signed: Uint8Array, candidate: string): boolean {
  if (key.kind === 'shared') return sameText(candidate, hmacEntry(key.key, signed))
  if (!candidate.startsWith('v1a,')) return false
  const text = candidate.slice('v1a,'.length)
  const signature = Buffer.from(text, 'base64')
  // One signature has one spelling.
  if (signature.length !== 64 || signature.toString('base64') !== text) return false
  const publicKey = key.key.type === 'private' ? createPublicKey(key.key) : key.key
  return verify(null, signed, publicKey, signature)
}

function hmacEntry(secret: KeyObject, signed: Uint8Array): string {
  return `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`
}

function signedBytes(id: string, timestamp: string, body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
}

function sign(key: Key, { id, timestampMs, body }: ToSign, family: string): Record<string, string> {
  const timestamp = String(Math.floor(timestampMs / 1000))
  const signed = signedBytes(id, timestamp, body)
  const signature =
    key.kind === 'shared'
      ? hmacEntry(key.key, signed)
      : `v1a,${signBytes(null, Buffer.from(signed), key.key).toString('base64')}`
  return {
    [`${family}-id`]: id,
    [`${family}-timestamp`]: timestamp,
    [`${family}-signature`]: signature,
  }
}
