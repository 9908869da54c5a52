/**
 * Encrypts what is stored of credentials, each bound to its name, so that no record can be put in the place of another.
 * No error here shows a key or what was encrypted.
 */
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import { createKeyRing, type KeyRing, MAKE_A_KEY } from '../../core/key-ring.ts'
import type { Random } from '../../core/random.ts'

export interface Cipher {
  /** Of the key that encrypts; `undefined`: there is no key. */
  readonly keyId: string | undefined
  /** @throws HoldfastError `encryption_key_missing` */
  seal(text: string, name: string): string
  /** @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown`, `stored_credential_damaged` */
  open(sealed: string, name: string): string
}

const NONCE_BYTES = 12
const FORMAT = 'v1'

/**
 * @param keys 32 bytes each, as base64 or 64 hex digits, the first encrypts, all decrypt; or a ring of them
 * @throws HoldfastError `encryption_key_invalid`
 */
export function createCipher(keys: readonly string[] | KeyRing, random: Random): Cipher {
  const ring = 'encrypt' in keys ? keys : createKeyRing(keys)
  const { keyId, keyIds } = ring

  return {
    keyId,
    seal(text, name) {
      if (keyId === undefined) throw keyMissing(name)
      const bytes = ring.encrypt(text, contextOf(name, keyId), random.bytes(NONCE_BYTES))
      return [FORMAT, keyId, bytes.toString('base64url')].join('.')
    },
    open(sealed, name) {
      if (keyId === undefined) throw keyMissing(name)
      const [format, id = '', content = ''] = sealed.split('.')
      if (format !== FORMAT) throw damaged(name)
      if (!keyIds.includes(id)) throw keyUnknown(name, id, keyIds)
      const bytes = Buffer.from(content, 'base64url')
      return ring.decrypt(id, bytes, contextOf(name, id), NONCE_BYTES) ?? raise(damaged(name))
    },
  }
}

/** Which key a text was encrypted with. */
export function keyIdOf(sealed: string): string {
  return sealed.split('.')[1] ?? ''
}

function contextOf(name: string, keyId: string): string {
  return `holdfast credential ${FORMAT} ${keyId} ${name}`
}

function keyMissing(name: string): HoldfastError {
  return configurationError(
    'encryption_key_missing',
    `There is no key to encrypt or read the stored credential ${name} with`,
    `Set HOLDFAST_KEY, or \`keys\` in the configuration. ${MAKE_A_KEY}`,
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
