/** What may be written as a row of an error map, in profiles and in the `errors` of an integration. */
import { z } from 'zod'
import { patternProblem } from './profile-pattern.ts'
import type { ProfileRule, RuleSample, WrittenErrorRule } from './profile-rule.ts'
import { BOUNDARIES, SOURCE_CERTAINTIES, STATUS_FAMILIES, WAIT_UNITS } from './profile-rule.ts'
import { choice, closed, count, duration, METHODS, text } from './schema-parts.ts'

/** Those that an answer can have; the others are ours alone. */
const ANSWER_CLASSES = [
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
  'configuration',
  'unknown',
] as const

const RULE_ID = /^[a-z0-9]+(?:-[a-z0-9]+)*$/

function listOf<Element extends z.ZodType>(element: Element, error: string) {
  return z.union([element, z.array(element).min(1).max(200)], { error })
}

const status = z.union([z.int().min(100).max(999), z.enum(STATUS_FAMILIES)])
const statuses = listOf(status, 'expected a status such as 422, a family such as "5xx", or a list of them')
const codes = listOf(
  z.union([boundedPattern(z.string().min(1).max(200)), z.int()]),
  'expected a code, or a list of codes',
)
const scalar = z.union([z.string(), z.number(), z.boolean()])
const path = text('Where it stands in the body: "error.code", "errors[].code", "error.**.code".').max(200)

const bodyCondition = closed({
  path,
  equals: listOf(scalar, 'expected a text, a number, true, false, or a list of them').optional(),
})

const message = boundedPattern(
  text('Found anywhere in the human message, without regard to case; "/.../" is a regular expression.').max(500),
)

const retryAfter = closed({
  path: path.optional(),
  unit: choice(WAIT_UNITS, 'How the body writes it. Default seconds.').optional(),
  until: choice(BOUNDARIES, 'Where the answer does not say.').optional(),
  timeZone: text('Whose midnight, such as "America/New_York". Default UTC.')
    .refine(isTimeZone, { error: 'expected an IANA time zone such as "America/New_York"' })
    .optional(),
  otherwise: duration('Where nothing else says it.').optional(),
  atLeast: duration('Never less than this.').optional(),
  ignoreLimits: z
    .boolean()
    .describe('Reset headers tell of another limit than the one that was hit: only Retry-After counts.')
    .optional(),
}).describe('When to come back.')

const conditions = {
  status: statuses.optional(),
  code: codes.describe('A machine code found at the code paths (R024); "/.../" is a regular expression.').optional(),
  codePath: path.describe('Look for `code` here only.').optional(),
  message: message.optional(),
  header: closed({ name: text('Name of the header.'), value: text('Its value; left out: any.').optional() }).optional(),
  body: listOf(bodyCondition, 'expected { path: "ok", equals: false }, or a list of such').optional(),
  method: listOf(choice(METHODS, 'HTTP method.'), 'expected a method, or a list of them').optional(),
  endpoint: text('"POST /contacts/{id}"; without a method for all; "*" at the end for everything below.')
    .regex(/^(?:[A-Z]+ )?\/\S*$/, { error: 'expected a path, such as "POST /contacts/{id}" or "/search/*"' })
    .optional(),
}

const verdict = {
  certainty: choice(['not_sent', 'maybe_applied', 'applied'], 'What is known about the effect of a write.').optional(),
  reportAs: text("A stable code of your own in place of the API's, such as already_exists.").optional(),
  hint: text('What to do about it, for the person on call.').optional(),
  userMessage: text('Safe to show to an end user.').optional(),
  maxRetries: count('The most retries that it is worth.', { atLeast: 0, atMost: 1000 }).optional(),
  retryAfter: retryAfter.optional(),
  countsAgainstBreaker: z.boolean().describe('Does it say that the endpoint is ill?').optional(),
}

const ruleClass = choice(ANSWER_CLASSES, 'What it means (R022).')
const ruleId = z.string().max(80).regex(RULE_ID, { error: 'expected an id of small letters, digits and hyphens' })

const day = z
  .string({ error: 'expected a day such as "2026-11-22"' })
  .regex(/^\d{4}-\d\d-\d\d$/, { error: 'expected a day such as "2026-11-22"' })
  .refine((value) => !Number.isNaN(Date.parse(value)), { error: 'expected a day that exists' })

export const factSourceSchema = closed({
  url: z.url({ protocol: /^https$/, error: 'expected an https address' }),
  read: day.describe('When it was read.'),
  certainty: choice(SOURCE_CERTAINTIES, "Read in the vendor's own documentation, in somebody else's, or not checked."),
})

export const errorRuleSchema = closed({
  id: ruleId.describe('That of a rule of the profile: changes what is named here of that rule.').optional(),
  ...conditions,
  class: ruleClass.optional(),
  ...verdict,
  source: z
    .union([z.string().min(1), factSourceSchema], { error: 'expected a text, or { url, read, certainty }' })
    .describe('Where the fact comes from.')
    .optional(),
}).describe('All that is given must match; the first match wins, before any default.') as unknown as z.ZodType<
  WrittenErrorRule,
  WrittenErrorRule
>

export const profileRuleSchema = closed({
  id: ruleId,
  ...conditions,
  class: ruleClass,
  ...verdict,
  hint: text('What to do about it, for the person on call.'),
  source: factSourceSchema,
}).refine(({ status: given }) => given !== undefined, {
  error: 'expected a status: a profile must not read the body of every good answer',
}) as unknown as z.ZodType<ProfileRule, ProfileRule>

export const ruleSampleSchema = closed({
  status: z.int().min(100).max(999),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.json().optional(),
  method: choice(METHODS, 'Default POST.').optional(),
  path: z
    .string()
    .regex(/^\/\S*$/, { error: 'expected a path' })
    .optional(),
  note: text('What it shows.').optional(),
}) as unknown as z.ZodType<RuleSample, RuleSample>

function boundedPattern<Schema extends z.ZodType<string>>(schema: Schema): Schema {
  return schema.superRefine((value, context) => {
    const problem = patternProblem(value)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
