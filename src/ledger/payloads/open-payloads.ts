/** A store with its contents: sealed as it is set, and what can be done with all of them at once. */
import { createKeyRing, type KeyRing } from '../../core/key-ring.ts'
import type { Random } from '../../core/random.ts'
import type { CellKind, Ledger } from '../port.ts'
import { createCodec, isMarked, keyedHash, keyIdsIn } from './codec.ts'
import { encryptedAnew, erasedActions, erasedRun, namesOneOf } from './rewrites.ts'
import { type Sealing, sealedLedger, sealedSubmit } from './sealed-ledger.ts'
import { changeState, hashKeyOf, type StateParts, stateAtOpen, withHashKey } from './state.ts'

export interface OpenPayloads<Inner extends Ledger> {
  readonly ledger: Inner
  readonly payloads: Payloads
  /** For what takes part in a transaction of a user's own. */
  sealed(submit: Pick<Ledger, 'submit'>): Pick<Ledger, 'submit'>
}

/** What can be done with the contents of all records, or of one subject's. */
export interface Payloads {
  /** 64 hex digits: whose data a run holds, without saying whose. Upper case, and white space around it, make no difference. */
  subjectHash(subject: string): Promise<string>
  /** Which keys the stored texts are encrypted with. Reads everything. */
  keysInUse(): Promise<KeysInUse>
  /**
   * Encrypts everything with the present key; safe to repeat, and to interrupt.
   * @throws HoldfastError `encryption_key_unknown` naming a key that is missing; what was done stays done
   */
  rotate(options?: RotateOptions): Promise<PayloadRotation>
  /** Erases what runs hold, all of whose items have ended; and what actions say of it. For good. */
  erase(request: Erasure): Promise<{ readonly texts: number }>
  /** See `Ledger.scrub`. */
  scrub(): Promise<void>
}

export interface KeysInUse {
  readonly encrypts: boolean
  /** Of the present key. */
  readonly keyId: string | undefined
  /** Texts by the id of their key. */
  readonly texts: Readonly<Record<string, number>>
  /** Inputs, outputs and what the engine remembers in clear; what was erased is not among them. */
  readonly inClear: number
}

export interface RotateOptions {
  /** Also clears what was overwritten from the files of the store: see `Ledger.scrub`. Default false. */
  readonly scrub?: boolean
  readonly onProgress?: (seen: number) => void
  readonly signal?: AbortSignal
}

export interface PayloadRotation {
  readonly encrypts: boolean
  readonly keyId: string | undefined
  readonly seen: number
  readonly changed: number
  /** False where it was interrupted. */
  readonly isWhole: boolean
}

export interface Erasure {
  readonly runIds: readonly string[]
  /** As it was given. */
  readonly subject?: string
  /** Other names of the same, which actions may have: keys of the runs. */
  readonly names?: readonly string[]
  readonly atMs: number
}

export interface PayloadParts<Inner extends Ledger> extends Omit<StateParts, 'ledger'> {
  readonly ledger: Inner
  readonly ring: KeyRing
  readonly random: Random
  /** What the configuration wishes; a store that encrypts goes on doing so. */
  readonly encrypt: boolean
}

const CONTENTS: ReadonlySet<CellKind> = new Set(['input', 'output', 'memo'])
const PAGE = 500
const RUNS_AT_ONCE = 50

/**
 * @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown`: the store holds what cannot be read with the keys given
 */
export async function openPayloads<Inner extends Ledger>(parts: PayloadParts<Inner>): Promise<OpenPayloads<Inner>> {
  const { ledger, ring, random } = parts
  const state = await stateAtOpen(parts, parts.encrypt)
  const encrypts = state?.encrypts ?? false
  const codec = createCodec({ ring, random, encrypts, hashKey: state && hashKeyOf(parts, state) })
  const sealing: Sealing = { codec, isMixed: state?.isMixed ?? false, hashesKeys: state?.hashesKeys ?? false }
  return {
    ledger: sealedLedger(ledger, sealing),
    payloads: createPayloads(parts, sealing),
    sealed: (submit) => sealedSubmit(submit, sealing),
  }
}

