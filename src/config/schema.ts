/**
 * What people write, as a Zod schema: the one source of the checks at start, of the types for `defineConfig` and of the JSON
 * Schema for editors. It only says what may be written; `resolve.ts` turns it into settings.
 */

import { z } from 'zod'
import { BATCH_SHAPE_NAMES } from './batch-shapes.ts'
import { callbacks } from './callbacks.ts'
import { PRESET_NAMES } from './preset-names.ts'
import { errorRuleSchema } from './profile-rule-schema.ts'
import { profileSchema } from './profile-schema.ts'
import { rateLimitReadingSchema } from './rate-limits.ts'
import { auth } from './schema-auth.ts'
import { gateway } from './schema-gateway.ts'
import {
  choice,
  closed,
  count,
  duration,
  ENDPOINT_PATTERN,
  headers,
  METHODS,
  name,
  notYet,
  oneOrMore,
  size,
  text,
} from './schema-parts.ts'
import { endpoint, endpointPolicies, idempotency, limits, retryBudget } from './schema-policies.ts'
import { reconcileSchema } from './schema-reconcile.ts'
import { webhook } from './schema-webhooks.ts'

const integration = closed({
  profile: z
    .union([z.string().min(1), profileSchema], {
      error: 'expected the name of a profile, such as "hubspot", or in code a profile as a value',
    })
    .describe('What is known about the vendor: a built-in profile (`holdfast profiles list`), or one of `profiles`.')
    .optional(),
  baseUrl: z
    .string({ error: 'expected the base URL of the API, such as "https://api.example.com"' })
    .refine(isHttpUrl, { error: 'expected an http(s) URL without user, query or fragment' })
    .describe('All paths are below this. Default: that of the profile, where the vendor has one for everybody.')
    .optional(),
  auth: auth.optional(),
  credential: name.describe('Which credential it is; part of the lane. Default "default".').optional(),
  headers: headers.describe('Sent with every call.').optional(),
  preset: choice(PRESET_NAMES, 'A tuning family; single settings override it (R052-R055).').optional(),
  ...endpointPolicies,
  retryBudget: retryBudget.optional(),
  limits: limits.optional(),
  rateLimits: z
    .array(rateLimitReadingSchema)
    .max(50)
    .describe("How its answers tell its limits; before the profile's (R049).")
    .optional(),
  errorPaths: closed({
    code: oneOrMore('Default: the usual places.').optional(),
    message: oneOrMore('Default: the usual places.').optional(),
    field: oneOrMore('Default: the usual places.').optional(),
  })
    .describe(
      'Where the machine code, the human message and the blamed field stand in an error body: dot paths (R024).',
    )
    .optional(),
  errors: z.array(errorRuleSchema).max(1000).describe('What this API means by its errors (R022).').optional(),
  redact: z
    .array(z.string().min(1))
    .describe('Body fields, beside the built-in names, whose values never reach a log or dead letter.')
    .optional(),
  endpoints: z
    .record(
      z.string().regex(ENDPOINT_PATTERN, {
        error: `expected a method and a path, such as "POST /contacts/{id}"; methods: ${METHODS.join(', ')}`,
      }),
      endpoint,
    )
    .describe('Settings of single endpoints: "METHOD /path/template".')
    .optional(),
})

/** @param example of one, for whoever wrote an expression for all of them */
function scalars(example: string) {
  const value = z.union([z.string(), z.number(), z.boolean()], { error: 'expected one value' })
  const error = `expected an object, each name with its own value, such as ${example}; one expression cannot stand for all`
  return z.record(z.string(), value, { error })
}

const request = closed({
  method: choice(METHODS, 'HTTP method.'),
  path: z
    .string({ error: 'expected a path below the base URL, such as "/contacts/{id}"' })
    .regex(/^\/\S*$/, { error: 'expected a path that starts with / and has no blanks' })
    .describe(
      'Path template; "{name}" is filled from `params`. Fixed, so that breakers and statistics are kept per endpoint.',
    ),
  params: scalars('{ id: "{{ input.id }}" }').describe('Values for the path template.').optional(),
  query: scalars('{ email: "{{ input.email }}" }')
    .describe('Query string; a value that is not there is left out.')
    .optional(),
  headers: headers.optional(),
  body: z.unknown().describe('Any data; texts may hold "{{ expressions }}".').optional(),
})

const batch = closed({
  size: count('The most records in one call.', { atMost: 10_000 }),
  bytes: size('The largest body of a call; a record that is larger alone is sent alone. Default: no limit.').optional(),
  linger: duration('How long a record may wait for others, in the store. Default 50ms.', {
    atMost: '1h',
    positive: false,
  }).optional(),
  shape: choice(
    BATCH_SHAPE_NAMES,
    'How the API takes and answers several records. Default: what is known about the endpoint.',
  ).optional(),
}).describe(
  'Gathers records into one call: `request.body` gives each record, `output` sees the part of the answer about it (R121).',
)

