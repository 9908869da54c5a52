/**
 * Reads what an answer says of each record that was sent (R121): exactly one verdict per record, whatever the answer is. Pure;
 * never throws. No record succeeds by default: what the answer is silent or in two minds about is `untold`.
 */
import type { BatchAnswerShape, RecordError, RecordList, RecordMatch, RecordSigns } from '../../config/batch-shapes.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { valuesAt } from '../classify/classify-body.ts'
import { markOf } from './batch-request.ts'

export interface BatchAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly data: Json | undefined
}

export type RecordVerdict =
  | { readonly kind: 'succeeded'; readonly data: Json }
  /** To be judged by the rules of whole answers. */
  | { readonly kind: 'failed'; readonly failure: RecordRefusal }
  /** Surely without effect, and not its own fault. */
  | { readonly kind: 'rolled_back'; readonly failure: RecordRefusal }
  | { readonly kind: 'untold'; readonly why: string }

/** What the element of a record that failed says, in the form of a whole answer. */
export interface RecordRefusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json
  /** Where `body` keeps them, beside the usual places. */
  readonly paths: {
    readonly code: readonly string[]
    readonly message: readonly string[]
    readonly field: readonly string[]
  }
}

/**
 * One verdict for each of the records, in their order; `undefined` where the answer tells of none of them: then it is about the
 * call as a whole.
 */
export function readBatchAnswer(
  shape: BatchAnswerShape,
  records: readonly Json[],
  answer: BatchAnswer,
): readonly RecordVerdict[] | undefined {
  const isTold = shape.statuses?.includes(answer.status) ?? (answer.status >= 200 && answer.status < 300)
  if (!isTold) return undefined
  const told = records.map((): RecordVerdict[] => [])
  for (const list of shape.lists) {
    for (const { element, places } of elementsOf(list, records, answer.data)) {
      const verdict = verdictOf(list, element, answer)
      if (verdict) for (const place of places) told[place]?.push(verdict)
    }
  }
  if (!shape.allOrNothing && told.every((verdicts) => verdicts.length === 0)) return undefined
  return withInnocents(shape, told.map(oneOf), answer)
}

/** What an answer says twice, it must say alike. */
function oneOf(verdicts: readonly RecordVerdict[]): RecordVerdict {
  const [first] = verdicts
  if (!first) return { kind: 'untold', why: 'the answer says nothing about this record' }
  if (verdicts.every((verdict) => verdict.kind === first.kind)) return first
  return { kind: 'untold', why: 'the answer says of this record that it succeeded, and that it failed' }
}

/** Innocent is only who has a culprit beside him. */
function withInnocents(
  { allOrNothing = false, rolledBack = [] }: BatchAnswerShape,
  verdicts: readonly RecordVerdict[],
  answer: BatchAnswer,
): RecordVerdict[] {
  const codes = new Set(rolledBack)
  const isInnocent = (verdict: RecordVerdict) => verdict.kind === 'failed' && hasCode(verdict.failure, codes)
  const someFailed = verdicts.some((verdict) => verdict.kind === 'failed' && !isInnocent(verdict))
  return verdicts.map((verdict) => {
    if (verdict.kind === 'failed' && isInnocent(verdict)) {
      if (someFailed) return { kind: 'rolled_back', failure: verdict.failure }
      // All were undone, and nobody knows why: it may pass.
      return { kind: 'failed', failure: { ...verdict.failure, status: 503 } }
    }
    if (verdict.kind !== 'untold' || !allOrNothing) return verdict
    if (!someFailed) return { kind: 'succeeded', data: null }
    const failure = { status: answer.status, headers: answer.headers, body: null, paths: NO_PATHS }
    return { kind: 'rolled_back', failure }
  })
}

const NO_PATHS: RecordRefusal['paths'] = { code: [], message: [], field: [] }

function hasCode(refusal: RecordRefusal, codes: ReadonlySet<string>): boolean {
  if (codes.size === 0) return false
  const paths = [...refusal.paths.code, ...USUAL_CODES]
  return paths.some((path) => valuesAt(refusal.body, path, 'each').some((value) => codes.has(value)))
}

const USUAL_CODES = ['[].errorCode', 'errorCode', 'error.code', 'code', 'statusCode']

// --- Which record an element is about ---

interface Told {
  readonly element: Json
  /** Of the records it is about. */
  readonly places: readonly number[]
}

function elementsOf({ at, match }: RecordList, records: readonly Json[], body: Json | undefined): Told[] {
  const list = valueAt(body, at)
  if (match.by === 'member') return isJsonObject(list) ? membersOf(list, records.length) : []
  if (!Array.isArray(list)) return []
  const elements = list as readonly Json[]
  // A list of another length is in another order, or not about these records.
  if (match.by === 'position') {
    return elements.length === records.length ? elements.map((element, place) => ({ element, places: [place] })) : []
  }
  const placesOf = placesByName(match, records)
  return elements.map((element) => ({ element, places: namesAt(element, match.at).flatMap(placesOf) }))
}

