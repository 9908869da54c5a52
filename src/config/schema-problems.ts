/** What the schema found, in words for people: what was expected, and what was written, unless it may be a secret. */
import type { z } from 'zod'
import { type Path, type Problem, wordPath } from './problems.ts'

/** Parts of the configuration whose values may be secret, or carry one: never repeated in a message. */
const SECRET_PLACES = new Set(['auth', 'keys', 'headers', 'store', 'baseUrl', 'body', 'params', 'query', 'hash'])

/**
 * @param written the configuration before references were replaced: its values may be shown, theirs not.
 * @param known problems that are already told; nothing more is said about the same places.
 */
export function problemsOf(error: z.ZodError, written: unknown, known: readonly Problem[]): Problem[] {
  const told = new Set(known.map(({ path }) => wordPath(path)))
  return error.issues
    .flatMap((issue) => wordIssue(issue, written))
    .filter(({ path }) => {
      const place = wordPath(path)
      if (told.has(place)) return false
      told.add(place)
      return true
    })
}

function wordIssue(issue: z.core.$ZodIssue, written: unknown): Problem[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
  if (issue.code === 'unrecognized_keys') {
    const lines = issue.message.split('\n')
    return issue.keys.map((key, index) => ({ path: [...path, key], message: lines[index] ?? 'unknown key' }))
  }
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? 'cannot be a name' }]
  const value = valueAt(written, path)
  const expected = wordExpected(issue)
  if (value === undefined) return [{ path, message: `is missing: ${expected}` }]
  const shown = showValue(value, path)
  return [{ path, message: shown === undefined ? expected : insertReceived(expected, shown) }]
}

function wordExpected(issue: z.core.$ZodIssue): string {
  const isOwn = !/^(Invalid|Too|Unrecognized)/.test(issue.message)
  if (isOwn) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeWords[issue.expected] ?? issue.expected}`
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'expected a text that is not empty'
      return `expected ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
    case 'too_big':
      return `expected ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`
    case 'invalid_value':
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    default:
      return issue.message
  }
}

const typeWords: Readonly<Record<string, string>> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

/** `expected at most 3; did you mean ...` -> `expected at most 3, got 9; did you mean ...` */
function insertReceived(expected: string, shown: string): string {
  const [first, ...rest] = expected.split('; did you mean')
  return [`${first}, got ${shown}`, ...rest].join('; did you mean')
}

function showValue(value: unknown, path: Path): string | undefined {
  if (path.some((part) => typeof part === 'string' && SECRET_PLACES.has(part))) return undefined
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return value === null ? 'nothing' : 'an object'
  if (typeof value === 'function') return 'a function'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}