/** For a store whose contents are not sealed: what the engine works with where nobody gives it anything else. */
export function plainPayloads(parts: Omit<StateParts, 'ring' | 'ledger'> & { readonly ledger: Ledger }): Payloads {
  const ring = createKeyRing([])
  const codec = createCodec({ ring, random: parts.random, encrypts: false, hashKey: undefined })
  return createPayloads({ ...parts, ring, encrypt: false }, { codec, isMixed: false, hashesKeys: false })
}

function createPayloads<Inner extends Ledger>(parts: PayloadParts<Inner>, { codec }: Sealing): Payloads {
  const { ledger, ring } = parts
  let knownHashKey: Promise<Buffer> | undefined

  function hashKey(): Promise<Buffer> {
    knownHashKey ??= readHashKey().catch((error: unknown) => {
      knownHashKey = undefined
      throw error
    })
    return knownHashKey
  }

  async function readHashKey(): Promise<Buffer> {
    const state = await withHashKey(parts)
    if (!state) throw new Error('the store gave no state of its contents')
    return hashKeyOf(parts, state)
  }

  /** Every page of what there is. False where it was interrupted. */
  async function pages(
    rewrite: Parameters<Ledger['recode']>[1],
    { onProgress, signal }: RotateOptions,
    only?: 'actions',
  ): Promise<{ seen: number; changed: number; isWhole: boolean }> {
    let [seen, changed] = [0, 0]
    let after: string | undefined
    do {
      if (signal?.aborted) return { seen, changed, isWhole: false }
      const page = await ledger.recode({ after, limit: PAGE, ...(only && { only }) }, rewrite)
      seen += page.seen
      changed += page.changed
      after = page.reached
      onProgress?.(seen)
    } while (after !== undefined)
    return { seen, changed, isWhole: true }
  }

  return {
    async subjectHash(subject) {
      return keyedHash(await hashKey(), `subject ${subject.normalize('NFC').trim().toLowerCase()}`)
    },
    async keysInUse() {
      const texts: Record<string, number> = {}
      let inClear = 0
      await pages(({ kind, text }) => {
        if (CONTENTS.has(kind) && !isMarked(text)) inClear += 1
        for (const id of new Set(keyIdsIn(text))) texts[id] = (texts[id] ?? 0) + 1
        return undefined
      }, {})
      return { encrypts: codec.encrypts, keyId: ring.keyId, texts, inClear }
    },
    async rotate(options = {}) {
      const { keyId } = ring
      if (!codec.encrypts || keyId === undefined) {
        return { encrypts: false, keyId, seen: 0, changed: 0, isWhole: true }
      }
      const done = await pages(encryptedAnew(codec, ring), options)
      if (done.isWhole) {
        await changeState(parts, (state) => state && { ...state, keyIds: [keyId], isMixed: false })
        if (options.scrub) await ledger.scrub()
      }
      return { encrypts: true, keyId, ...done }
    },
    async erase({ runIds, names = [], atMs, ...given }) {
      const secret = await hashKey()
      const subject = given.subject?.trim()
      const erasing = { codec, atMs, subject, hash: (text: string) => keyedHash(secret, `effect ${text}`) }
      const isNamedIn = namesOneOf(subject === undefined ? names : [subject, ...names])
      // First: whoever is interrupted finds the runs again, and with them their names.
      let texts = isNamedIn ? (await pages(erasedActions(codec, isNamedIn), {}, 'actions')).changed : 0
      for (let start = 0; start < runIds.length; start += RUNS_AT_ONCE) {
        const runs = runIds.slice(start, start + RUNS_AT_ONCE)
        texts += (await ledger.recode({ runs }, erasedRun(erasing))).changed
      }
      return { texts }
    },
    scrub: () => ledger.scrub(),
  }
}
