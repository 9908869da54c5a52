/** The words of the schema: closed objects, durations, rates, sizes, names. Messages say what was expected, never a value. */
import { z } from 'zod'
import { type DurationUnit, durationMs } from '../core/duration.ts'
import { didYouMean } from './nearest.ts'
import { DURATION_PATTERN, parseRate, parseSize, RATE_PATTERN, SIZE_PATTERN } from './quantities.ts'

/** A duration with its unit: `"500ms"`, `"30s"`, `"15m"`, `"24h"`, `"3d"`. */
export type WrittenDuration = `${number}${DurationUnit}`
/** A number per span of time: `"100/10s"`, `"250000/day"`. */
export type WrittenRate = `${number}/${string}`
/** `"512KB"`, `"1MB"`, `"4MiB"`. */
export type WrittenSize = `${number}${'B' | 'KB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB'}`

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
export const ENDPOINT_PATTERN = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \/\S*$/
const NAME_PATTERN = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/
const HEADER_NAME_PATTERN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const HEADER_VALUE_PATTERN = /^[^\r\n\0]*$/

const LONGEST_MS = 3650 * 86_400_000

/** An object that knows all its keys: any other is refused, with the nearest right name, one line for each. */
export function closed<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? unknownKeys(issue.keys, Object.keys(shape)) : undefined),
  })
}

function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  return keys.map((key) => `unknown key${didYouMean(key, known) || `; known here: ${known.join(', ')}`}`).join('\n')
}

export function duration(description: string, limits: { atMost?: WrittenDuration; positive?: boolean } = {}) {
  const longestMs = limits.atMost ? durationMs(limits.atMost) : LONGEST_MS
  const { positive = true } = limits
  const schema = z
    .string({ error: 'expected a duration with its unit, such as "500ms", "30s", "15m" or "24h"' })
    .regex(DURATION_PATTERN, { error: 'expected a duration such as "500ms", "30s", "15m" or "24h"', abort: true })
    .refine((text) => durationMs(text) <= longestMs, { error: `expected at most ${limits.atMost ?? '3650d'}` })
    .refine((text) => !positive || durationMs(text) > 0, { error: 'expected more than zero' })
    .describe(description)
  // The compiler knows the units too, in configurations written in TypeScript.
  return schema as unknown as z.ZodType<WrittenDuration, WrittenDuration>
}

export function rate(description: string) {
  const expected = 'expected a rate such as "100/10s", "5/second" or "250000/day"'
  const schema = z
    .string({ error: expected })
    .regex(RATE_PATTERN, { error: expected, abort: true })
    .refine((text) => succeeds(() => parseRate(text)), { error: 'expected more than zero' })
    .describe(description)
  return schema as unknown as z.ZodType<WrittenRate, WrittenRate>
}

export function size(description: string) {
  const expected = 'expected a size such as "512KB", "1MB" or "4MiB"'
  const schema = z
    .string({ error: expected })
    .regex(SIZE_PATTERN, { error: expected, abort: true })
    .refine((text) => succeeds(() => parseSize(text)), { error: 'expected at least one byte' })
    .describe(description)
  return schema as unknown as z.ZodType<WrittenSize, WrittenSize>
}

function succeeds(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch {
    return false
  }
}

export function count(description: string, limits: { atLeast?: number; atMost?: number } = {}) {
  return z
    .int({ error: (issue) => (issue.code === 'invalid_type' ? 'expected a whole number' : undefined) })
    .min(limits.atLeast ?? 1)
    .max(limits.atMost ?? 1_000_000)
    .describe(description)
}

export function share(description: string) {
  return z.number().min(0).max(1).describe(description)
}

export function text(description: string) {
  return z
    .string({ error: 'expected a text' })
    .min(1, { error: 'expected a text that is not empty' })
    .describe(description)
}

/** One of a few words. */
export function choice<const Values extends readonly string[]>(values: Values, description: string) {
  return z
    .enum(values, {
      error: (issue) =>
        `expected one of ${values.join(', ')}${typeof issue.input === 'string' ? didYouMean(issue.input, values) : ''}`,
    })
    .describe(description)
}

/** Names of integrations, pipelines and steps: they become parts of lanes, ids and addresses. */
export const name = z.string().regex(NAME_PATTERN, {
  error: 'expected a name of letters, digits, - and _, starting with a letter, at most 64 long',
})

export const headers = z.record(
  z.string().regex(HEADER_NAME_PATTERN, { error: 'cannot be the name of a header' }),
  z.string({ error: 'expected a text' }).regex(HEADER_VALUE_PATTERN, { error: 'expected a header value of one line' }),
  { error: 'expected an object, each header with its own value, such as { x-tag: "leads" }' },
)

/** A text, or several. */
export function oneOrMore(description: string) {
  return z
    .union([z.string().min(1), z.array(z.string().min(1))], { error: 'expected a text or a list of texts' })
    .describe(description)
}

/** Part of this configuration's language, but not of this version: refused rather than quietly ignored. */
export function notYet(what: string) {
  return z
    .never({ error: `this version of Holdfast does not have ${what} yet; leave this out` })
    .optional()
    .describe('Not in this version.')
}
