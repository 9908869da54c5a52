/** Takes orders to tell somebody how a run ended: checked with the record, stored before it is acknowledged. */
import { laneName } from '../../client/call/call.ts'
import { checkPath, resolveEndpoint } from '../../client/call/request.ts'
import type { Cipher } from '../../client/credentials/cipher.ts'
import { type CallbackSettings, callbackIntegrationOf } from '../../config/callbacks.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { sha256Hex, toJson } from '../../core/json.ts'
import type { Ledger, NewRun } from '../../ledger/port.ts'
import { signWebhook } from '../../webhooks/sign.ts'
import type { Callback } from '../api.ts'
import { addressOf } from './disabled-addresses.ts'
import {
  CALLBACK_BATCH,
  CALLBACK_STEPS,
  type CallbackInput,
  nextLookMs,
  pathOf,
  pipelineOfCallbacks,
  sealNameOf,
} from './plans.ts'

export interface CallbackDesk {
  /** @throws HoldfastError `callback_refused`, `callback_secret_missing`, `callback_secret_invalid`, `encryption_key_missing` */
  check(callback: Callback): void
  /** Resolves once it is on disk. The same for the same run and address is added once. */
  expect(ledger: Pick<Ledger, 'submit'>, ends: readonly ExpectedEnd[]): Promise<void>
}

export interface ExpectedEnd {
  readonly callback: Callback
  readonly runId: string
  readonly tenant: string
  readonly correlationId: string
}

export interface DeskParts {
  readonly settings: CallbackSettings
  readonly cipher: Cipher
  readonly clock: Clock
  readonly newRunId: () => string
}

export function createCallbackDesk({ settings, cipher, clock, newRunId }: DeskParts): CallbackDesk {
  const integrations = new Map(settings.integrations.map((integration) => [integration.name, integration]))

  function integrationFor(callback: Callback): IntegrationSettings {
    const url = URL.parse(callback.url)
    if (!url || !/^https?:$/.test(url.protocol)) throw refused('it is not an http(s) URL')
    if (url.username || url.password) throw refused('it has a user name or a password in it')
    const integration = integrations.get(callbackIntegrationOf(url.origin))
    if (!integration) throw refused(`${url.origin} is not among the hosts that may be told`)
    checkPath(pathOf(callback.url))
    return integration
  }

  function runFor({ callback, runId, tenant, correlationId }: ExpectedEnd): NewRun {
    const integration = integrationFor(callback)
    const url = new URL(callback.url)
    const nowMs = clock.wallMs()
    const secret = callback.secret === undefined ? null : cipher.seal(callback.secret, sealNameOf(runId))
    const input: CallbackInput = { runId, url: url.href, secret }
    const { endpoint } = resolveEndpoint(integration, 'POST', pathOf(callback.url))
    const lane = laneName(integration.name, integration.credential, tenant)
    return {
      id: newRunId(),
      tenant,
      pipeline: pipelineOfCallbacks(integration.name),
      // Where a record is submitted again, its callback may be too: the first one holds.
      key: `${runId} ${addressOf(url.href)}`,
      inputFingerprint: sha256Hex(url.href),
      input: toJson(input),
      labels: {},
      batch: CALLBACK_BATCH,
      correlationId,
      createdAtMs: nowMs,
      items: CALLBACK_STEPS.map((step) => ({
        step,
        lane,
        endpoint,
        after: [],
        dueAtMs: nextLookMs(nowMs, nowMs),
        optional: false,
      })),
    }
  }

  return {
    check(callback) {
      integrationFor(callback)
      const secret = callback.secret ?? settings.secret
      if (secret === undefined) throw secretMissing()
      checkCallbackSecret(secret, callback.secret === undefined ? CONFIGURED : 'The secret of the callback')
      // Where it cannot be encrypted, that is to be known before anything is accepted.
      if (callback.secret !== undefined) cipher.seal('', 'callback')
    },
    async expect(ledger, ends) {
      if (ends.length > 0) await ledger.submit(ends.map(runFor))
    },
  }
}

const CONFIGURED = '`callbacks.secret` of the configuration'

/**
 * @param what names it, in the message
 * @throws HoldfastError `callback_secret_invalid`
 */
export function checkCallbackSecret(secret: string, what = CONFIGURED): void {
  try {
    signWebhook({ provider: 'standard-webhooks', secret }, { body: '', id: 'check' }, 0)
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause
    throw secretInvalid(`${what} cannot sign`, cause)
  }
  // A pair of keys has a length of its own.
  const isShort = !secret.startsWith('whsk_') && bytesIn(secret) < FEWEST_SECRET_BYTES
  if (isShort) throw secretInvalid(`${what} has fewer than ${FEWEST_SECRET_BYTES} bytes`)
}

/** As Standard Webhooks have it: shorter ones could be found by trying. */
const FEWEST_SECRET_BYTES = 24

function bytesIn(secret: string): number {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64').byteLength
}

function secretInvalid(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'callback_secret_invalid',
    class: 'validation',
    message,
    hint: 'Give "whsec_" and the base64 of 24 to 64 random bytes (Standard Webhooks).',
    cause,
  })
}

function refused(why: string): HoldfastError {
  return new HoldfastError({
    code: 'callback_refused',
    class: 'validation',
    message: `The callback cannot go to that address: ${why}`,
    hint: 'Name its host under `callbacks.hosts` in the configuration: no other address is ever called.',
  })
}

function secretMissing(): HoldfastError {
  return new HoldfastError({
    code: 'callback_secret_missing',
    class: 'validation',
    message: 'There is no secret to sign the callback with',
    hint: 'Give one with the callback, or set `callbacks.secret` in the configuration.',
  })
}