function membersOf(object: { readonly [key: string]: Json }, count: number): Told[] {
  return Array.from({ length: count }, (_, place) => place)
    .filter((place) => Object.hasOwn(object, markOf(place)))
    .map((place) => ({ element: object[markOf(place)] ?? null, places: [place] }))
}

type NamedMatch = Exclude<RecordMatch, { by: 'position' | 'member' }>

/** Two records with one name cannot be told apart: neither is meant. */
function placesByName(match: NamedMatch, records: readonly Json[]): (name: string) => number[] {
  const places = new Map<string, number[]>()
  for (const [place, record] of records.entries()) {
    const names =
      match.by === 'value' ? namesAt(record, match.sent) : [match.by === 'mark' ? markOf(place) : `${place}`]
    for (const name of names) places.set(name, [...(places.get(name) ?? []), place])
  }
  return (name) => {
    const found = places.get(name) ?? []
    return found.length === 1 ? found : []
  }
}

/** A text or a number there; of a list, each. */
function namesAt(value: Json, path: string): string[] {
  const found = valueAt(value, path)
  const names = Array.isArray(found) ? (found as readonly Json[]) : [found]
  return names.filter((name) => typeof name === 'string' || typeof name === 'number').map(String)
}

// --- What an element says ---

function verdictOf(list: RecordList, element: Json, answer: BatchAnswer): RecordVerdict | undefined {
  const status = list.signs.status === undefined ? undefined : statusAt(element, list.signs.status)
  if (isBad(list.signs, element, status)) return { kind: 'failed', failure: refusalOf(list, element, status, answer) }
  if (!isGood(list.signs, element, status)) return undefined
  return { kind: 'succeeded', data: list.data === undefined ? element : (valueAt(element, list.data) ?? null) }
}

function isBad(signs: RecordSigns, element: Json, status: number | undefined): boolean {
  if (signs.all === 'failed' || (status !== undefined && status >= 300)) return true
  return isAmong(element, signs.bad) || (signs.badIfAny ?? []).some((path) => isThere(valueAt(element, path)))
}

function isGood(signs: RecordSigns, element: Json, status: number | undefined): boolean {
  if (signs.all === 'succeeded' || (status !== undefined && status >= 200 && status < 300)) return true
  return isAmong(element, signs.good) || (signs.goodIfAny ?? []).some((path) => isThere(valueAt(element, path)))
}

function isAmong(element: Json, sign: RecordSigns['good']): boolean {
  if (sign === undefined) return false
  const value = valueAt(element, sign.at)
  return value !== undefined && (sign.values as readonly Json[]).includes(value)
}

function isThere(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isJsonObject(value)) return Object.keys(value).length > 0
  return Boolean(value)
}

/** `200` or `"200"`; a word is no status. */
function statusAt(element: Json, path: string): number | undefined {
  const value = valueAt(element, path)
  const status = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 999 ? status : undefined
}

function refusalOf(list: RecordList, element: Json, status: number | undefined, answer: BatchAnswer): RecordRefusal {
  const error = list.error ?? {}
  const body = error.at === undefined ? element : (valueAt(element, error.at) ?? element)
  const paths = { code: error.code ?? [], message: error.message ?? [], field: error.field ?? [] }
  const stated = status !== undefined && status >= 300 ? status : statusByCode(error, body)
  return { status: stated, headers: headersOf(error, element, answer), body, paths }
}

const USUAL_FAILURE_STATUS = 400

function statusByCode(error: RecordError, body: Json): number {
  for (const path of error.code ?? []) {
    for (const code of valuesAt(body, path, 'each')) {
      if (error.statusByCode && Object.hasOwn(error.statusByCode, code)) {
        return error.statusByCode[code] ?? USUAL_FAILURE_STATUS
      }
    }
  }
  return error.status ?? USUAL_FAILURE_STATUS
}

function headersOf(error: RecordError, element: Json, answer: BatchAnswer): Readonly<Record<string, string>> {
  const own = error.headers === undefined ? undefined : valueAt(element, error.headers)
  const headers: Record<string, string> = { ...answer.headers }
  if (isJsonObject(own)) {
    for (const [name, value] of Object.entries(own)) {
      if (typeof value === 'string' || typeof value === 'number') headers[name.toLowerCase()] = String(value)
    }
  }
  const wait = error.retryAfter && valueAt(element, error.retryAfter.at)
  const amount = typeof wait === 'string' && wait.trim() !== '' ? Number(wait) : wait
  if (error.retryAfter && typeof amount === 'number' && Number.isFinite(amount) && amount >= 0) {
    headers['retry-after'] = String(error.retryAfter.unit === 'ms' ? Math.ceil(amount / 1000) : Math.ceil(amount))
  }
  return headers
}

/** By own members only: the answer must not reach what every object has. */
export function valueAt(value: Json | undefined, path: string): Json | undefined {
  if (path === '') return value
  let found: Json | undefined = value
  for (const name of path.split('.')) {
    if (Array.isArray(found)) found = (found as readonly Json[])[/^\d+$/.test(name) ? Number(name) : -1]
    else if (isJsonObject(found) && Object.hasOwn(found, name)) found = found[name]
    else return undefined
  }
  return found
}
