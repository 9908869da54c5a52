/** Secrets as people paste them, decoded strictly: a slip is told at start, not by the first refused event. */
import { createPrivateKey, createPublicKey, createSecretKey } from 'node:crypto'
import { configurationError, type HoldfastError } from '../core/errors.ts'
import type { Key } from './scheme.ts'

/** DER that stands before the 32 bytes of an ed25519 key (RFC 8410). */
const ED25519_PUBLIC = Buffer.from('302a300506032b6570032100', 'hex')
const ED25519_PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex')
const ED25519_BYTES = 32

export function textKey(secret: string): Key {
  if (secret === '') throw invalidSecret('it is empty')
  return sharedKey(Buffer.from(secret, 'utf8'))
}

export function base64Key(secret: string): Key {
  return sharedKey(decodeBase64(secret))
}

function sharedKey(bytes: Uint8Array): Key {
  return { kind: 'shared', bytes, key: createSecretKey(bytes) }
}

/** `whsec_` and base64, `whpk_` (verifies) or `whsk_` (signs) and an ed25519 key, or base64 alone. */
export function standardKey(secret: string): Key {
  if (secret.startsWith('whpk_')) return { kind: 'pair', key: ed25519Public(decodeBase64(secret.slice(5))) }
  if (secret.startsWith('whsk_')) return { kind: 'pair', key: ed25519Private(decodeBase64(secret.slice(5))) }
  return base64Key(secret.startsWith('whsec_') ? secret.slice(6) : secret)
}

/** A public key as base64 of its DER, or as PEM. */
export function spkiKey(secret: string): Key {
  try {
    const key = secret.includes('-----BEGIN')
      ? createPublicKey(secret)
      : createPublicKey({ key: Buffer.from(decodeBase64(secret)), format: 'der', type: 'spki' })
    if (key.asymmetricKeyType !== 'ec') throw invalidSecret('it is no elliptic curve key')
    return { kind: 'pair', key }
  } catch (cause) {
    throw invalidSecret('it is no public key: base64 of its DER form, or PEM', cause)
  }
}

export function decodeBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  // The decoder skips what it does not know: only what it gives back the same was base64.
  if (bytes.length === 0 || bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) {
    throw invalidSecret('it is not base64')
  }
  return bytes
}

function ed25519Public(bytes: Uint8Array) {
  if (bytes.length !== ED25519_BYTES) throw invalidSecret(`an ed25519 public key has ${ED25519_BYTES} bytes`)
  return createPublicKey({ key: Buffer.concat([ED25519_PUBLIC, bytes]), format: 'der', type: 'spki' })
}

function ed25519Private(bytes: Uint8Array) {
  // The seed, alone or followed by the public key.
  if (bytes.length !== ED25519_BYTES && bytes.length !== 2 * ED25519_BYTES) {
    throw invalidSecret(`an ed25519 private key has ${ED25519_BYTES} or ${2 * ED25519_BYTES} bytes`)
  }
  const seed = bytes.subarray(0, ED25519_BYTES)
  return createPrivateKey({ key: Buffer.concat([ED25519_PRIVATE, seed]), format: 'der', type: 'pkcs8' })
}

export function invalidSecret(why: string, cause?: unknown): HoldfastError {
  return configurationError(
    'webhook_secret_invalid',
    `The secret of a webhook cannot be used: ${why}`,
    'Copy it again from where the provider shows it, whole, with its prefix.',
    undefined,
    cause,
  )
}
