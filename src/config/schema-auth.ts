/** What people write about credentials. Messages say what was expected, never a value. */
import { z } from 'zod'
import type { RequestSigner } from './auth-settings.ts'
import { choice, closed, duration, text } from './schema-parts.ts'

const oauth = closed({
  type: z.literal('oauth2'),
  grant: choice(['client_credentials', 'refresh_token'], 'How tokens are obtained.'),
  tokenUrl: z
    .string({ error: 'expected the address of the token endpoint' })
    .refine(isTokenUrl, { error: 'expected an http(s) URL without user or fragment' })
    .describe('The token endpoint.'),
  clientId: text('Of your application at the vendor.'),
  clientSecret: text('Best as "${NAME}". None for public clients.').optional(),
  clientAuth: choice(
    ['basic', 'post'],
    'Client id and secret go in the Authorization header, or the body. Default basic.',
  ).optional(),
  refreshToken: text(
    'The first one, best as "${NAME}"; those that follow are in the store. Or: `holdfast credentials set`.',
  ).optional(),
  scopes: z.array(text('A scope.')).describe('Default: what the vendor gives.').optional(),
  parameters: z.record(z.string().min(1), z.string()).describe('Sent as well: audience, resource, ...').optional(),
  refreshAhead: duration('Renewed so long before its end. Default: a fifth of its life, at most 5m.', {
    atMost: '24h',
  }).optional(),
  lifetime: duration('Of a token, where the endpoint does not say it. Default: until it is refused.').optional(),
  minInterval: duration('The endpoint is asked no more often. Default none.', { atMost: '1h' }).optional(),
  neverRefreshOn: z
    .array(text('A part of the message.'))
    .describe('A 401 that says this is not the fault of the token. Salesforce has two, which are known.')
    .optional(),
}).describe('Tokens of a token endpoint, kept in the store, encrypted (RFC 6749).')

export const auth = z
  .discriminatedUnion(
    'type',
    [
      closed({ type: z.literal('none') }),
      closed({ type: z.literal('bearer'), token: text('Best as "${NAME}".') }),
      closed({ type: z.literal('basic'), user: text('User name.'), password: text('Best as "${NAME}".') }),
      closed({ type: z.literal('header'), name: text('Name of the header.'), value: text('Best as "${NAME}".') }),
      closed({
        type: z.literal('query'),
        name: text('Name of the query parameter. Only where the API takes nothing else: addresses are logged.'),
        value: text('Best as "${NAME}".'),
      }),
      closed({
        type: z.literal('stored'),
        sendAs: choice(['bearer', 'basic', 'header', 'query'], 'How it is sent. Default bearer.').optional(),
        name: text('Of the header or query parameter.').optional(),
      }).describe('Kept in the store, encrypted: `holdfast credentials set` puts it there.'),
      oauth,
      closed({
        type: z.literal('signed'),
        sign: z.custom<RequestSigner>((value) => typeof value === 'function', {
          error: 'expected a function (request) => headers; only configurations in code can have one',
        }),
      }).describe('Requests signed by code of yours.'),
    ],
    {
      error:
        'expected { type: "none" | "bearer" | "basic" | "header" | "query" | "stored" | "oauth2" | "signed", ... }',
    },
  )
  .describe('How calls are signed. Default none.')

export type WrittenAuth = z.input<typeof auth>

function isTokenUrl(value: string): boolean {
  const url = URL.parse(value)
  return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash
}
