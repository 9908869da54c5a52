/** What an operator can see of stored credentials, and do with them. Nothing here shows a secret. */
import { isKept } from '../../config/auth.ts'
import type { AuthSettings, IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { formatDuration } from '../../core/duration.ts'
import { configurationError, HoldfastError, isHoldfastError } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import { mayBeAskedFromMs } from '../../policy/credentials.ts'
import { type Cipher, keyIdOf } from './cipher.ts'
import { type CredentialBoard, type CredentialRecord, type CredentialSecrets, NO_RECORD } from './credential-board.ts'
import { credentialName, fingerprintOfFirst } from './token-keeper.ts'

/**
 * `configured`: it stands in the configuration, nothing is stored. `unreadable`: the key it was encrypted with is not here.
 * `waiting`: the token endpoint is left alone until `retryAtMs`.
 */
export type CredentialHealth = 'configured' | 'ready' | 'missing' | 'waiting' | 'refused' | 'unreadable'

export interface CredentialView {
  /** `hubspot/default` */
  readonly name: string
  /** `undefined`: stored, and no longer in the configuration. */
  readonly type: AuthSettings['type'] | undefined
  readonly grant: string | undefined
  readonly health: CredentialHealth
  readonly reason: string
  readonly version: number
  readonly obtainedAtMs: number | undefined
  readonly expiresAtMs: number | undefined
  readonly askedAtMs: number | undefined
  readonly retryAtMs: number | undefined
  /** The token endpoint was asked and has not answered: with rotating refresh tokens, the new one may be lost. */
  readonly unanswered: boolean
  /** Of the key that it is encrypted with. */
  readonly keyId: string | undefined
  /** It is the key that encrypts now. */
  readonly keyIsPresent: boolean
}

export interface KeyRotation {
  readonly keyId: string
  readonly reencrypted: readonly string[]
  readonly unchanged: readonly string[]
}

export interface CredentialDesk {
  views(integrations: Iterable<IntegrationSettings>): Promise<CredentialView[]>
  /**
   * Stores a new secret, or a new refresh token, and lifts what was held against the old one.
   * @throws HoldfastError `credential_not_stored` for one that stands in the configuration, `secret_invalid`
   */
  set(integration: IntegrationSettings, secret: string): Promise<void>
  /**
   * Gets a new token now, once for all processes, and lifts what was held against the old one.
   * @throws HoldfastError `credential_not_renewable` where no token endpoint is configured, `token_not_renewed`, `token_asked_too_soon`
   */
  refresh(integration: IntegrationSettings): Promise<CredentialView>
  /** A person says that it may go on. */
  lift(integration: IntegrationSettings): Promise<void>
  /**
   * Encrypts all with the present key.
   * @throws HoldfastError `encryption_key_missing`, `encryption_key_unknown` naming the first that cannot be read
   */
  rotateKey(): Promise<KeyRotation>
}

const FRESH = { failures: 0, retryAtMs: 0, rejectedVersion: 0, refused: null } as const

export function createCredentialDesk(parts: {
  readonly board: CredentialBoard
  readonly cipher: Cipher
  readonly clock: Clock
  readonly events: EventBus
  readonly renewNow: (integration: IntegrationSettings) => Promise<void>
}): CredentialDesk {
  const { board, cipher, clock, events, renewNow } = parts

  function viewOf(name: string, record: CredentialRecord, auth: AuthSettings | undefined): CredentialView {
    const { version, sealed, unanswered } = record
    const keyId = sealed === null ? undefined : keyIdOf(sealed)
    return {
      name,
      type: auth?.type,
      grant: auth?.type === 'oauth2' ? auth.grant : undefined,
      ...healthOf(name, record, auth),
      version,
      obtainedAtMs: record.obtainedAtMs || undefined,
      expiresAtMs: record.expiresAtMs || undefined,
      askedAtMs: record.askedAtMs || undefined,
      retryAtMs: record.retryAtMs || undefined,
      unanswered,
      keyId,
      keyIsPresent: keyId === undefined || keyId === cipher.keyId,
    }
  }

  function healthOf(
    name: string,
    record: CredentialRecord,
    auth: AuthSettings | undefined,
  ): { health: CredentialHealth; reason: string } {
    if (record.refused) return { health: 'refused', reason: record.refused.reason }
    if (auth && !isKept(auth)) return { health: 'configured', reason: '' }
    let secrets: CredentialSecrets
    try {
      secrets = board.secretsOf(name, record)
    } catch (error) {
      if (isHoldfastError(error)) return { health: 'unreadable', reason: error.message }
      throw error
    }
    if (record.retryAtMs > clock.wallMs())
      return { health: 'waiting', reason: 'the token endpoint does not answer well' }
    const firstIsGiven =
      auth?.type === 'oauth2' && (auth.grant === 'client_credentials' || auth.refreshToken !== undefined)
    const isThere = secrets.accessToken !== undefined || secrets.refreshToken !== undefined || firstIsGiven
    return isThere ? { health: 'ready', reason: '' } : { health: 'missing', reason: 'nothing is stored for it yet' }
  }

  async function lift(integration: IntegrationSettings): Promise<void> {
    await board.look()
    await board.change(credentialName(integration), (known) => {
      const isClean = known.refused === null && known.failures === 0 && known.rejectedVersion === 0
      return isClean ? undefined : { ...known, ...FRESH, liftedAtMs: clock.wallMs() }
    })
  }

  return {
    async views(integrations) {
      await board.look()
      const byName = new Map([...integrations].map((integration) => [credentialName(integration), integration.auth]))
      const names = [...new Set([...byName.keys(), ...board.names()])].sort()
      const views = names.map((name) => viewOf(name, board.remembered(name) ?? NO_RECORD, byName.get(name)))
      return views.filter(({ type }) => type !== 'none')
    },

    async set(integration, secret) {
      const { auth } = integration
      const name = credentialName(integration)
      if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(secret)) throw secretInvalid(name)
      const secrets = secretsToStore(name, auth, secret)
      const sealed = board.seal(name, secrets)
      await board.look()
      const obtainedAtMs = clock.wallMs()
      const { record } = await board.change(name, (known) => ({
        ...known,
        ...FRESH,
        version: known.version + 1,
        usable: secrets.accessToken !== undefined,
        obtainedAtMs,
        expiresAtMs: 0,
        unanswered: false,
        liftedAtMs: obtainedAtMs,
        sealed,
      }))
      events.emit('credential.renewed', obtainedAtMs, { credential: name, version: record.version })
    },

    async refresh(integration) {
      const { auth } = integration
      const name = credentialName(integration)
      if (auth.type !== 'oauth2') throw notRenewable(name, auth.type)
      // First: where nobody may ask yet, what is held against it stays.
      const pauseMs = mayBeAskedFromMs(await board.fresh(name), auth) - clock.wallMs()
      if (pauseMs > 0) throw askedTooSoon(name, pauseMs)
      // It would keep everybody from asking.
      await lift(integration)
      await renewNow(integration)
      return viewOf(name, await board.fresh(name), auth)
    },

    lift,

    async rotateKey() {
      await board.look()
      const reencrypted: string[] = []
      const unchanged: string[] = []
      for (const name of board.names()) {
        const { changed } = await board.change(name, (known) => {
          if (known.sealed === null || keyIdOf(known.sealed) === cipher.keyId) return undefined
          return { ...known, sealed: board.seal(name, board.secretsOf(name, known)) }
        })
        ;(changed ? reencrypted : unchanged).push(name)
      }
      return { keyId: cipher.keyId ?? '', reencrypted, unchanged }
    },
  }
}

