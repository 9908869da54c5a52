/**
 * What people write, as a Zod schema: the one source of the checks at start, of the types for `defineConfig` and of the JSON
 * Schema for editors. It only says what may be written; `resolve.ts` turns it into settings.
 */
import { z } from 'zod'
import { PRESET_NAMES } from './preset-names.ts'
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
  rate,
  share,
  size,
  text,
} from './schema-parts.ts'
import type { JitterStrategy } from './settings.ts'

/** Vendor facts that come with this version. */
export const PROFILE_NAMES = ['generic'] as const

const JITTER_NAMES = ['full', 'equal', 'additive', 'decorrelated', 'none'] as const satisfies readonly JitterStrategy[]

const FAILURE_CLASSES = [
  'success',
  'transient',
  'rate_limited',
  'wait_long',
  'authentication',
  'authorization',
  'not_found',
  'conflict',
  'validation',
  'schema',
  'too_large',
  'malformed_response',
  'unknown',
] as const

const timeouts = closed({
  connect: duration('Until TCP and TLS stand. Default 3s (R150).', { atMost: '24h' }).optional(),
  headers: duration("From the request written to the answer's headers. Default 10s (R151).", {
    atMost: '24h',
  }).optional(),
  body: duration("Between two pieces of the answer's body. Default 15s.", { atMost: '24h' }).optional(),
  total: duration('For one attempt as a whole. Default 60s.', { atMost: '24h' }).optional(),
}).describe('Every outbound call has all four (R149).')

const retry = closed({
  maxAttempts: count('Attempts, the first included. Default 6 (D08).', { atMost: 1000 }).optional(),
  base: duration('The first wait is drawn from this, the next from twice as much, ... Default 1s (R032).').optional(),
  cap: duration('The largest single wait of our own; Retry-After may be longer. Default 60s (R040, D11).').optional(),
  jitter: choice(JITTER_NAMES, 'How a wait is drawn. Default full (D10).').optional(),
  maxAge: duration('Durable retries end at this age. Default 4h; 15m in time-critical presets (D09).').optional(),
  inline: duration('Retries while a caller waits end after this. Default 60s (D09).').optional(),
  slowLane: closed({
    maxTries: count('Default 10 (D23).', { atLeast: 0, atMost: 1000 }).optional(),
    span: duration('Over how long they are spread. Default 3d (D09).').optional(),
  })
    .describe('Dead letters of outages are tried again by themselves, slowly.')
    .optional(),
}).describe('When and how often to try again.')

const breaker = closed({
  failureRate: share('Share of failed calls that opens it. Default 0.5 (R063).').optional(),
  windowCalls: count('Calls looked at. Default 20 (D12).', { atMost: 1000 }).optional(),
  window: duration('None older than this. Default 60s (D12).').optional(),
  minimumCalls: count('Fewer calls than this never trip the rate. Default 10 (D12).', { atMost: 1000 }).optional(),
  consecutiveFailures: count('This many failures in a row open it too. Default 5 (D12).', { atMost: 1000 }).optional(),
  open: duration('First cooldown. Default 30s (R066).').optional(),
  maxOpen: duration('Cooldowns double up to this. Default 5m (D13).').optional(),
  probes: count('Successful probes in a row that close it. Default 2 (D13).', { atMost: 3 }).optional(),
  probeLease: duration('A probe not reported back within this is forgotten. Default 90s (D13).').optional(),
  rampShares: z
    .array(z.number().gt(0).max(1))
    .max(10)
    .describe('Shares of full traffic after closing, one wave each, then all. Default [0.1, 0.5] (D13).')
    .optional(),
  rampStep: duration('Length of one wave. Default 5s.').optional(),
}).describe('When an endpoint is so ill that calling it is refused.')

const limits = closed({
  concurrency: count('Calls at the same time per lane, over all workers. Default 5.', { atMost: 10_000 }).optional(),
  rate: rate('Calls per short span, for example "100/10s". Default none.').optional(),
  quota: rate('Calls per long span, for example "250000/day": parked when spent. Default none.').optional(),
}).describe('What the API allows.')

