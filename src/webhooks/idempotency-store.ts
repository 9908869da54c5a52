/** Where `idempotent` keeps what was answered: the effects of the ledger, on the clock that everybody shares. */
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { EventBus } from '../core/events.ts'
import type { EffectReceipt, Ledger } from '../ledger/port.ts'

export interface IdempotencyStore {
  /**
   * Reserves a key for one request; `retake` also one whose owner never reported back.
   * @throws HoldfastError `store_*`
   */
  begin(request: KeyedRequest): Promise<KeyReceipt>
}

export interface KeyedRequest {
  readonly key: string
  /** Of everything that must be the same when the key is. */
  readonly fingerprint: string
  /** A reservation that nobody ended by then is `unknown`. */
  readonly reserveMs: number
  readonly keepMs: number
  readonly retake: boolean
}

export type KeyReceipt =
  | { readonly outcome: 'started'; readonly reservation: Reservation }
  | { readonly outcome: 'done'; readonly output: string }
  | { readonly outcome: 'in_progress' | 'unknown' | 'mismatch' }

export interface Reservation {
  /** The answer, for all that follow. A store that fails now makes them ask a person: the answer in hand is true all the same. */
  keep(output: string): Promise<void>
  /** Surely nothing was done: the key is free again. */
  release(): Promise<void>
}

export interface IdempotencyStoreParts {
  readonly ledger: Pick<Ledger, 'beginEffects' | 'endEffects'>
  readonly clock: Clock
  readonly events: EventBus
  readonly newId: () => string
}

/** No tenant of a user: requests of one's own API have their own keys. */
const TENANT = 'default'

export function createIdempotencyStore(parts: IdempotencyStoreParts): IdempotencyStore {
  const { ledger, clock } = parts

  async function begin(request: KeyedRequest): Promise<KeyReceipt> {
    const owner = `api:${parts.newId()}`
    const receipt = await reserve(request, owner)
    if (receipt.outcome === 'started') return { outcome: 'started', reservation: reservationOf(request.key, owner) }
    if (receipt.outcome === 'done') return { outcome: 'done', output: receipt.output }
    if (receipt.outcome !== 'unknown' || !request.retake) return { outcome: receipt.outcome }
    await ledger.endEffects([{ tenant: TENANT, key: request.key, owner: receipt.owner, done: false }], clock.wallMs())
    return begin({ ...request, retake: false })
  }

  async function reserve({ key, fingerprint, reserveMs, keepMs }: KeyedRequest, owner: string): Promise<EffectReceipt> {
    const nowMs = clock.wallMs()
    const times = { reservedUntilMs: nowMs + reserveMs, keepUntilMs: nowMs + keepMs }
    const [receipt] = await ledger.beginEffects([{ tenant: TENANT, key, fingerprint, owner, ...times }], nowMs)
    if (!receipt) throw new Error('The ledger gave no receipt for a key')
    return receipt
  }

  function reservationOf(key: string, owner: string): Reservation {
    const mine = { tenant: TENANT, key, owner }
    return {
      keep: (output) => end({ ...mine, done: true, output }),
      release: () => end({ ...mine, done: false }),
    }
  }

  async function end(effect: Parameters<Ledger['endEffects']>[0][number]): Promise<void> {
    try {
      await ledger.endEffects([effect], clock.wallMs())
    } catch (cause) {
      const message = `the answer of an idempotent request was not recorded: ${messageOf(cause)}`
      parts.events.emit('engine.trouble', clock.wallMs(), { where: 'idempotent', message, cause })
    }
  }

  return { begin }
}