function secretsToStore(name: string, auth: AuthSettings, secret: string): CredentialSecrets {
  if (auth.type === 'stored') return { accessToken: secret }
  if (auth.type === 'oauth2' && auth.grant === 'refresh_token') {
    return { refreshToken: secret, ...fingerprintOfFirst(auth) }
  }
  throw configurationError(
    'credential_not_stored',
    `The credential ${name} is not kept in the store: its secret stands in the configuration, or is asked for with it`,
    'Change it where the configuration takes it from, restart, then `holdfast integrations resume`. With `auth: { type: stored }` it could be set here.',
    { credential: name },
  )
}

function askedTooSoon(name: string, pauseMs: number): HoldfastError {
  return new HoldfastError({
    code: 'token_asked_too_soon',
    class: 'rate_limited',
    message: `The token endpoint of ${name} may not be asked again before ${formatDuration(Math.ceil(pauseMs / 1000) * 1000)} have passed`,
    hint: 'Its vendor allows no more: `auth.minInterval` of the integration.',
    details: { retryAfterMs: pauseMs },
  })
}

function notRenewable(name: string, type: string): Error {
  return configurationError(
    'credential_not_renewable',
    `The credential ${name} is of type "${type}": there is no token endpoint to ask for a new one`,
    HINTS_WITHOUT_ENDPOINT[type] ??
      'Change it where the configuration takes it from, restart, then `holdfast integrations resume`.',
    { credential: name },
  )
}

const HINTS_WITHOUT_ENDPOINT: Readonly<Record<string, string>> = {
  none: 'The integration is called without a credential: `auth` says so, or is not there.',
  stored: '`holdfast credentials set` stores another secret.',
}

function secretInvalid(name: string): Error {
  return configurationError(
    'secret_invalid',
    `What was given for ${name} is empty, or has line breaks or characters that no header can carry`,
    'Give the secret alone, on one line.',
    { credential: name },
  )
}
