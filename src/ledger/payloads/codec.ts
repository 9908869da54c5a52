/**
 * What the contents of records look like in the store. A content is JSON text as it came; or, in a store that encrypts, a mark: a JSON
 * string that begins with `hf~` and holds the key's id and what was encrypted. Texts for people (reasons, messages) hold the same
 * mark amid other words, because the store joins them. A content that only looks like a mark is kept with an `=` in front, so
 * none is ever mistaken for one.
 */
import { createHmac } from 'node:crypto'
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import { type KeyRing, MAKE_A_KEY, MANY_TEXTS } from '../../core/key-ring.ts'
import type { Random } from '../../core/random.ts'

export interface CodecParts {
  readonly ring: KeyRing
  readonly random: Random
  /** What is written is encrypted. */
  readonly encrypts: boolean
  /** Secret of the store; what is looked up by hash is hashed with it. `undefined` only where nothing was ever encrypted. */
  readonly hashKey: Buffer | undefined
}

export interface Codec {
  readonly encrypts: boolean
  /** @param context what it belongs to: only there it can be opened */
  sealJson(text: string, context: string): string
  /**
   * The JSON text that was sealed.
   * @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown`, `stored_payload_damaged`
   */
  openJson(text: string, context: string): string
  /** As {@link openJson}, for what was parsed already. */
  openValue(value: Json, context: string): Json
  /** Equal texts give equal marks, so that the store can keep one of many. */
  sealText(text: string): string
  /** What cannot be opened stays as it is stored: reading is to help people, whatever a key is missing. */
  openText(text: string): string
  /** Of a fingerprint or key made of content, which would else let everybody try what the content may be. */
  keyed(hash: string): string
}

const MARK = 'hf~'
const SEALED = /^hf~1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)~$/
const SEALED_WITHIN = /hf~1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)~/g
const ERASED = /^hf~erased\.(\d+)~$/
const ESCAPE = 'hf~='
const KEYED = 'hmac:'
const TEXT = 'text'

/** In an outage thousands of attempts end with the same words. */
const MOST_REMEMBERED = 1000

export function createCodec({ ring, random, encrypts, hashKey }: CodecParts): Codec {
  const texts = new Map<string, string>()

  function mark(text: string, context: string, entropy: Uint8Array): string {
    const bytes = ring.encrypt(text, contextOf(context), entropy)
    return `${MARK}1.${ring.keyId}.${bytes.toString('base64url')}~`
  }

  function opened(keyId: string, content: string, context: string): string | undefined {
    return ring.decrypt(keyId, Buffer.from(content, 'base64url'), contextOf(context), MANY_TEXTS)
  }

  /** @param stored without its quotes */
  function openMark(stored: string, context: string): string {
    if (stored.startsWith(ESCAPE)) return JSON.stringify(stored.slice(ESCAPE.length))
    const [, erasedAtMs] = ERASED.exec(stored) ?? []
    if (erasedAtMs !== undefined) return `{"erased":true,"erasedAtMs":${erasedAtMs}}`
    const [, keyId, content] = SEALED.exec(stored) ?? []
    if (keyId === undefined || content === undefined) throw damaged(context)
    if (!ring.keyIds.includes(keyId)) throw keyNotHere(keyId, ring.keyIds, `The ${context} in the store`)
    return opened(keyId, content, context) ?? raise(damaged(context))
  }

  return {
    encrypts,
    sealJson(text, context) {
      if (encrypts) return `"${mark(text, context, random.bytes(MANY_TEXTS))}"`
      return isMarked(text) ? `"${ESCAPE}${text.slice(1)}` : text
    },
    openJson(text, context) {
      return isMarked(text) ? openMark(JSON.parse(text) as string, context) : text
    },
    openValue(value, context) {
      if (typeof value !== 'string' || !value.startsWith(MARK)) return value
      return JSON.parse(openMark(value, context)) as Json
    },
    sealText(text) {
      if (!encrypts || !hashKey || text === '') return text
      const known = texts.get(text)
      if (known !== undefined) return known
      const entropy = createHmac('sha256', hashKey).update('text\0').update(text).digest().subarray(0, MANY_TEXTS)
      const stored = mark(text, TEXT, entropy)
      if (texts.size >= MOST_REMEMBERED) texts.clear()
      texts.set(text, stored)
      return stored
    },
    openText(text) {
      if (!text.includes(`${MARK}1.`)) return text
      return text.replace(SEALED_WITHIN, (stored, keyId, content) => opened(keyId, content, TEXT) ?? stored)
    },
    keyed(hash) {
      if (!encrypts || !hashKey || hash.startsWith(KEYED)) return hash
      return KEYED + keyedHash(hashKey, hash)
    },
  }
}

/** 64 hex digits that tell nothing without the store's secret. */
export function keyedHash(hashKey: Buffer, text: string): string {
  return createHmac('sha256', hashKey).update('hash\0').update(text).digest('hex')
}

/** A content that is not as it came. */
export function isMarked(text: string | undefined): boolean {
  return text?.startsWith(`"${MARK}`) === true
}

/** A content that was erased then. */
export function erasedJson(atMs: number): string {
  return `"${MARK}erased.${atMs}~"`
}

/** With which keys a stored text is encrypted: none where it is in clear. */
export function keyIdsIn(stored: string): string[] {
  return [...stored.matchAll(SEALED_WITHIN)].map(([, keyId = '']) => keyId)
}

/** True for a content that says nothing any more. */
export function isErased(stored: string): boolean {
  return stored.startsWith(`"${MARK}erased.`)
}

export function isKeyed(hash: string): boolean {
  return hash.startsWith(KEYED)
}

function contextOf(context: string): string {
  return `holdfast payload 1 ${context}`
}

export function keyNotHere(keyId: string, known: readonly string[], what: string): HoldfastError {
  if (known.length === 0) {
    return configurationError(
      'encryption_key_missing',
      `${what} is encrypted with key ${keyId}, and there is no key here`,
      'Set HOLDFAST_KEY, or `keys` in the configuration, to the key that the other processes have. Nothing is lost: it is readable again with it.',
      { keyId },
    )
  }
  return configurationError(
    'encryption_key_unknown',
    `${what} is encrypted with key ${keyId}, which is not among the keys given here (${known.join(', ')})`,
    'Give that key as well, after the present one; `holdfast keys rotate` then makes it needless. Nothing is lost: it is readable again with it.',
    { keyId, known },
  )
}

export function noKeyToEncryptWith(): HoldfastError {
  return configurationError(
    'encryption_key_missing',
    'The configuration says `encryptPayloads`, and there is no key to encrypt with',
    `Set HOLDFAST_KEY, or \`keys\` in the configuration. ${MAKE_A_KEY}`,
  )
}

function damaged(context: string): HoldfastError {
  return configurationError(
    'stored_payload_damaged',
    `The ${context} in the store cannot be decrypted: it was changed, or belongs elsewhere`,
    'Somebody changed the store, or its disk is failing: restore it from a backup, or discard the item and submit the record again.',
    { context },
  )
}

function raise(error: HoldfastError): never {
  throw error
}