const retryBudget = closed({
  ratio: share('Retries as a share of first tries. Default 0.2.').optional(),
  minimumPerSecond: z
    .number()
    .min(0)
    .max(10_000)
    .describe('Always allowed, so that quiet lanes can retry at all. Default 1.')
    .optional(),
  burst: count('The most that can be saved up. Default 50.').optional(),
}).describe('Keeps retries from multiplying load on an API that struggles.')

const idempotency = z
  .union(
    [
      z.enum(['safe', 'unsafe']),
      closed({
        key: z.string().min(1).describe('Header that takes the key.'),
        lifetime: duration('How long the API knows a key. Default 24h (R086).').optional(),
        quoted: z
          .boolean()
          .describe('The key goes out in double quotes, as the IETF draft has it. Default false: bare.')
          .optional(),
      }),
      closed({
        natural: z.string().min(1).describe('Body field of which the API refuses a second record with the same value.'),
      }),
    ],
    {
      error:
        'expected "safe", "unsafe", { key: "Idempotency-Key", lifetime: "24h" } or { natural: "the unique body field" }',
    },
  )
  .describe('What makes repeating a call safe (R096). Default: GET, PUT and DELETE are safe, POST and PATCH are not.')

const errorRule = closed({
  status: z
    .union([z.int().min(100).max(999), z.array(z.int().min(100).max(999)).min(1)], {
      error: 'expected a status such as 422, or a list of them',
    })
    .optional(),
  code: text("Equal to the machine code found at the integration's code path (R024).").optional(),
  messageContains: text('Found anywhere in the human message, without regard to case.').optional(),
  header: closed({ name: text('Name of the header.'), value: text('Its value; left out: any.').optional() }).optional(),
  class: choice(FAILURE_CLASSES, 'What it means (R022).'),
  certainty: choice(['not_sent', 'maybe_applied', 'applied'], 'What is known about the effect.').optional(),
  hint: text('What to do about it, for the person on call.').optional(),
  userMessage: text('Safe to show to an end user.').optional(),
  source: text('Where the fact comes from.').optional(),
}).describe('All that is given must match; the first match wins, before any default.')

const endpointPolicies = {
  timeouts: timeouts.optional(),
  retry: retry.optional(),
  breaker: breaker.optional(),
  maxResponse: size('Larger answers are refused. Default 10MB.').optional(),
  eventuallyConsistent: closed({
    retries: count('How often. Default 3.', { atMost: 20 }).optional(),
    delay: duration('Before each. Default 2s.').optional(),
  })
    .describe('Delayed retries of a 404 where a record shows up late (D04). Default none.')
    .optional(),
}

const endpoint = closed({ ...endpointPolicies, idempotency: idempotency.optional() })

const auth = z
  .discriminatedUnion(
    'type',
    [
      closed({ type: z.literal('none') }),
      closed({ type: z.literal('bearer'), token: text('Best as "${NAME}".') }),
      closed({ type: z.literal('basic'), user: text('User name.'), password: text('Best as "${NAME}".') }),
      closed({ type: z.literal('header'), name: text('Name of the header.'), value: text('Best as "${NAME}".') }),
    ],
    { error: 'expected { type: "none" | "bearer" | "basic" | "header", ... }' },
  )
  .describe('How calls are signed. Default none.')

const integration = closed({
  profile: z
    .enum(PROFILE_NAMES, {
      error:
        'this version of Holdfast has no built-in vendor profiles besides "generic"; leave this out and describe the API here',
    })
    .describe('Built-in vendor facts.')
    .optional(),
  baseUrl: z
    .string({ error: 'expected the base URL of the API, such as "https://api.example.com"' })
    .refine(isHttpUrl, { error: 'expected an http(s) URL without user, query or fragment' })
    .describe('All paths are below this.'),
  auth: auth.optional(),
  credential: name.describe('Which credential it is; part of the lane. Default "default".').optional(),
  headers: headers.describe('Sent with every call.').optional(),
  preset: choice(PRESET_NAMES, 'A tuning family; single settings override it (R052-R055).').optional(),
  ...endpointPolicies,
  retryBudget: retryBudget.optional(),
  limits: limits.optional(),
  errorPaths: closed({
    code: oneOrMore('Default: the usual places.').optional(),
    message: oneOrMore('Default: the usual places.').optional(),
    field: oneOrMore('Default: the usual places.').optional(),
  })
    .describe(
      'Where the machine code, the human message and the blamed field stand in an error body: dot paths (R024).',
    )
    .optional(),
  errors: z.array(errorRule).max(1000).describe('What this API means by its errors (R022).').optional(),
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

const scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()], { error: 'expected one value' }))

