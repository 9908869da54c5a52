/**
 * How a vendor tells its limits, as data (R049, facts.md section 1): which header or body field holds which number, in which unit,
 * for which window. A profile lists one reading per limit; `policy/rate-limits/rate-limits.ts` reads an answer by them.
 *
 * The IETF fields (`RateLimit`, `RateLimit-Policy`, `RateLimit-Limit/-Remaining/-Reset`), `X-RateLimit-*`, and `Retry-After` are read for
 * every API: a profile lists only what differs, and a header that one of its readings names is read by that reading alone.
 */
import { z } from 'zod'
import { choice, closed, duration, text } from './schema-parts.ts'

/** How a reset is written. Never guessed from its size where the vendor is known. */
export const RESET_UNITS = [
  'epoch_seconds',
  'epoch_milliseconds',
  'delta_seconds',
  'delta_milliseconds',
  /** `6m0s`, `1s`, `120ms` (OpenAI). */
  'duration',
  /** `2026-11-22T10:00:00Z` (Anthropic). */
  'rfc3339',
  'http_date',
  /** Not known: above 1e12 epoch milliseconds, above 1e9 epoch seconds, else delta seconds; dates and durations by their form. */
  'guess',
] as const
export type ResetUnit = (typeof RESET_UNITS)[number]

const CALENDAR_UNITS = ['second', 'minute', 'hour', 'day'] as const
export type CalendarUnit = (typeof CALENDAR_UNITS)[number]

const header = text('Name of the header, in any case.')
const bodyPath = text('Where it stands in the body: names and list places joined with dots.')

const window = z
  .union(
    [
      closed({
        rolling: duration(
          'Every call leaves the window this long after it was made, or nothing is known of when it begins.',
        ),
      }),
      closed({
        calendar: choice(CALENDAR_UNITS, 'It begins with each of these on the clock.'),
        timeZone: text('Whose midnight ends a day, such as "America/Los_Angeles". Default UTC.')
          .refine(isTimeZone, { error: 'expected an IANA time zone such as "America/Los_Angeles"' })
          .optional(),
      }),
      closed({ header, unit: choice(['seconds', 'milliseconds'], 'Unit of the window in the header.') }),
    ],
    { error: 'expected { rolling: "24h" }, { calendar: "day" } or { header: "x-window-ms", unit: "milliseconds" }' },
  )
  .describe('How long the window is, and when it ends.')

const which = {
  name: text('Which limit it is, in a word for people: "requests", "daily", "tokens".'),
  unit: choice(
    ['calls', 'points'],
    'What is counted. Points: a call may take many (tokens, cost). Default calls.',
  ).optional(),
  scope: choice(
    ['lane', 'endpoint'],
    'Whom it holds: all calls with the credential, or only calls of endpoints that were answered with it. Default lane.',
  ).optional(),
}

const headersReading = closed({
  kind: z.literal('headers'),
  ...which,
  nameHeader: header
    .describe('Holds the name of the bucket (GitHub: x-ratelimit-resource); joined to `name`.')
    .optional(),
  limit: header.optional(),
  remaining: header.describe('"9999, 19988": the lower one counts.').optional(),
  used: header.describe('Counts up; what is left is the limit less this.').optional(),
  fixedLimit: z.number().positive().describe('Where no header tells the limit.').optional(),
  reset: closed({ header, unit: choice(RESET_UNITS, 'How the reset is written.') })
    .describe('When the window ends.')
    .optional(),
  window: window.optional(),
  cost: header.describe('How many points this call took (Salesloft: x-ratelimit-endpoint-cost).').optional(),
}).refine(({ remaining, used, limit, fixedLimit }) => remaining || (used && (limit || fixedLimit)), {
  error: 'expected `remaining`, or `used` together with `limit` or `fixedLimit`',
})

const fractionReading = closed({
  kind: z.literal('fraction'),
  ...which,
  header,
  key: text(
    'Stands before the fraction with an =: "api-usage" in "api-usage=18/5000". Default: nothing does.',
  ).optional(),
  window: window.optional(),
  restorePerSecond: z.number().positive().describe('A leaky bucket: how many calls come back per second.').optional(),
}).describe('"18/5000" or "32/40": used and limit in one header (Salesforce, Shopify REST).')

const bodyReading = closed({
  kind: z.literal('body'),
  ...which,
  path: bodyPath.describe('The object that holds the numbers: "extensions.cost.throttleStatus".'),
  limit: text('Field of the limit: "maximumAvailable".').optional(),
  remaining: text('Field of what is left: "currentlyAvailable".'),
  restorePerSecond: text('Field of how much comes back per second: "restoreRate".').optional(),
  cost: bodyPath
    .describe('Path, from the top, of what this call asks for: "extensions.cost.requestedQueryCost".')
    .optional(),
  window: window.optional(),
}).describe('Numbers in the body of every answer (Shopify GraphQL).')

const policyReading = closed({
  kind: z.literal('policy'),
  name: which.name,
  scope: which.scope,
  path: bodyPath.describe('Where a throttled answer names the limit that was hit: "policyName".').optional(),
  header: header.optional(),
  windows: z.record(z.string(), window).describe('By that name, in any case: {"DAILY": {"calendar": "day"}}.'),
})
  .refine(({ path, header: name }) => (path === undefined) !== (name === undefined), {
    error: 'expected either `path` or `header`',
  })
  .describe('Only in answers that say that a limit is reached: which one, and therefore how long to wait (HubSpot).')

export const rateLimitReadingSchema = z.discriminatedUnion(
  'kind',
  [headersReading, fractionReading, bodyReading, policyReading],
  { error: 'expected { kind: "headers" | "fraction" | "body" | "policy", ... }' },
)

/** One limit of a vendor and where its answers tell it. */
export type RateLimitReading = z.infer<typeof rateLimitReadingSchema>
export type RateLimitWindow = z.infer<typeof window>
export type HeadersReading = Extract<RateLimitReading, { kind: 'headers' }>
export type FractionReading = Extract<RateLimitReading, { kind: 'fraction' }>
export type BodyReading = Extract<RateLimitReading, { kind: 'body' }>
export type PolicyReading = Extract<RateLimitReading, { kind: 'policy' }>

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone.length > 0
  } catch {
    return false
  }
}
