/** Credentials, as calls and operators meet them: what a call is sent with, what a refusal leads to, what is stored. */
import { isKept } from '../../config/auth.ts'
import type { IntegrationSettings, OAuthSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import type { EventBus } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'
import type { Random } from '../../core/random.ts'
import type { Ledger } from '../../ledger/port.ts'
import { isWorthRenewing } from '../../policy/credentials.ts'
import type { OutboundCall } from '../call/call.ts'
import { createSingleFlight } from '../single-flight.ts'
import type { Transport, TransportRequest } from '../wire/transport.ts'
import type { Cipher } from './cipher.ts'
import { CredentialBoard } from './credential-board.ts'
import { SecretBook } from './known-secrets.ts'
import { type CredentialDesk, createCredentialDesk } from './operators.ts'
import { type ParkingParts, park, refuse, suspendOne } from './parking.ts'
import { AS_BEARER, headerOf, signed, withQueryParameter, withSecret } from './place.ts'
import { credentialName, type Found, TokenKeeper } from './token-keeper.ts'

export type Authorized =
  /** `version`: what it was sent with; 0 where it comes from the configuration. */
  | { readonly kind: 'ready'; readonly request: TransportRequest; readonly version: number }
  | { readonly kind: 'held'; readonly untilMs: number; readonly reason: string }

export interface SentWith {
  readonly version: number
  /** Wall-clock. */
  readonly sentAtMs: number
}

export interface Credentials {
  /** Every secret that this process has had in its hands. */
  readonly secrets: SecretBook
  /** For operators. */
  readonly desk: CredentialDesk
  /**
   * The request with its credential; a token that has come to its end is renewed first.
   * @throws HoldfastError `signing_failed`, `unsupported_body`, `invalid_header`
   */
  authorize(call: OutboundCall, request: TransportRequest): Promise<Authorized>
  /**
   * After the API refused it: the request with a newer credential, once (D01). `undefined`: there is none, and its lanes
   * are suspended.
   */
  renew(
    call: OutboundCall,
    request: TransportRequest,
    sent: SentWith,
    failure: Failure,
  ): Promise<Authorized | undefined>
  /** The API refused it for good: its lanes wait for a person. Never throws. */
  refused(call: OutboundCall, sent: SentWith, failure: Failure): Promise<void>
  /** Waits for what is being asked of a token endpoint. */
  close(): Promise<void>
}

export interface CredentialParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth' | 'suspendLanes' | 'lanes' | 'channels'>
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
  readonly cipher: Cipher
  readonly workerId: string
  readonly onSuspended: () => Promise<void>
}

/** Suspended lanes are not claimed; who comes all the same looks again after this. */
const REFUSED_AGAIN_MS = 30_000

/** True where the credential is not simply a header that is always the same. */
export function isMadePerCall({ auth }: IntegrationSettings): boolean {
  return isKept(auth) || auth.type === 'query' || auth.type === 'signed'
}

/** The caller sends a credential of its own in the place of ours. */
export function bringsOwnCredential(call: OutboundCall): boolean {
  if (call.ownCredential !== undefined) return call.ownCredential
  const ours = headerOf(call.integration.auth) ?? 'authorization'
  return Object.keys(call.headers).some((name) => name.toLowerCase() === ours)
}

/** Runs one thing after the other. */
function createQueue(): ParkingParts['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return (act) => {
    const turn = last.then(act)
    last = turn.catch(() => undefined)
    return turn
  }
}

export function createCredentials(parts: CredentialParts): Credentials {
  const { ledger, clock, cipher, workerId, events, onSuspended } = parts
  const board = new CredentialBoard({ ledger, clock, cipher })
  const secrets = new SecretBook()
  const flights = createSingleFlight({ ledger, clock, workerId })
  const keeper = new TokenKeeper({ ...parts, board, flights, secrets })
  const parking: ParkingParts = { board, ledger, clock, events, onSuspended, inTurn: createQueue() }

  async function stored(call: OutboundCall, request: TransportRequest, rejectedVersion: number): Promise<Authorized> {
    const { integration, endpoint, signal } = call
    const limitMs = endpoint.timeouts.totalMs
    const found = await keeper.find(integration, { rejectedVersion, signal, limitMs })
    if (found.kind !== 'usable') return held(call, found)
    const { auth } = integration
    const place = auth.type === 'stored' ? auth : AS_BEARER
    return { kind: 'ready', request: withSecret(request, place, found.secret), version: found.version }
  }

  async function held(call: OutboundCall, found: Exclude<Found, { kind: 'usable' }>): Promise<Authorized> {
    const name = credentialName(call.integration)
    const reason = `credential ${name}: ${found.reason}`
    if (found.kind === 'held') return { kind: 'held', untilMs: found.untilMs, reason }
    await orTrouble(() => park(parking, call, found))
    return { kind: 'held', untilMs: clock.wallMs() + REFUSED_AGAIN_MS, reason }
  }

  async function refused(call: OutboundCall, sent: SentWith, failure: Failure): Promise<void> {
    if (!bringsOwnCredential(call)) {
      await orTrouble(() => refuse(parking, call, { ...sent, failure }))
    } else if (call.itemId !== undefined) {
      await orTrouble(() => suspendOne(parking, call.lane, failure.message))
    }
  }

  /** A store in trouble: the item comes back, and the next refusal says it again. */
  async function orTrouble(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      events.emit('engine.trouble', clock.wallMs(), { where: 'suspending a refused credential', message, cause })
    }
  }

  return {
    secrets,
    desk: createCredentialDesk({
      board,
      cipher,
      clock,
      events,
      renewNow: (integration) => keeper.renewNow(integration),
    }),
    async authorize(call, request) {
      const { auth } = call.integration
      if (auth.type === 'query') {
        return { kind: 'ready', request: withQueryParameter(request, auth.name, auth.value), version: 0 }
      }
      if (auth.type === 'signed') {
        return { kind: 'ready', request: await signed(request, auth.sign, clock), version: 0 }
      }
      return stored(call, request, 0)
    },
    async renew(call, request, sent, failure) {
      const { auth } = call.integration
      if (isKept(auth) && (await isRenewable(call, auth.type === 'oauth2' ? auth : undefined, sent, failure))) {
        return stored(call, request, sent.version)
      }
      await refused(call, sent, failure)
      return undefined
    },
    refused,
    close: () => keeper.close(),
  }

  /** Newer than what was refused, or worth asking for. */
  async function isRenewable(
    call: OutboundCall,
    auth: OAuthSettings | undefined,
    { version }: SentWith,
    failure: Failure,
  ): Promise<boolean> {
    try {
      const record = await board.fresh(credentialName(call.integration))
      const said = `${failure.message} ${failure.bodyExcerpt ?? ''}`
      return record.version > version || (auth !== undefined && isWorthRenewing(record, auth, said, clock.wallMs()))
    } catch {
      // The store does not answer: `find` says so, and holds the call.
      return true
    }
  }
}
