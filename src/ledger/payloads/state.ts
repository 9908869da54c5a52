/**
 * What a store says of its own contents: whether they are encrypted, with which keys, and the secret that hashes are made with.
 * Once encrypted, always encrypted: a process whose configuration does not say so encrypts all the same.
 */
import type { Json } from '../../core/json.ts'
import { type KeyRing, MANY_TEXTS } from '../../core/key-ring.ts'
import type { Random } from '../../core/random.ts'
import type { Ledger } from '../port.ts'
import { keyNotHere, noKeyToEncryptWith } from './codec.ts'

export type PayloadState = {
  readonly version: 1
  readonly encrypts: boolean
  /** There may be contents from before it encrypted. */
  readonly isMixed: boolean
  readonly hashesKeys: boolean
  /** Every key that something may be encrypted with. */
  readonly keyIds: readonly string[]
  /** Base64; encrypted with the key of that id, or in clear where nothing else is encrypted either. */
  readonly hashKey: string
  readonly hashKeyId: string | null
}

export interface StateParts {
  readonly ledger: Pick<Ledger, 'description' | 'readHealth' | 'updateHealth' | 'recode'>
  readonly ring: KeyRing
  readonly random: Random
  readonly nowMs: () => number
}

/** Among the shared records, where every adapter has a place for it, and which a move takes along. */
export const STATE_RECORD = 'payloads'
const HASH_KEY_BYTES = 32
const HASH_KEY_CONTEXT = 'holdfast payload hash key'

export async function readState({ ledger }: Pick<StateParts, 'ledger'>): Promise<Stored> {
  const { records } = await ledger.readHealth(0)
  const record = records.find(({ key }) => key === STATE_RECORD)
  return { state: record?.state as PayloadState | undefined, revision: record?.revision ?? 0 }
}

interface Stored {
  readonly state: PayloadState | undefined
  readonly revision: number
}

/** Changes it as it is now, whoever else does: `change` gives `undefined` where it is well. */
export async function changeState(
  parts: StateParts,
  change: (state: PayloadState | undefined) => PayloadState | undefined | Promise<PayloadState | undefined>,
): Promise<PayloadState | undefined> {
  let { state, revision } = await readState(parts)
  for (;;) {
    const next = await change(state)
    if (!next) return state
    const nowMs = parts.nowMs()
    const changing = { key: STATE_RECORD, fromRevision: revision, state: next as unknown as Json }
    const [receipt] = await parts.ledger.updateHealth([changing], nowMs)
    if (!receipt || receipt.applied) return next
    state = receipt.current?.state as PayloadState | undefined
    revision = receipt.current?.revision ?? 0
  }
}

/**
 * The state to work by, after what this process brings: the wish to encrypt, a newer key.
 * @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown`: before anything is read or written
 */
export async function stateAtOpen(parts: StateParts, encrypt: boolean): Promise<PayloadState | undefined> {
  const { ring } = parts
  return changeState(parts, async (state) => {
    if (!state?.encrypts) return encrypt ? encrypting(parts, state) : undefined
    assertKeys(parts, state)
    const { keyId } = ring
    if (keyId === undefined || state.keyIds.includes(keyId)) return undefined
    const secret = hashKeyOf(parts, state)
    return { ...state, keyIds: [keyId, ...state.keyIds], ...sealedHashKey(parts, secret) }
  })
}

async function encrypting(parts: StateParts, state: PayloadState | undefined): Promise<PayloadState> {
  const { keyId } = parts.ring
  if (keyId === undefined) throw noKeyToEncryptWith()
  const isEmpty = await holdsNothing(parts)
  const secret = state ? hashKeyOf(parts, state) : newHashKey(parts)
  return {
    version: 1,
    encrypts: true,
    isMixed: !isEmpty,
    // Records that are known by a plain key already would not be known again by a hashed one.
    hashesKeys: isEmpty,
    keyIds: [keyId],
    ...sealedHashKey(parts, secret),
  }
}

/** For hashes in a store that does not encrypt. */
export function withHashKey(parts: StateParts): Promise<PayloadState | undefined> {
  return changeState(parts, (state) =>
    state
      ? undefined
      : {
          version: 1,
          encrypts: false,
          isMixed: false,
          hashesKeys: false,
          keyIds: [],
          hashKey: newHashKey(parts).toString('base64'),
          hashKeyId: null,
        },
  )
}

/** @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown` */
export function hashKeyOf({ ring, ledger }: StateParts, { hashKey, hashKeyId }: PayloadState): Buffer {
  const bytes = Buffer.from(hashKey, 'base64')
  if (hashKeyId === null) return bytes
  const opened = ring.decrypt(hashKeyId, bytes, HASH_KEY_CONTEXT, MANY_TEXTS)
  if (opened === undefined) throw keyNotHere(hashKeyId, ring.keyIds, whatOf(ledger))
  return Buffer.from(opened, 'base64')
}

function assertKeys({ ring, ledger }: StateParts, { keyIds }: PayloadState): void {
  const missing = keyIds.find((id) => !ring.keyIds.includes(id))
  if (missing !== undefined) throw keyNotHere(missing, ring.keyIds, whatOf(ledger))
}

function whatOf({ description }: StateParts['ledger']): string {
  return `What ${description} holds`
}

function newHashKey({ random }: StateParts): Buffer {
  return Buffer.from(random.bytes(HASH_KEY_BYTES))
}

function sealedHashKey({ ring, random }: StateParts, secret: Buffer): Pick<PayloadState, 'hashKey' | 'hashKeyId'> {
  const bytes = ring.encrypt(secret.toString('base64'), HASH_KEY_CONTEXT, random.bytes(MANY_TEXTS))
  return { hashKey: bytes.toString('base64'), hashKeyId: ring.keyId ?? null }
}

async function holdsNothing({ ledger }: StateParts): Promise<boolean> {
  let after: string | undefined
  do {
    const { seen, reached } = await ledger.recode({ after, limit: 1 }, () => undefined)
    if (seen > 0) return false
    after = reached
  } while (after !== undefined)
  return true
}
