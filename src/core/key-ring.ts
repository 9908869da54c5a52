/**
 * The one place that encrypts: AES-256-GCM (NIST SP 800-38D) under keys that people give, each bound to what it is for, so that no
 * text can be put in the place of another. No error here shows a key or what was encrypted.
 */
import { createCipheriv, createDecipheriv, createHash, hash } from 'node:crypto'
import { configurationError } from './errors.ts'

export interface KeyRing {
  /** Of the key that encrypts; `undefined`: there is no key. */
  readonly keyId: string | undefined
  /** Of all keys, the one that encrypts first. */
  readonly keyIds: readonly string[]
  /**
   * Nonce, tag and what was encrypted, under the key that encrypts.
   * @param entropy the nonce: 12 bytes; or 28, of which the first 16 make a key of its own, so that no number of texts is too many
   *   for one key
   */
  encrypt(text: string, context: string, entropy: Uint8Array): Buffer
  /** `undefined` where the tag does not fit: it was changed, or belongs to another context. */
  decrypt(keyId: string, bytes: Buffer, context: string, entropyBytes: EntropyBytes): string | undefined
}

export type EntropyBytes = 12 | 28

/** What most texts are encrypted with: see {@link KeyRing.encrypt}. */
export const MANY_TEXTS: EntropyBytes = 28

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
export const MAKE_A_KEY = 'Make one with `openssl rand -base64 32`, and give it to every process as HOLDFAST_KEY.'

/**
 * @param keys 32 bytes each, as base64 or 64 hex digits; the first encrypts, all decrypt
 * @throws HoldfastError `encryption_key_invalid`
 */
export function createKeyRing(keys: readonly string[]): KeyRing {
  const byId = new Map(keys.map(parseKey).map((key) => [idOf(key), key]))
  const keyIds = [...byId.keys()]
  const [keyId] = keyIds
  return {
    keyId,
    keyIds,
    encrypt(text, context, entropy) {
      const key = keyId === undefined ? undefined : byId.get(keyId)
      if (!key) throw new Error('there is no key to encrypt with')
      const nonce = entropy.subarray(entropy.length - NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, keyFor(key, entropy), nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      const content = [cipher.update(text, 'utf8'), cipher.final()]
      return Buffer.concat([entropy, cipher.getAuthTag(), ...content])
    },
    decrypt(id, bytes, context, entropyBytes) {
      const key = byId.get(id)
      if (!key || bytes.length < entropyBytes + TAG_BYTES) return undefined
      const entropy = bytes.subarray(0, entropyBytes)
      const nonce = entropy.subarray(entropyBytes - NONCE_BYTES)
      const decipher = createDecipheriv(ALGORITHM, keyFor(key, entropy), nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(bytes.subarray(entropyBytes, entropyBytes + TAG_BYTES))
      try {
        const content = [decipher.update(bytes.subarray(entropyBytes + TAG_BYTES)), decipher.final()]
        return Buffer.concat(content).toString('utf8')
      } catch {
        // The tag does not fit. What OpenSSL says of it helps nobody; the caller says where it happened.
        return undefined
      }
    },
  }
}

const LABEL = Buffer.from('holdfast key of one text\0')

/**
 * Nonces drawn by chance may meet after some 2^32 texts of one key; a key of its own for each makes that impossible. All parts have
 * fixed lengths and the result is never shown, so a hash is as good as an HMAC, at a sixth of the cost.
 */
function keyFor(key: Buffer, entropy: Uint8Array): Buffer {
  if (entropy.length === NONCE_BYTES) return key
  const salt = entropy.subarray(0, entropy.length - NONCE_BYTES)
  return hash('sha256', Buffer.concat([key, LABEL, salt]), 'buffer')
}

/** Names a key without telling anything of it. */
function idOf(key: Buffer): string {
  return createHash('sha256').update('holdfast key id\0').update(key).digest('hex').slice(0, 8)
}

function parseKey(text: string, index: number): Buffer {
  const isHex = /^[0-9a-f]{64}$/i.test(text)
  const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
  const key = Buffer.from(text, isHex ? 'hex' : 'base64')
  if ((isHex || isBase64) && key.length === KEY_BYTES) return key
  throw configurationError(
    'encryption_key_invalid',
    `Key ${index + 1} for what is stored is not ${KEY_BYTES} bytes written as base64 or as ${2 * KEY_BYTES} hex digits (it has ${text.length} characters)`,
    MAKE_A_KEY,
  )
}
