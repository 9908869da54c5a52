/**
 * Values at a dot path in foreign JSON: `error.code`, `[0].errorCode` or `0.errorCode`, `errors[].field` (every element),
 * `errors.*` (every member), `errors.{field}` (the names of the members), `error.**.code` (here and anywhere below, the deepest
 * first). A list in the middle is looked through. Follows own members only, and looks at a bounded number of values.
 */
import { isJsonObject, type Json } from '../core/json.ts'

/** Of one list or object, and found in all. */
export const MOST_VALUES = 20
const MOST_VISITS = 2000
const DEEPEST = 12
/** Members of an `errors` object that are not names of fields. */
const NOT_FIELDS = new Set(['code', 'message', 'detail', 'title', 'type', 'status', 'reason', 'description', 'error'])

interface Walk {
  readonly found: Json[]
  visits: number
}

export function jsonAt(body: Json, path: string): readonly Json[] {
  const segments = segmentsOf(path)
  if (segments.length === 1 && isPlainName(segments[0] as string) && isJsonObject(body)) {
    // Asked of every good answer of some vendors: `ok`, `errors`.
    const [name = ''] = segments
    return Object.hasOwn(body, name) ? [body[name] ?? null] : NOTHING
  }
  const walk: Walk = { found: [], visits: 0 }
  visit(body, segments, 0, walk)
  return walk.found
}

const NOTHING: readonly Json[] = []

function isPlainName(segment: string): boolean {
  return segment !== '*' && segment !== '**' && segment !== '{field}'
}

/** Paths come from configurations and profiles, so there are few. */
const parsed = new Map<string, readonly string[]>()

function segmentsOf(path: string): readonly string[] {
  const known = parsed.get(path)
  if (known) return known
  const dotted = path.replace(/\[(\d*)\]/g, (_, index: string) => `.${index || '[]'}`)
  const segments = dotted.split('.').filter((segment) => segment !== '')
  if (parsed.size >= 5000) parsed.clear()
  parsed.set(path, segments)
  return segments
}

function visit(value: Json, segments: readonly string[], at: number, walk: Walk): void {
  walk.visits += 1
  if (walk.found.length >= MOST_VALUES || walk.visits > MOST_VISITS) return
  const segment = segments[at]
  if (segment === undefined) walk.found.push(value)
  else if (segment === '**') visitBelow(value, segments, at + 1, walk, 0)
  else if (isJsonObject(value)) visitMember(value, segments, at, walk)
  else if (Array.isArray(value)) visitElements(value, segments, at, walk)
}

/** The finest code is the innermost one. */
function visitBelow(value: Json, segments: readonly string[], at: number, walk: Walk, depth: number): void {
  if (typeof value !== 'object' || value === null || depth >= DEEPEST || walk.visits > MOST_VISITS) return
  walk.visits += 1
  for (const child of Object.values(value).slice(0, MOST_VALUES)) visitBelow(child, segments, at, walk, depth + 1)
  if (isJsonObject(value)) visit(value, segments, at, walk)
}

function visitElements(array: readonly Json[], segments: readonly string[], at: number, walk: Walk): void {
  const segment = segments[at] as string
  if (/^\d+$/.test(segment)) {
    visit(array[Number(segment)] ?? null, segments, at + 1, walk)
    return
  }
  for (const element of array.slice(0, MOST_VALUES)) {
    if (segment === '[]' || segment === '*') visit(element, segments, at + 1, walk)
    // Looked through, but not lists of lists: their depth is the sender's choice.
    else if (segment !== '{field}' && isJsonObject(element)) visitMember(element, segments, at, walk)
  }
}

function visitMember(
  value: { readonly [key: string]: Json },
  segments: readonly string[],
  at: number,
  walk: Walk,
): void {
  const segment = segments[at] as string
  if (segment === '{field}') {
    const names = Object.keys(value).filter((name) => !NOT_FIELDS.has(name))
    for (const name of names.slice(0, MOST_VALUES)) visit(name, segments, at + 1, walk)
  } else if (segment === '*') {
    for (const member of Object.values(value).slice(0, MOST_VALUES)) visit(member, segments, at + 1, walk)
  } else if (Object.hasOwn(value, segment)) {
    visit(value[segment] ?? null, segments, at + 1, walk)
  }
}
