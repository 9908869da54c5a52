/** What answers about credentials, vendors and observed calls look like. */
import { z } from '@hono/zod-openapi'
import { closed } from '../config/schema-parts.ts'
import { type Duration, durationMs } from '../core/duration.ts'
import { atMs, pageSize } from './schemas.ts'

export const credentialParams = z.object({
  name: z.string().min(1).max(200).describe('`hubspot`, or `hubspot%2Fdefault`'),
})

export const credential = z
  .object({
    name: z.string(),
    type: z.string().optional(),
    grant: z.string().optional(),
    health: z.enum(['configured', 'ready', 'missing', 'waiting', 'refused', 'unreadable']),
    reason: z.string(),
    version: z.int(),
    obtainedAtMs: atMs.optional(),
    expiresAtMs: atMs.optional(),
    askedAtMs: atMs.optional(),
    retryAtMs: atMs.optional(),
    unanswered: z.boolean(),
    keyId: z.string().optional(),
    keyIsPresent: z.boolean(),
  })
  .openapi('Credential')

export const resumed = z.object({ resumed: z.array(z.string()).describe('Lanes.') })

export const refreshed = z.object({
  credential,
  resumed: z.array(z.string()).describe('Lanes that had waited for it.'),
})

export const rotation = z.object({
  keyId: z.string(),
  reencrypted: z.array(z.string()),
  unchanged: z.array(z.string()),
})

const overviewFields = {
  name: z.string(),
  title: z.string(),
  rules: z.int(),
  vendor: z.int().describe('Rules that the vendor itself states.'),
  secondHand: z.int(),
  unverified: z.int(),
  docs: z.array(z.string()),
}

export const profileOverview = z.object(overviewFields).openapi('ProfileOverview')

export const profileTable = z
  .object({
    ...overviewFields,
    rules: z.array(z.looseObject({ class: z.string() })).describe('In their order.'),
    defaults: z.array(z.object({ status: z.int(), class: z.string(), certainty: z.string(), source: z.string() })),
  })
  .openapi('Profile')

export const suggestionsQuery = closed({
  since: z
    .string()
    .refine(isDuration, { error: 'expected a duration such as 24h or 7d' })
    .transform((text) => text as Duration)
    .openapi({ type: 'string', description: 'Only of the last 24h, 7d, ...' })
    .optional(),
  integration: z.string().min(1).max(200).optional(),
  limit: pageSize.optional(),
})

function isDuration(text: string): boolean {
  try {
    durationMs(text as Duration)
    return true
  } catch {
    return false
  }
}

export const suggestions = z.object({
  suggestions: z.array(
    z.looseObject({
      integration: z.string(),
      endpoints: z.array(z.string()),
      status: z.int(),
      code: z.string(),
      class: z.string(),
      count: z.int(),
      exampleItemId: z.string(),
      rule: z.looseObject({}).describe('For `errors` of the integration.'),
    }),
  ),
})

export const observed = z.object({
  endpoints: z.array(
    z.looseObject({
      integration: z.string(),
      endpoint: z.string(),
      calls: z.int(),
      failures: z.int(),
      timeouts: z.int(),
    }),
  ),
  timeouts: z.looseObject({
    config: z.looseObject({}).describe('All that is worth changing, as it is written in a configuration.'),
  }),
})
