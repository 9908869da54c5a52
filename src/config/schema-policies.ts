/** The policies that may be set for an integration, a single endpoint and a profile, as Zod schemas. */
import { z } from 'zod'
import { choice, closed, count, duration, name, rate, share, size } from './schema-parts.ts'
import type { JitterStrategy } from './settings.ts'

const JITTER_NAMES = ['full', 'equal', 'additive', 'decorrelated', 'none'] as const satisfies readonly JitterStrategy[]

export const timeouts = closed({
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

const adaptiveConcurrency = closed({
  adaptive: z.literal(true, { error: 'expected true; for a fixed number write `concurrency: 10`' }),
  min: count('Never fewer, in each process. Default 1.', { atMost: 10_000 }).optional(),
  max: count('Never more per lane, over all workers. Default 50.', { atMost: 10_000 }).optional(),
}).describe('Finds out how many calls an API takes that does not tell.')

export const limits = closed({
  concurrency: z
    .union([count('', { atMost: 10_000 }), adaptiveConcurrency], {
      error: 'expected a whole number from 1 to 10000, or { adaptive: true, min: 1, max: 50 }',
    })
    .describe('Calls at the same time per lane, over all workers. Default 5.')
    .optional(),
  rate: rate('Calls per short span, for example "100/10s". Default none.').optional(),
  quota: rate('Calls per long span, for example "250000/day": parked when spent. Default none.').optional(),
  shares: z
    .record(name, share('Of the quota: 0.6 is 60 %.'))
    .describe(
      'How the quota is shared out between pipelines (R051). With it, the quota counts by the calendar, in UTC.',
    )
    .optional(),
  reserve: share(
    'Of the quota, for all calls that no pipeline with a share makes. Default: what the shares leave.',
  ).optional(),
  slowBelow: closed({
    share: share('Of the limit that the API tells. Default 0.1.').optional(),
    calls: count('Or this many calls, where that is more. Default 10.', { atLeast: 0 }).optional(),
  })
    .describe('When less than this is left, calls are spread until the limit renews (R050).')
    .optional(),
}).describe('What the API allows.')

export const retryBudget = closed({
  ratio: share('Retries as a share of first tries. Default 0.2.').optional(),
  minimumPerSecond: z
    .number()
    .min(0)
    .max(10_000)
    .describe('Always allowed, so that quiet lanes can retry at all. Default 1.')
    .optional(),
  burst: count('The most that can be saved up. Default 50.').optional(),
}).describe('Keeps retries from multiplying load on an API that struggles.')

export const idempotency = z
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

export const endpointPolicies = {
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

export const endpointShape = { ...endpointPolicies, idempotency: idempotency.optional() }

export const endpoint = closed(endpointShape)

export type WrittenEndpoint = z.input<typeof endpoint>
export type WrittenLimits = z.input<typeof limits>
export type WrittenIdempotency = z.input<typeof idempotency>
