/**
 * Values at a dot path in foreign JSON: `error.code`, `[0].errorCode` or `0.errorCode`, `errors[].field` (every element),
 * `errors.*` (every member), `errors.{field}` (the names of the members), `error.**.code` (here and anywhere below, the deepest
 * first). A list in the middle is looked through. Follows own members only, and looks at a bounded number of values.
 */
import { isJsonObject, type Json } from '../../core/json.ts'

/** Of one list or object, and found in all, where values are collected. */
export const MOST_VALUES = 20
const MOST_VISITS = 2000
/** Where a value is looked for: one failed record of a large batch must not hide behind the good ones. */
const MOST_SEARCHED = 100_000
const DEEPEST = 12
/** Members of an `errors` object that are not names of fields. */
const NOT_FIELDS = new Set(['code', 'message', 'detail', 'title', 'type', 'status', 'reason', 'description', 'error'])

interface Walk {
  /** True: enough has been seen. */
  readonly isEnough: (value: Json) => boolean
  readonly mostChildren: number
  visitsLeft: number
}

/** At most {@link MOST_VALUES} of them. */
export function jsonAt(body: Json, path: string): readonly Json[] {
  const segments = segmentsOf(path)
  if (segments.length === 1 && isPlainName(segments[0] as string) && isJsonObject(body)) {
    // Asked of every good answer of some vendors: `ok`, `errors`.
    const [name = ''] = segments
    return Object.hasOwn(body, name) ? [body[name] ?? null] : NOTHING
  }
  const found: Json[] = []
  const isEnough = (value: Json): boolean => found.push(value) >= MOST_VALUES
  visit(body, segments, 0, { isEnough, mostChildren: MOST_VALUES, visitsLeft: MOST_VISITS })
  return found
}

/** Is there such a value at the path? All of a long list are looked at. */
export function someJsonAt(body: Json, path: string, isWanted: (value: Json) => boolean): boolean {
  let isFound = false
  const isEnough = (value: Json): boolean => {
    isFound ||= isWanted(value)
    return isFound
  }
  visit(body, segmentsOf(path), 0, { isEnough, mostChildren: MOST_SEARCHED, visitsLeft: MOST_SEARCHED })
  return isFound
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
  if (walk.visitsLeft-- <= 0) return
  const segment = segments[at]
  if (segment === undefined) {
    if (walk.isEnough(value)) walk.visitsLeft = 0
  } else if (segment === '**') visitBelow(value, segments, at + 1, walk, 0)
  else if (isJsonObject(value)) visitMember(value, segments, at, walk)
  else if (Array.isArray(value)) visitElements(value, segments, at, walk)
}

/** The finest code is the innermost one. */
function visitBelow(value: Json, segments: readonly string[], at: number, walk: Walk, depth: number): void {
  if (typeof value !== 'object' || value === null || depth >= DEEPEST || walk.visitsLeft-- <= 0) return
  for (const child of Object.values(value).slice(0, walk.mostChildren)) visitBelow(child, segments, at, walk, depth + 1)
  if (isJsonObject(value)) visit(value, segments, at, walk)
}

function visitElements(array: readonly Json[], segments: readonly string[], at: number, walk: Walk): void {
  const segment = segments[at] as string
  if (/^\d+$/.test(segment)) {
    visit(array[Number(segment)] ?? null, segments, at + 1, walk)
    return
  }
  for (const element of array.slice(0, walk.mostChildren)) {
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
    for (const name of names.slice(0, walk.mostChildren)) visit(name, segments, at + 1, walk)
  } else if (segment === '*') {
    for (const member of Object.values(value).slice(0, walk.mostChildren)) visit(member, segments, at + 1, walk)
  } else if (Object.hasOwn(value, segment)) {
    visit(value[segment] ?? null, segments, at + 1, walk)
  }
}
