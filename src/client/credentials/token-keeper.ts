/**
 * Finds a token that can be used, and gets a new one where there is none: once for all callers in all processes, from the
 * freshest record, and written down before anybody uses it (D01, R011, R145).
 */
import { isKept } from '../../config/auth.ts'
import type { IntegrationSettings, OAuthSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import { sha256Hex } from '../../core/json.ts'
import type { Random } from '../../core/random.ts'
import { type CredentialStep, nextCredentialStep, type TokenVerdict, tokenPauseMs } from '../../policy/credentials.ts'
import { redactText } from '../../policy/redact.ts'
import { eitherSignal } from '../attempt/waiting.ts'
import type { SingleFlight } from '../single-flight.ts'
import type { Transport } from '../wire/transport.ts'
import { alertOf } from './alerts.ts'
import type { CredentialBoard, CredentialRecord, CredentialSecrets } from './credential-board.ts'
import type { SecretBook } from './known-secrets.ts'
import { askTokenEndpoint, type TokenResult } from './token-endpoint.ts'

export interface KeeperParts {
  readonly board: CredentialBoard
  readonly flights: SingleFlight
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
  readonly secrets: SecretBook
}

export interface Wanted {
  /** The API refused this version to the caller; 0: nothing was refused. */
  readonly rejectedVersion: number
  readonly signal: AbortSignal | undefined
  /** How long to wait while it is renewed. */
  readonly limitMs: number
}

export type Found =
  | { readonly kind: 'usable'; readonly secret: string; readonly version: number }
  /** It comes back by itself. */
  | { readonly kind: 'held'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }

/** Longer than a request to a token endpoint may take; after it another process may ask. */
const LEASE_MS = 30_000
const LOOK_AGAIN_MS = 1000
const TROUBLE_AGAIN_MS = 30_000
const SAVE_AGAIN_MS = 200
/** Renewed, and refused or replaced again before this caller could use it. */
const MAX_ROUNDS = 4
const BEING_RENEWED = 'its token is being renewed'

type Update = (record: CredentialRecord) => CredentialRecord | undefined

/** `hubspot/default`: the lane of the default tenant has the same name. */
export function credentialName({ name, credential }: IntegrationSettings): string {
  return `${name}/${credential}`
}

export class TokenKeeper {
  readonly #parts: KeeperParts
  /** Of this process: renewals ahead of time do not begin everywhere at once. */
  #chance: number | undefined
  readonly #ahead = new Set<string>()
  readonly #asking = new Set<Promise<unknown>>()
  /** Obtained and not yet written down: nobody uses them before. */
  readonly #unsaved = new Map<string, Update>()
  /** Whose values are known as secret. */
  readonly #taught = new WeakSet<CredentialSecrets>()

  constructor(parts: KeeperParts) {
    this.#parts = parts
  }

  /** Never throws: a store or a key that fails holds the call, as every other trouble does. */
  async find(integration: IntegrationSettings, wanted: Wanted): Promise<Found> {
    const { clock, events } = this.#parts
    try {
      return this.#fromMemory(integration, wanted) ?? (await this.#withinLimit(integration, wanted))
    } catch (cause) {
      const nowMs = clock.wallMs()
      const message = messageOf(cause)
      events.emit('engine.trouble', nowMs, { where: `credential ${credentialName(integration)}`, message, cause })
      const isSetUp = isHoldfastError(cause) && cause.class === 'configuration'
      return { kind: 'held', untilMs: nowMs + (isSetUp ? TROUBLE_AGAIN_MS : LOOK_AGAIN_MS), reason: message }
    }
  }

  /**
   * A new token, whatever the present one is still good for: once for all who ask for it at the same time.
   * @throws HoldfastError `token_not_renewed`; what the store and the key throw
   */
  async renewNow(integration: IntegrationSettings): Promise<void> {
    const { board } = this.#parts
    const name = credentialName(integration)
    const before = await board.fresh(name)
    await this.#renew(integration, before.version, 0, undefined)
    const after = await board.fresh(name)
    if (after.version <= before.version) throw notRenewed(name, after)
  }

  /** What is being asked for is waited for: a rotated refresh token exists nowhere else. */
  async close(): Promise<void> {
    while (this.#asking.size > 0) await Promise.allSettled(this.#asking)
  }

  /** The path of nearly every call: no query, no timer. */
  #fromMemory(integration: IntegrationSettings, { rejectedVersion }: Wanted): Found | undefined {
    const name = credentialName(integration)
    const record = this.#unsaved.has(name) ? undefined : this.#parts.board.remembered(name)
    return record && this.#ifUsable(integration, record, this.#stepFor(integration, record, rejectedVersion))
  }

  async #withinLimit(integration: IntegrationSettings, wanted: Wanted): Promise<Found> {
    const { clock } = this.#parts
    const tooLong = new AbortController()
    const timer = clock.setTimer(wanted.limitMs, () => tooLong.abort())
    const signal = eitherSignal(wanted.signal, tooLong.signal) as AbortSignal
    try {
      return await this.#find(integration, wanted, signal)
    } catch (error) {
      if (!signal.aborted) throw error
      return { kind: 'held', untilMs: clock.wallMs() + LOOK_AGAIN_MS, reason: BEING_RENEWED }
    } finally {
      timer.cancel()
    }
  }

  async #find(integration: IntegrationSettings, { rejectedVersion }: Wanted, signal: AbortSignal): Promise<Found> {
    const { board, clock } = this.#parts
    const name = credentialName(integration)
    if (this.#unsaved.has(name)) await this.#save(integration, signal)
    // Another process may know better: the store is asked before a person, or a token endpoint, is.
    let record = await board.fresh(name)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const step = this.#stepFor(integration, record, rejectedVersion)
      const usable = this.#ifUsable(integration, record, step)
      if (usable) return usable
      if (step.kind === 'wait') return { ...step, kind: 'held' }
      if (step.kind === 'refused') return step
      await this.#renew(integration, record.version, rejectedVersion, signal)
      record = await board.fresh(name)
    }
    return { kind: 'held', untilMs: clock.wallMs() + LOOK_AGAIN_MS, reason: BEING_RENEWED }
  }

  #stepFor({ auth }: IntegrationSettings, record: CredentialRecord, rejectedVersion: number): CredentialStep {
    const { clock, random } = this.#parts
    if (!isKept(auth)) throw new TypeError(`nothing is stored for auth of type ${auth.type}`)
    this.#chance ??= random.next()
    return nextCredentialStep(record, auth, rejectedVersion, clock.wallMs(), this.#chance)
  }

  #ifUsable(integration: IntegrationSettings, record: CredentialRecord, step: CredentialStep): Found | undefined {
    if (step.kind !== 'use') return undefined
    const { board, secrets } = this.#parts
    if (step.renew) this.#renewAhead(integration, record.version)
    const opened = board.secretsOf(credentialName(integration), record)
    if (!this.#taught.has(opened)) {
      secrets.of(integration).add(opened.accessToken, opened.refreshToken)
      this.#taught.add(opened)
    }
    return { kind: 'usable', secret: opened.accessToken ?? '', version: record.version }
  }

  #renewAhead(integration: IntegrationSettings, version: number): void {
    const { clock, events } = this.#parts
    const name = credentialName(integration)
    if (this.#ahead.has(name)) return
    this.#ahead.add(name)
    const renewal = this.#renew(integration, version, 0, undefined)
      .catch((cause: unknown) =>
        events.emit('engine.trouble', clock.wallMs(), { where: `renewing ${name}`, message: messageOf(cause), cause }),
      )
      .finally(() => {
        this.#ahead.delete(name)
        this.#asking.delete(renewal)
      })
    this.#asking.add(renewal)
  }

  /** What became of it stands in the record. Throws only what does not: trouble of the store or the key, the signal's reason. */
  async #renew(
    integration: IntegrationSettings,
    seenVersion: number,
    rejectedVersion: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { flights, clock } = this.#parts
    const options = { sinceMs: clock.wallMs(), leaseMs: LEASE_MS, ...(signal && { signal }) }
    try {
      await flights.run(`credential ${credentialName(integration)}`, options, (stop) => {
        const asking = this.#ask(integration, seenVersion, rejectedVersion, stop)
        const ended = asking.catch(() => undefined).finally(() => this.#asking.delete(ended))
        this.#asking.add(ended)
        return asking
      })
    } catch (error) {
      if (signal?.aborted || !isHoldfastError(error) || !TOLD_BY_RECORD.has(error.code)) throw error
    }
  }

  /** Runs in one process at a time. Gives the version that there is now. */
  async #ask(
    integration: IntegrationSettings,
    seenVersion: number,
    rejectedVersion: number,
    stop: AbortSignal,
  ): Promise<number> {
    const { board, clock, secrets } = this.#parts
    const auth = integration.auth as OAuthSettings
    const name = credentialName(integration)
    const before = await board.fresh(name)
    if (this.#unsaved.has(name)) return this.#save(integration, stop)
    // A key that is missing or wrong must be found now, not when a new refresh token is there and cannot be stored.
    board.seal(name, {})
    const refreshToken =
      auth.grant === 'refresh_token' ? refreshTokenOf(auth, board.secretsOf(name, before)) : undefined
    const askedAtMs = clock.wallMs()
    const begun = await board.change(name, (record) => {
      const done = record.version > seenVersion || record.refused !== null || record.retryAtMs > askedAtMs
      const rejected = Math.max(record.rejectedVersion, rejectedVersion)
      return done ? undefined : { ...record, askedAtMs, unanswered: true, rejectedVersion: rejected }
    })
    if (!begun.changed) return begun.record.version
    secrets.of(integration).add(refreshToken)
    const result: TokenResult =
      auth.grant === 'refresh_token' && refreshToken === undefined
        ? { kind: 'refused', code: 'refresh_token_missing', said: 'no refresh token is stored for it yet' }
        : await askTokenEndpoint(this.#parts, auth, refreshToken, stop)
    if (result.kind !== 'tokens') throw await this.#failed(integration, result, before.unanswered, begun.record.version)
    secrets.of(integration).add(result.accessToken, result.refreshToken)
    this.#unsaved.set(name, this.#updateWith(integration, result, refreshToken, begun.record.version + 1))
    return this.#save(integration, stop)
  }

  #updateWith(
    integration: IntegrationSettings,
    { accessToken, refreshToken, lifetimeMs }: Extract<TokenVerdict, { kind: 'tokens' }>,
    usedRefreshToken: string | undefined,
    version: number,
  ): Update {
    const { board, clock } = this.#parts
    const auth = integration.auth as OAuthSettings
    const obtainedAtMs = clock.wallMs()
    const lifeMs = lifetimeMs ?? auth.lifetimeMs
    const kept = refreshToken ?? usedRefreshToken
    const sealed = board.seal(credentialName(integration), {
      accessToken,
      ...(kept !== undefined && { refreshToken: kept }),
      ...fingerprintOfFirst(auth),
    })
    const expiresAtMs = lifeMs === undefined ? 0 : obtainedAtMs + lifeMs
    const answered = { unanswered: false, failures: 0, retryAtMs: 0, refused: null }
    // A person who set another one meanwhile knows better.
    return (record) =>
      record.version >= version
        ? undefined
        : { ...record, ...answered, version, usable: true, obtainedAtMs, expiresAtMs, sealed }
  }

  /** Until it is written or the lease is over; then it is kept for the next who asks here. */
  async #save(integration: IntegrationSettings, stop: AbortSignal): Promise<number> {
    const { board, clock, events } = this.#parts
    const name = credentialName(integration)
    const update = this.#unsaved.get(name) as Update
    for (;;) {
      try {
        const { record, changed } = await board.change(name, update)
        this.#unsaved.delete(name)
        const { version, expiresAtMs } = record
        const until = expiresAtMs === 0 ? {} : { expiresAtMs }
        if (changed) events.emit('credential.renewed', clock.wallMs(), { credential: name, version, ...until })
        return record.version
      } catch (error) {
        if (stop.aborted) throw error
        await clock.sleep(SAVE_AGAIN_MS, stop)
      }
    }
  }

  /** Writes down why, for everybody; tells of it once. */
  async #failed(
    integration: IntegrationSettings,
    result: Exclude<TokenResult, { kind: 'tokens' }>,
    unansweredBefore: boolean,
    askedForVersion: number,
  ): Promise<HoldfastError> {
    const { board, clock, random, events, secrets } = this.#parts
    const auth = integration.auth as OAuthSettings
    const atMs = clock.wallMs()
    const rotates = auth.grant === 'refresh_token'
    const lost = rotates && (unansweredBefore || result.kind === 'lost')
    const said = 'said' in result ? secrets.hide(redactText(result.said)).slice(0, 200) : ''
    const code = secrets.hide(result.code)
    const reason = reasonOf(code, said, result.kind, lost)
    const { record, changed } = await board.change(credentialName(integration), (known) => {
      // Said of an old refresh token where a person has set another one meanwhile.
      if (known.refused || known.version !== askedForVersion) return undefined
      const failures = known.failures + 1
      if (result.kind === 'refused') return { ...known, unanswered: false, failures, refused: { atMs, code, reason } }
      const retryAfterMs = result.kind === 'later' ? result.retryAfterMs : undefined
      return { ...known, unanswered: lost, failures, retryAtMs: atMs + tokenPauseMs(failures, retryAfterMs, random) }
    })
    if (changed && (record.refused || record.failures === 1)) {
      events.emit('credential.failed', atMs, alertOf(integration, record, { code, reason }, atMs))
    }
    return new HoldfastError({ code: 'token_not_renewed', class: 'authentication', message: reason })
  }
}