const step = closed({
  integration: name.describe('Name of the integration that is called.'),
  request: request.describe(
    'The call. "{{ JSONata }}" in texts sees input, outputs, key, labels, tenant, runId, idempotencyKey.',
  ),
  after: z.array(name).describe('Steps that must end well first. Default none.').optional(),
  optional: z.boolean().describe('When it fails for good, the run goes on without it. Default false.').optional(),
  idempotency: idempotency.optional(),
  reconcile: reconcileSchema(request).optional(),
  operation: text(
    'Expression. Two runs for which it gives the same text have the effect once. Default: each its own.',
  ).optional(),
  order: z
    .union(
      [
        text(
          'Expression. Items for which it gives the same text are worked on one at a time, as they were accepted (R116).',
        ),
        closed({
          by: text('Expression: what has an order, for example "{{ input.productId }}".'),
          afterDeadLetter: choice(
            ['continue', 'hold'],
            'Whether those behind a dead letter that waits for a person go on. Default continue.',
          ).optional(),
        }),
      ],
      { error: 'expected an expression, or { by, afterDeadLetter } with "continue" or "hold"' },
    )
    .describe('Order per entity. Expressions see input, key, labels, tenant, runId; no step has run yet.')
    .optional(),
  supersede: closed({
    by: text('Expression: whose newer value replaces the older one, for example "{{ input.productId }}".'),
    version: text(
      'Expression that gives a number or a time: the greater is newer. Default: what is accepted later.',
    ).optional(),
  })
    .describe(
      'Only the newest value of an entity counts; in order, too (R116). Expressions see what those of `order` see.',
    )
    .optional(),
  output: text('Expression over `answer`: what following steps see. Default: the body of the answer.').optional(),
  batch: batch.optional(),
  compensate: closed({
    request: request,
    idempotency: idempotency.optional(),
  })
    .describe(
      'Undoes the step; beside the rest, expressions see `output`, what the step gave. Needs `onFailure: compensate`.',
    )
    .optional(),
  maxAttempts: count("Overrides the integration's.", { atMost: 1000 }).optional(),
  maxAge: duration("Overrides the integration's.").optional(),
})

const pipeline = closed({
  steps: z
    .record(name, step)
    .refine((steps) => Object.keys(steps).length > 0, { error: 'expected at least one step' })
    .describe('By name, in any order.'),
  subject: text(
    'Expression over `input`: whose personal data a record holds, such as "{{ input.email }}". Stored as a keyed hash; `holdfast erase` finds by it. Default: nobody\'s.',
  ).optional(),
  onFailure: choice(
    ['keep', 'compensate'],
    'When a step fails for good: keep what was done, or undo it, newest first (R029). Default keep.',
  ).optional(),
})

export const configSchema = closed({
  $schema: z.string().describe('For editors.').optional(),
  store: z
    .string({ error: 'expected a store, such as "sqlite:./holdfast.db"' })
    .regex(/^(sqlite:(?!$)|postgres(ql)?:\/\/)/, {
      error: 'expected "sqlite:FILE", such as "sqlite:./holdfast.db", or "postgres://USER@HOST/DATABASE"',
    })
    .describe(
      'Where the ledger is kept: a file, relative to this one, or a PostgreSQL server. Default "sqlite:./holdfast.db".',
    )
    .optional(),
  profiles: z
    .array(profileSchema)
    .describe('Vendors that Holdfast does not know: profiles of your own, found by their name.')
    .optional(),
  integrations: z.record(name, integration).describe('The third-party APIs, by name.').optional(),
  pipelines: z.record(name, pipeline).describe('What to do with a record, by name.').optional(),
  worker: closed({
    concurrency: count('Items at the same time in one process. Default 100.', { atMost: 10_000 }).optional(),
    lease: duration('How long a claim lasts without renewal. Default 30s.', { atMost: '1h' }).optional(),
    poll: duration('How often the store is asked, behind wake-ups. Default 250ms.', { atMost: '1m' }).optional(),
  }).optional(),
  retention: duration(
    '`holdfast worker` forgets ended runs older than this; their counts stay. Default: keep all.',
  ).optional(),
  keys: oneOrMore(
    'What stored credentials, and contents with `encryptPayloads`, are encrypted with: 32 bytes as base64 or 64 hex digits, best as "${NAME}", or "file:PATH". The first encrypts, all decrypt. Default: the variable HOLDFAST_KEY, where it is set.',
  ).optional(),
  encryptPayloads: z
    .boolean()
    .describe(
      'Encrypts what is in records (inputs, outputs, messages of APIs) in the store; needs a key. Once on for a store, it stays on. Default false.',
    )
    .optional(),
  maxPayload: size('The largest record that is accepted. Default 4MiB.').optional(),
  gateway: gateway.optional(),
  callbacks: callbacks.optional(),
  webhooks: z
    .record(name, webhook)
    .describe('Who may send events, by name: each is verified, stored, then run.')
    .optional(),
  alerts: notYet('alerts'),
})

export type WrittenConfig = z.input<typeof configSchema>
export type WrittenIntegration = z.input<typeof integration>
export type { WrittenEndpoint, WrittenIdempotency } from './schema-policies.ts'
export type WrittenPipeline = z.input<typeof pipeline>
export type WrittenStep = z.input<typeof step>
export type WrittenRequest = z.input<typeof request>

/** JSON Schema (2020-12) of the written configuration, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any', reused: 'ref' })
  return { ...schema, title: 'Holdfast configuration' }
}

function isHttpUrl(value: string): boolean {
  const url = URL.parse(value)
  if (!url || !/^https?:$/.test(url.protocol)) return false
  return !url.username && !url.password && !url.search && !url.hash
}
