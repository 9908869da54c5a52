/**
 * Encrypts what is stored of credentials: AES-256-GCM (NIST SP 800-38D), a fresh 96-bit nonce for each text, bound to the
 * credential's name, so that no record can be put in the place of another. No error here shows a key or what was encrypted.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'

export interface Cipher {
  /** Of the key that encrypts; `undefined`: there is no key. */
  readonly keyId: string | undefined
  /** @throws HoldfastError `encryption_key_missing` */
  seal(text: string, name: string): string
  /** @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown`, `stored_credential_damaged` */
  open(sealed: string, name: string): string
}

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 'v1'
const MAKE_ONE = 'Make one with `openssl rand -base64 32`, and give it to every process as HOLDFAST_KEY.'

/**
 * @param keys 32 bytes each, as base64 or 64 hex digits; the first encrypts, all decrypt
 * @throws HoldfastError `encryption_key_invalid`
 */
export function createCipher(keys: readonly string[], random: Random): Cipher {
  const parsed = keys.map((text, index) => parseKey(text, index))
  const byId = new Map(parsed.map((key) => [idOf(key), key]))
  const [first] = parsed
  const keyId = first && idOf(first)

  return {
    keyId,
    seal(text, name) {
      if (!first || keyId === undefined) throw keyMissing(name)
      const nonce = random.bytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, first, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(contextOf(name, keyId))
      const content = [cipher.update(text, 'utf8'), cipher.final()]
      const bytes = Buffer.concat([nonce, cipher.getAuthTag(), ...content])
      return [FORMAT, keyId, bytes.toString('base64url')].join('.')
    },
    open(sealed, name) {
      if (byId.size === 0) throw keyMissing(name)
      const [format, id = '', content = ''] = sealed.split('.')
      const key = byId.get(id)
      if (format !== FORMAT) throw damaged(name)
      if (!key) throw keyUnknown(name, id, [...byId.keys()])
      return decrypted(Buffer.from(content, 'base64url'), key, contextOf(name, id)) ?? raise(damaged(name))
    },
  }
}

/** Which key a text was encrypted with. */
export function keyIdOf(sealed: string): string {
  return sealed.split('.')[1] ?? ''
}

function decrypted(bytes: Buffer, key: Buffer, context: Buffer): string | undefined {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(context)
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  try {
    const content = [decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]
    return Buffer.concat(content).toString('utf8')
  } catch {
    // The tag does not fit. What OpenSSL says of it helps nobody; the caller says where it happened.
    return undefined
  }
}

function contextOf(name: string, keyId: string): Buffer {
  return Buffer.from(`holdfast credential ${FORMAT} ${keyId} ${name}`)
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
    `Key ${index + 1} for stored credentials is not ${KEY_BYTES} bytes written as base64 or as ${2 * KEY_BYTES} hex digits (it has ${text.length} characters)`,
    MAKE_ONE,
  )
}

function keyMissing(name: string): HoldfastError {
  return configurationError(
    'encryption_key_missing',
    `There is no key to encrypt or read the stored credential ${name} with`,
    `Set HOLDFAST_KEY, or \`keys\` in the configuration. ${MAKE_ONE}`,
    { credential: name },
  )
}

function keyUnknown(name: string, keyId: string, known: readonly string[]): HoldfastError {
  return configurationError(
    'encryption_key_unknown',
    `The stored credential ${name} was encrypted with key ${keyId}, which is not among the keys given here (${known.join(', ')})`,
    'Give the key it was encrypted with as well, after the present one; `holdfast credentials rotate-key` then makes it needless. If it is lost, set the credential anew.',
    { credential: name, keyId, known },
  )
}

function damaged(name: string): HoldfastError {
  return configurationError(
    'stored_credential_damaged',
    `The stored credential ${name} cannot be decrypted: it was changed, or is another credential's`,
    `Set it anew: \`holdfast credentials set ${name}\`.`,
    { credential: name },
  )
}

function raise(error: HoldfastError): never {
  throw error
}
