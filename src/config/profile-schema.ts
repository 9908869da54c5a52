/** What may be written as a profile. Built-in ones are checked by the test suite, those of users at start. */
import { z } from 'zod'
import { BATCH_SHAPE_NAMES } from './batch-shapes.ts'
import { PRESET_NAMES } from './preset-names.ts'
import type { Profile } from './profile.ts'
import { AUTH_KINDS } from './profile.ts'
import { factSourceSchema, profileRuleSchema, ruleSampleSchema } from './profile-rule-schema.ts'
import { rateLimitReadingSchema } from './rate-limits.ts'
import { choice, closed, ENDPOINT_PATTERN, headers, text } from './schema-parts.ts'
import { endpointShape, limits, timeouts } from './schema-policies.ts'

const address = z.url({ protocol: /^https$/, error: 'expected an https address' })
const paths = z.array(text('Dot path.').max(200)).max(50)

const authHint = closed({
  kinds: z.array(choice(AUTH_KINDS, 'Kind of credential.')).min(1),
  header: text('The header, where it is not Authorization.').optional(),
  tokenUrl: address.describe('Where tokens are had.').optional(),
  note: text('What is peculiar about it.').optional(),
})

const batchShape = z
  .union(
    [choice(BATCH_SHAPE_NAMES, 'One that is known.'), z.looseObject({ envelope: z.unknown(), answer: z.unknown() })],
    {
      error: `expected a batch shape: ${BATCH_SHAPE_NAMES.join(', ')}, or { envelope, answer }`,
    },
  )
  .describe('How one call takes several records, and how its answer tells of each.')

export const profileSchema = closed({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, { error: 'expected a name of small letters, digits and hyphens' }),
  title: text('The vendor, for people.'),
  docs: z.array(address).min(1).describe('Its documentation.'),
  baseUrl: address.describe('Only where one address serves every customer.').optional(),
  headers: headers.describe('Sent with every call: content types and versions, never credentials.').optional(),
  preset: choice(PRESET_NAMES, 'A tuning family.').optional(),
  auth: authHint.optional(),
  timeouts: timeouts.optional(),
  limits: closed({ values: limits, source: factSourceSchema }).optional(),
  rateLimits: z.array(rateLimitReadingSchema).max(50).optional(),
  errorPaths: closed({ code: paths.optional(), message: paths.optional(), field: paths.optional() }).optional(),
  rules: z
    .array(profileRuleSchema)
    .max(500)
    .superRefine((rules, context) => {
      const known = new Set<string>()
      for (const [index, { id }] of rules.entries()) {
        if (known.has(id))
          context.addIssue({ code: 'custom', path: [index, 'id'], message: `there are two rules "${id}"` })
        known.add(id)
      }
    })
    .describe('What its errors mean; the first match wins.'),
  endpoints: z
    .record(
      z.string().regex(ENDPOINT_PATTERN, { error: 'expected a method and a path, such as "POST /contacts/{id}"' }),
      closed({ ...endpointShape, batchShape: batchShape.optional(), source: factSourceSchema.optional() }),
    )
    .optional(),
  redact: z.array(z.string().min(1)).optional(),
  samples: z
    .record(z.string(), z.array(ruleSampleSchema).min(1))
    .describe('Answers by rule, for `profiles test`.')
    .optional(),
}) as unknown as z.ZodType<Profile, Profile>
