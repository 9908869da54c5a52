/** What people write about those who send events. */
import { z } from 'zod'
import { choice, closed, duration, name, oneOrMore, size, text } from './schema-parts.ts'
import { WEBHOOK_PROVIDERS } from './webhook-providers.ts'

const headerName = z
  .string({ error: 'expected the name of a header' })
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'cannot be the name of a header' })

const place = z.union(
  [
    closed({ header: headerName.describe('A header.') }),
    closed({ body: text('A dot path in the JSON body, such as "data.id".') }),
  ],
  { error: 'expected { header: "X-Name" } or { body: "dot.path" }' },
)

const hmac = closed({
  header: headerName.describe('Holds the signature.'),
  prefix: z.string().describe('Before the signature itself, such as "sha256=". Default none.').optional(),
  separator: choice([',', ' '], 'Between several signatures. Default: there is one.').optional(),
  algorithm: choice(['sha256', 'sha1', 'sha512'], 'Default sha256.').optional(),
  encoding: choice(['hex', 'base64'], 'Default hex, in lower case.').optional(),
  signedText: text('Of {body}, {timestamp}, {id}, {method}, {url} and fixed text. Default "{body}".')
    .refine((template) => template.includes('{body}'), {
      error: 'expected "{body}" in it: else anything could be sent',
    })
    .optional(),
  secretEncoding: choice(['text', 'base64'], 'How the secret is written. Default text.').optional(),
  timestamp: closed({
    header: headerName.describe('Holds the time that is signed.'),
    unit: choice(['seconds', 'milliseconds', 'iso'], 'Default seconds.').optional(),
  }).optional(),
  id: place.describe('What names an event. Default: a digest of what was sent.').optional(),
  type: place.describe('What kind of event it is.').optional(),
  batch: z.boolean().describe('A JSON array holds an event in each element. Default false.').optional(),
}).refine((settings) => settings.timestamp === undefined || settings.signedText?.includes('{timestamp}'), {
  error: 'expected "{timestamp}" in `signedText`: a time that is not signed proves nothing',
  path: ['timestamp'],
})

export const webhook = closed({
  provider: choice(WEBHOOK_PROVIDERS, 'Who sends it; "hmac" for a sender that is not known.'),
  secret: oneOrMore('Best as "${NAME}". Several while one replaces another.').optional(),
  pipeline: name.describe('What is done with each event.'),
  tolerance: duration("How far the signed time may be off, either way. Default: the provider's, mostly 5m.", {
    atMost: '7d',
  }).optional(),
  maxBody: size('The largest request. Default: `maxPayload`.').optional(),
  input: choice(
    ['event', 'request'],
    'What a run gets: the event as it was sent, or { event, body, headers, ... }. Default event.',
  ).optional(),
  publicUrl: z
    .url({
      protocol: /^https?$/,
      error: 'expected the address that the provider calls, such as "https://hooks.example.com/x"',
    })
    .describe('The address as the provider knows it, where a proxy changes it. Twilio and HubSpot sign it.')
    .optional(),
  hmac: hmac.describe('How the sender signs, for provider "hmac".').optional(),
})

export type WrittenWebhook = z.input<typeof webhook>
