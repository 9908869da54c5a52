/**
 * Addresses that answered 410: Standard Webhooks say so of an endpoint that is to be sent nothing more. All processes know of
 * them, through one shared record, and none calls them until a person enables them again.
 */
import type { Clock } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'
import { isJsonObject, type Json, sha256Hex } from '../../core/json.ts'
import type { HealthRecord, Ledger } from '../../ledger/port.ts'

export interface DisabledAddress {
  /** The first 16 hex digits of the SHA-256 of the URL: addresses of webhooks are often secrets themselves. */
  readonly address: string
  /** `callback.hooks.example.com` */
  readonly integration: string
  readonly sinceMs: number
  /** The callback that was answered with 410; its input has the URL. */
  readonly itemId: string
}

export interface DisabledAddresses {
  list(): Promise<readonly DisabledAddress[]>
  /** As this process heard of it within the last second: who calls a moment too late is answered 410, as the first was. */
  find(address: string): Promise<DisabledAddress | undefined>
  disable(one: Omit<DisabledAddress, 'sinceMs'>): Promise<DisabledAddress>
  /** What it was; `undefined`: not disabled. */
  enable(address: string): Promise<DisabledAddress | undefined>
}

export interface DisabledParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth'>
  readonly clock: Clock
  readonly events: EventBus
}

const KEY = 'callbacks:disabled'
const LOOK_EVERY_MS = 1000
/** Addresses are often made for one run. What is forgotten of them, the oldest first, costs one more call that is answered 410. */
const MOST_REMEMBERED = 1000

export function addressOf(url: string): string {
  return sha256Hex(url).slice(0, 16)
}

/** @param named an address, or its URL */
export function addressNamed(named: string): string {
  const url = URL.parse(named)
  return url ? addressOf(url.href) : named
}

/** What a callback to it ends with: it is known that nothing was sent, or that nobody took it. */
export function addressGone({ address, sinceMs }: DisabledAddress): Failure {
  return {
    class: 'not_found',
    code: 'callback_address_gone',
    message: `the address ${address} answered 410 Gone at ${new Date(sinceMs).toISOString()}, and is disabled`,
    userMessage: 'The address that was to be told does not exist any more.',
    certainty: 'not_sent',
    hint: `Where it is there again: \`holdfast callbacks enable ${address}\`, then replay; else discard.`,
    rule: 'callbacks: 410 (Standard Webhooks)',
    countsAgainstBreaker: false,
  }
}

export function notDisabled(named: string): HoldfastError {
  return new HoldfastError({
    code: 'address_not_disabled',
    class: 'not_found',
    message: `No address "${addressNamed(named)}" is disabled`,
    hint: '`holdfast callbacks` lists them, and GET /v1/callbacks/disabled.',
  })
}

export function createDisabledAddresses({ ledger, clock, events }: DisabledParts): DisabledAddresses {
  let known: readonly DisabledAddress[] = []
  let revision = 0
  let sinceRevision = 0
  let lookedAtMs = Number.NEGATIVE_INFINITY

  function learn(record: HealthRecord): void {
    if (record.key !== KEY || record.revision < revision) return
    revision = record.revision
    known = addressesFrom(record.state)
  }

  async function look(): Promise<void> {
    const beganMs = clock.monotonicMs()
    const answer = await ledger.readHealth(sinceRevision)
    for (const record of answer.records) learn(record)
    sinceRevision = Math.max(sinceRevision, answer.revision)
    lookedAtMs = beganMs
  }

  /** However often others are quicker; `undefined`: it is so already. */
  async function change(
    next: (addresses: readonly DisabledAddress[]) => readonly DisabledAddress[] | undefined,
  ): Promise<boolean> {
    await look()
    for (;;) {
      const wanted = next(known)
      if (!wanted) return false
      const state = { addresses: wanted } as unknown as Json
      const [receipt] = await ledger.updateHealth([{ key: KEY, fromRevision: revision, state }], clock.wallMs())
      if (receipt?.applied) {
        learn({ key: KEY, revision: receipt.revision, state, updatedAtMs: clock.wallMs() })
        return true
      }
      if (receipt?.current) learn(receipt.current)
    }
  }

  const found = (address: string) => known.find((one) => one.address === address)

  return {
    async list() {
      await look()
      return known
    },
    async find(address) {
      if (clock.monotonicMs() - lookedAtMs >= LOOK_EVERY_MS) await look()
      return found(address)
    },
    async disable(one) {
      const disabled = { ...one, sinceMs: clock.wallMs() }
      const isNew = await change((addresses) =>
        addresses.some(({ address }) => address === one.address)
          ? undefined
          : [...addresses, disabled].slice(-MOST_REMEMBERED),
      )
      if (isNew) {
        const { hint, message: reason } = addressGone(disabled)
        events.emit('callback.disabled', disabled.sinceMs, { ...one, reason, hint })
      }
      return found(one.address) ?? disabled
    },
    async enable(address) {
      let enabled: DisabledAddress | undefined
      await change((addresses) => {
        enabled = addresses.find((one) => one.address === address)
        return enabled && addresses.filter((one) => one !== enabled)
      })
      if (enabled) events.emit('callback.enabled', clock.wallMs(), { address })
      return enabled
    },
  }
}

/** What another version wrote, and this one cannot read, counts as none: then they are called, and say so themselves. */
function addressesFrom(state: Json): readonly DisabledAddress[] {
  const { addresses } = isJsonObject(state) ? state : {}
  return Array.isArray(addresses) ? (addresses as unknown as readonly DisabledAddress[]) : []
}