const request = closed({
  method: choice(METHODS, 'HTTP method.'),
  path: z
    .string({ error: 'expected a path below the base URL, such as "/contacts/{id}"' })
    .regex(/^\/\S*$/, { error: 'expected a path that starts with / and has no blanks' })
    .describe(
      'Path template; "{name}" is filled from `params`. Fixed, so that breakers and statistics are kept per endpoint.',
    ),
  params: scalars.describe('Values for the path template.').optional(),
  query: scalars.describe('Query string; a value that is not there is left out.').optional(),
  headers: headers.optional(),
  body: z.unknown().describe('Any data; texts may hold "{{ expressions }}".').optional(),
})

const reconcile = closed({
  get: z
    .string()
    .regex(/^\/./, { error: 'expected a path below the base URL, such as "/contacts?email={{ input.email }}"' })
    .describe('The read in one line; expressions may stand in path and query.')
    .optional(),
  request: request.describe('The read in full, instead of `get`.').optional(),
  readOnly: z
    .literal(true)
    .describe('Your word that a `request` by POST only searches. Without it, only GET and HEAD are taken.')
    .optional(),
  found: text(
    'Expression over `answer`: what the effect gave where it happened; nothing, null or false where it did not.',
  ),
  externalId: text('Expression over `found` and `answer`: the id that the API gave it. Default none.').optional(),
  newestFirst: closed({
    records: text('Expression over `answer`: all its records.'),
    createdAt: text('Expression over `record`: when it was made. RFC 3339, or seconds or milliseconds since 1970.'),
    within: duration('How far their clock may differ from ours. Default 5m.').optional(),
    size: count('Records of a full answer: with fewer, there are no older ones. Default: unknown.').optional(),
  })
    .describe(
      '`found` picks those that match from a list of the newest records. Only one that was made since our first try is ours; a list that does not reach back so far cannot tell (R095).',
    )
    .optional(),
  looks: count('Looks in a row that must find nothing before it counts as not done. Default 2.', {
    atMost: 100,
  }).optional(),
  delay: duration(
    'Before the first look and between two: longer than the API may take to finish or to show it. Default 2s.',
  ).optional(),
})
  .refine(({ get, request: full }) => (get === undefined) !== (full === undefined), {
    error: 'expected either `get` or `request`',
  })
  .describe('How to look for an effect whose outcome is unknown (R094, R095).')

const step = closed({
  integration: name.describe('Name of the integration that is called.'),
  request: request.describe(
    'The call. "{{ JSONata }}" in texts sees input, outputs, key, labels, tenant, runId, idempotencyKey.',
  ),
  after: z.array(name).describe('Steps that must end well first. Default none.').optional(),
  optional: z.boolean().describe('When it fails for good, the run goes on without it. Default false.').optional(),
  idempotency: idempotency.optional(),
  reconcile: reconcile.optional(),
  operation: text(
    'Expression. Two runs for which it gives the same text have the effect once. Default: each its own.',
  ).optional(),
  output: text('Expression over `answer`: what following steps see. Default: the body of the answer.').optional(),
  maxAttempts: count("Overrides the integration's.", { atMost: 1000 }).optional(),
  maxAge: duration("Overrides the integration's.").optional(),
})

const pipeline = closed({
  steps: z
    .record(name, step)
    .refine((steps) => Object.keys(steps).length > 0, { error: 'expected at least one step' })
    .describe('By name, in any order.'),
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
  maxPayload: size('The largest record that is accepted. Default 4MiB.').optional(),
  webhooks: notYet('webhooks'),
  alerts: notYet('alerts'),
})

export type WrittenConfig = z.input<typeof configSchema>
export type WrittenIntegration = z.input<typeof integration>
export type WrittenEndpoint = z.input<typeof endpoint>
export type WrittenIdempotency = z.input<typeof idempotency>
export type WrittenAuth = z.input<typeof auth>
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
