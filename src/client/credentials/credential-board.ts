/**
 * What all processes know of the credentials, through shared records of the ledger: read when they change, written by
 * compare-and-swap, secrets only encrypted. A record is never removed, so nothing that was stored is lost by a write.
 */
import type { Clock } from '../../core/clock.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { HealthRecord, Ledger } from '../../ledger/port.ts'
import { type CredentialState, UNKNOWN_CREDENTIAL } from '../../policy/credentials.ts'
import type { Cipher } from './cipher.ts'

export interface CredentialRecord extends CredentialState {
  readonly sealed: string | null
}

/** What is encrypted. */
export interface CredentialSecrets {
  /** Of a token endpoint; or the secret itself, where it is stored as it is. */
  readonly accessToken?: string
  readonly refreshToken?: string
  /** Tells whether the configuration holds another first refresh token than the one that this began with. */
  readonly firstFingerprint?: string
}

export interface BoardParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth'>
  readonly clock: Clock
  readonly cipher: Cipher
}

interface Known {
  readonly revision: number
  readonly record: CredentialRecord
}

export interface Change {
  /** As it is now. */
  readonly record: CredentialRecord
  /** False: there was nothing to change. */
  readonly changed: boolean
}

const RECORD_PREFIX = 'credential:'
export const NO_RECORD: CredentialRecord = { ...UNKNOWN_CREDENTIAL, sealed: null }
const NOTHING: Known = { revision: 0, record: NO_RECORD }

export class CredentialBoard {
  readonly #parts: BoardParts
  readonly #known = new Map<string, Known>()
  readonly #opened = new Map<string, { readonly sealed: string; readonly secrets: CredentialSecrets }>()
  #sinceRevision = 0
  #looked = false

  constructor(parts: BoardParts) {
    this.#parts = parts
  }

  /** As it was when this process last heard of it; `undefined` before it first looked. */
  remembered(name: string): CredentialRecord | undefined {
    return this.#looked ? this.#get(name).record : undefined
  }

  /** As it is now. */
  async fresh(name: string): Promise<CredentialRecord> {
    await this.look()
    return this.#get(name).record
  }

  async look(): Promise<void> {
    const { records, revision } = await this.#parts.ledger.readHealth(this.#sinceRevision)
    for (const record of records) this.#learn(record)
    // Two looks at once may end in any order.
    this.#sinceRevision = Math.max(this.#sinceRevision, revision)
    this.#looked = true
  }

  names(): string[] {
    return [...this.#known.keys()].sort()
  }

  /**
   * Changes a record to what `next` makes of it, however often others are quicker; `undefined` leaves it.
   * @throws what the store throws: then it may or may not have been written
   */
  async change(name: string, next: (record: CredentialRecord) => CredentialRecord | undefined): Promise<Change> {
    const { ledger, clock } = this.#parts
    for (;;) {
      const { revision, record } = this.#get(name)
      const wanted = next(record)
      if (!wanted) return { record, changed: false }
      const key = RECORD_PREFIX + name
      const change = { key, fromRevision: revision, state: { ...wanted } as unknown as Json }
      const [receipt] = await ledger.updateHealth([change], clock.wallMs())
      if (receipt?.applied) {
        this.#keep(name, { revision: receipt.revision, record: wanted })
        return { record: wanted, changed: true }
      }
      if (receipt?.current) this.#learn(receipt.current)
    }
  }

  /** @throws HoldfastError of the cipher */
  seal(name: string, secrets: CredentialSecrets): string {
    return this.#parts.cipher.seal(JSON.stringify(secrets), name)
  }

  /** @throws HoldfastError of the cipher */
  secretsOf(name: string, { sealed }: CredentialRecord): CredentialSecrets {
    if (sealed === null) return {}
    const opened = this.#opened.get(name)
    if (opened?.sealed === sealed) return opened.secrets
    const secrets = JSON.parse(this.#parts.cipher.open(sealed, name)) as CredentialSecrets
    this.#opened.set(name, { sealed, secrets })
    return secrets
  }

  #get(name: string): Known {
    return this.#known.get(name) ?? NOTHING
  }

  #learn({ key, revision, state }: HealthRecord): void {
    if (!key.startsWith(RECORD_PREFIX)) return
    this.#keep(key.slice(RECORD_PREFIX.length), { revision, record: recordFromJson(state) })
  }

  #keep(name: string, known: Known): void {
    if (known.revision >= this.#get(name).revision) this.#known.set(name, known)
  }
}

/** What another version wrote and this one does not know has its usual value. */
function recordFromJson(state: Json): CredentialRecord {
  return isJsonObject(state) ? { ...NOTHING.record, ...(state as unknown as CredentialRecord) } : NOTHING.record
}
