/** `callbacks:` as it is written, and what becomes of it: each address that may be told is an integration of its own. */
import { z } from 'zod'
import { integrationSettings } from './integration.ts'
import type { Problem } from './problems.ts'
import { closed, count, text } from './schema-parts.ts'
import type { IntegrationSettings } from './settings.ts'

export interface CallbackSettings {
  /** What callbacks are signed with where the caller gives no secret of its own. */
  readonly secret: string | undefined
  /** One for each address that may be told. No integration of a user can have their names: a dot is not part of names. */
  readonly integrations: readonly IntegrationSettings[]
}

const HOST = /^(?:https?:\/\/)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/i

export const callbacks = closed({
  hosts: z
    .array(
      z
        .string()
        .regex(HOST, { error: 'expected a host such as "hooks.example.com", or "http://host:port" without TLS' }),
    )
    .min(1, { error: 'expected at least one host' })
    .describe(
      'Where callbacks may go: these hosts and no other, on their own ports. https, unless http:// is written.',
    ),
  secret: text('What callbacks are signed with: "whsec_" and base64, of 24 to 64 bytes, best as "${NAME}".').optional(),
  concurrency: count('Callbacks to one host at the same time. Default 10.', { atMost: 1000 }).optional(),
}).describe('Whom the end of a run may be told to: the `callback` of what is submitted.')

export type WrittenCallbacks = z.input<typeof callbacks>

const NONE: CallbackSettings = { secret: undefined, integrations: [] }

export function callbackSettings(written: WrittenCallbacks | undefined, problems: Problem[]): CallbackSettings {
  if (!written) return NONE
  const origins = new Set(written.hosts.map(originOf))
  return {
    secret: written.secret,
    integrations: [...origins].map((origin) => integrationFor(origin, written.concurrency ?? 10, problems)),
  }
}

function originOf(host: string): string {
  return new URL(/^https?:/i.test(host) ? host : `https://${host}`).origin
}

/**
 * As the senders' rules of Standard Webhooks ask: an answer within 20 s, tries in seconds, minutes and then, in the slow lane,
 * over three days. Waiting for the run to end must not use up any of that: the age of a callback says nothing.
 */
function integrationFor(origin: string, concurrency: number, problems: Problem[]): IntegrationSettings {
  const written = {
    baseUrl: origin,
    limits: { concurrency },
    timeouts: { connect: '5s', headers: '20s', body: '20s', total: '30s' },
    retry: { base: '5s', cap: '30m', maxAttempts: 8, maxAge: '3650d' },
  } as const
  return integrationSettings(callbackIntegrationOf(origin), written, problems, [])
}

/** `https://hooks.example.com` -> `callback.hooks.example.com` */
export function callbackIntegrationOf(origin: string): string {
  const { host, protocol } = new URL(origin)
  return `callback.${protocol === 'http:' ? 'http.' : ''}${host.replace(':', '_')}`
}