function notRenewed(name: string, { refused, failures }: CredentialRecord): HoldfastError {
  const why = refused?.reason ?? (failures > 0 ? 'the token endpoint does not answer well' : 'somebody else is at it')
  return new HoldfastError({
    code: 'token_not_renewed',
    class: 'authentication',
    message: `${name} was not renewed: ${why}`,
    hint: refused
      ? '`holdfast credentials set` stores another refresh token; where the client is refused, correct the configuration.'
      : 'What is there is used as long as it is good. Try again later: `holdfast credentials show` says how it is.',
  })
}

/** The failures that the record tells of. */
const TOLD_BY_RECORD = new Set(['token_not_renewed', 'single_flight_failed', 'single_flight_too_long'])

function reasonOf(code: string, said: string, kind: string, lost: boolean): string {
  const words = said === '' ? code : `${code}: ${said}`
  if (kind === 'lost') {
    const mayBeGone = lost ? '; where refresh tokens rotate, the new one may have been lost with it' : ''
    return `the answer of the token endpoint was lost (${words})${mayBeGone}`
  }
  if (kind === 'later') return `the token endpoint could not be used (${words})`
  const why = lost
    ? '; the answer to an earlier request was lost, most likely with the refresh token that replaced this one'
    : ''
  return `the token endpoint refuses it (${words})${why}`
}

/** The stored one, unless the configuration was given another one since. */
function refreshTokenOf(auth: OAuthSettings, secrets: CredentialSecrets): string | undefined {
  const { firstFingerprint } = fingerprintOfFirst(auth)
  const isNew = firstFingerprint !== undefined && firstFingerprint !== secrets.firstFingerprint
  return isNew ? auth.refreshToken : (secrets.refreshToken ?? auth.refreshToken)
}

/** Of the configured refresh token, to be stored beside those that follow it. */
export function fingerprintOfFirst({ refreshToken }: OAuthSettings): Pick<CredentialSecrets, 'firstFingerprint'> {
  return refreshToken === undefined ? {} : { firstFingerprint: sha256Hex(refreshToken).slice(0, 16) }
}
