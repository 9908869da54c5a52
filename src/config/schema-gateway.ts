/** `gateway:` as it is written, and what becomes of it. */
import { z } from 'zod'
import { durationMs } from '../core/duration.ts'
import { type GatewaySettings, SCOPES } from './gateway-settings.ts'
import { parseRate } from './quantities.ts'
import { choice, closed, count, duration, name, rate } from './schema-parts.ts'

const token = closed({
  name: name.describe('Stands in the trail of actions: `token:NAME`.'),
  scopes: z
    .array(choice(SCOPES, 'What it allows.'))
    .min(1, { error: 'expected at least one scope' })
    .describe('submit: send records; read: see everything; operate: repair, and read; admin: everything.'),
  hash: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, {
      error: 'expected "sha256:" and 64 hex digits: `holdfast token create` prints them',
    })
    .describe('Of the token; the token itself is kept by its user alone.'),
})

export const gateway = closed({
  host: z
    .string()
    .min(1)
    .describe('Where it listens. Other than this machine needs `tokens`. Default "127.0.0.1".')
    .optional(),
  port: count('Default 4180; 0 takes a free one.', { atLeast: 0, atMost: 65_535 }).optional(),
  hosts: z
    .array(z.string().min(1))
    .describe('Further names that callers may address it by while there are no tokens.')
    .optional(),
  proxyDomain: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/i, {
      error: 'expected a domain such as "api.internal"',
    })
    .describe(
      'Its subdomains are integrations, for SDKs that take a host and no path: "stripe.api.localhost". Default "api.localhost".',
    )
    .optional(),
  tokens: z
    .array(token)
    .max(1000)
    .refine((tokens) => new Set(tokens.map((one) => one.name)).size === tokens.length, {
      error: 'two tokens have the same name',
    })
    .describe('Who may do what. None: only this machine is served.')
    .optional(),
  maxInFlight: count('Requests at the same time; more are refused with 503. Default 1000.').optional(),
  rate: rate('Requests of each token, or of each address, such as "100/1s"; more are refused with 429.').optional(),
  arrivalTimeout: duration('How long a request may take to arrive, or a stream stand still. Default 30s.', {
    atMost: '1h',
  }).optional(),
}).describe('`holdfast serve`.')

export function gatewaySettings(written: z.input<typeof gateway> = {}): GatewaySettings {
  return {
    host: written.host ?? '127.0.0.1',
    port: written.port ?? 4180,
    hosts: written.hosts ?? [],
    proxyDomain: written.proxyDomain ?? 'api.localhost',
    tokens: written.tokens ?? [],
    maxInFlight: written.maxInFlight ?? 1000,
    ...(written.rate !== undefined && { rate: parseRate(written.rate) }),
    arrivalMs: durationMs(written.arrivalTimeout ?? '30s'),
  }
}
