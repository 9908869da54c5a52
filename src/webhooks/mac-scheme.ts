/** Signatures made with a shared secret: nearly all providers, told apart by data. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { TimestampUnit } from '../config/webhook-settings.ts'
import type { ReadRequest } from './request.ts'
import { type Checked, type EventFacts, type Key, refused, type ToSign, type WebhookScheme } from './scheme.ts'
import { base64Key, invalidSecret, textKey } from './secrets.ts'
import { jsonOf, valueAt } from './values.ts'

export interface MacFacts extends Pick<WebhookScheme, 'handshake' | 'unsignedHandshake' | 'acknowledgement'> {
  readonly event: EventFacts
  /** The first that is there counts. */
  readonly headers: readonly string[]
  /** Before the signature. Entries of a list without it are of other versions, and skipped. */
  readonly prefix?: string
  readonly separator?: ',' | ' '
  /** Default `sha256`. */
  readonly algorithm?: 'sha256' | 'sha1' | 'sha512'
  /** `prepended`: a plain digest of secret and text. Default `hmac`. */
  readonly keyed?: 'hmac' | 'prepended'
  /** Hex is in lower case: one signature has one spelling. Default `hex`. */
  readonly encoding?: 'hex' | 'base64'
  /** Of `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}` and fixed text. Default `{body}`. */
  readonly signedText?: string
  /** Where the time stands that is signed. */
  readonly timestamp?: (
    | { readonly header: string }
    | { readonly entry: string }
    /** Signed as a part of the body. */
    | { readonly body: string }
  ) & { readonly unit: TimestampUnit }
  readonly idHeader?: string
  readonly secretEncoding?: 'text' | 'base64'
  readonly toleranceMs?: number
  /** The addresses that may have been signed for a request. Default: as it is. */
  readonly urls?: (url: string) => readonly string[]
  /** The parts of the body that may have been signed. Default: all of it. Nothing: it cannot have been signed. */
  readonly bodies?: (request: Pick<ReadRequest, 'body' | 'url'>) => readonly (Uint8Array | string)[]
}

/** More than any sender has: a header full of signatures must not buy work. */
const MOST_CANDIDATES = 20

type SharedKey = Extract<Key, { kind: 'shared' }>
type Piece = { readonly text: string } | { readonly field: Field }
type Field = 'body' | 'timestamp' | 'id' | 'method' | 'url'
type Fields = Readonly<Record<Field, Uint8Array | string>>

export function macScheme(facts: MacFacts): WebhookScheme {
  const pieces = piecesOf(facts.signedText ?? '{body}')
  const { handshake, unsignedHandshake, acknowledgement } = facts
  return {
    event: facts.event,
    toleranceMs: facts.toleranceMs,
    signatureHeaders: facts.headers,
    key: facts.secretEncoding === 'base64' ? base64Key : textKey,
    check: (request, keys) => check(facts, pieces, request, keys),
    sign: (key, request) => sign(facts, pieces, key, request),
    ...(handshake && { handshake }),
    ...(unsignedHandshake && { unsignedHandshake }),
    ...(acknowledgement && { acknowledgement }),
  }
}

function check(facts: MacFacts, pieces: readonly Piece[], request: ReadRequest, keys: readonly Key[]): Checked {
  const header = facts.headers.map((name) => request.header(name)).find((value) => value !== undefined)
  if (header === undefined) return refused('signature_missing')
  const entries = facts.separator
    ? header.split(facts.separator, MOST_CANDIDATES).map((entry) => entry.trim())
    : [header]
  const prefix = facts.prefix ?? ''
  const candidates = entries.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length))
  if (candidates.length === 0) return refused('signature_malformed')

  const timestamp = signedTime(facts, request, entries)
  if (timestamp === undefined) return refused('timestamp_missing')
  const id = facts.idHeader === undefined ? '' : request.header(facts.idHeader)
  if (id === undefined) return refused('id_missing')
  const given = { ...request, timestamp, id }
  if (!texts(facts, given).some((fields) => matches(facts, pieces, fields, keys, candidates))) {
    return refused('signature_mismatch')
  }
  return timeOf(facts, request, timestamp)
}

/** As it is written, where it is signed apart from the body; `undefined` where it is missing. */
function signedTime({ timestamp }: MacFacts, request: ReadRequest, entries: readonly string[]): string | undefined {
  if (!timestamp || 'body' in timestamp) return ''
  if ('header' in timestamp) return request.header(timestamp.header)
  const { entry } = timestamp
  return entries.find((text) => text.startsWith(entry))?.slice(entry.length)
}

function timeOf({ timestamp }: MacFacts, request: ReadRequest, text: string): Checked {
  if (!timestamp) return { ok: true }
  const written = 'body' in timestamp ? valueAt(jsonOf(request.body), timestamp.body) : text
  if (written === undefined) return refused('timestamp_missing')
  const timestampMs = parseTimestamp(written, timestamp.unit)
  return timestampMs === undefined ? refused('timestamp_malformed') : { ok: true, timestampMs }
}

export function parseTimestamp(text: string, unit: TimestampUnit): number | undefined {
  if (unit === 'iso') {
    const atMs = /^\d{4}-\d\d-\d\dT[\d:.]{5,16}(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
    return Number.isNaN(atMs) ? undefined : atMs
  }
  if (!/^\d{1,15}$/.test(text)) return undefined
  return unit === 'seconds' ? Number(text) * 1000 : Number(text)
}

/** All that may have been signed: addresses and bodies have variants. */
function texts(
  facts: MacFacts,
  {
    method,
    url,
    body,
    timestamp,
    id,
  }: Pick<ReadRequest, 'method' | 'url' | 'body'> & { timestamp: string; id: string },
): Fields[] {
  const bodies = facts.bodies?.({ body, url }) ?? [body]
  const urls = facts.urls?.(url) ?? [url]
  return urls.flatMap((one) => bodies.map((part) => ({ method, url: one, body: part, timestamp, id })))
}

function matches(
  facts: MacFacts,
  pieces: readonly Piece[],
  fields: Fields,
  keys: readonly Key[],
  candidates: readonly string[],
): boolean {
  return keys.some((key) => {
    if (key.kind !== 'shared') return false
    const expected = macOf(facts, pieces, fields, key)
    return candidates.some((candidate) => sameText(candidate, expected))
  })
}

function macOf(facts: MacFacts, pieces: readonly Piece[], fields: Fields, key: SharedKey): string {
  const { algorithm = 'sha256', encoding = 'hex', keyed = 'hmac' } = facts
  const mac = keyed === 'hmac' ? createHmac(algorithm, key.key) : createHash(algorithm).update(key.bytes)
  for (const piece of pieces) mac.update('text' in piece ? piece.text : fields[piece.field])
  return mac.digest(encoding)
}

/** In a time that does not tell how much of it is right; the length is no secret. */
export function sameText(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function sign(facts: MacFacts, pieces: readonly Piece[], key: Key, request: ToSign): Record<string, string> {
  const { timestamp: where, prefix = '', separator = ',' } = facts
  const timestamp = where ? writtenTime(request.timestampMs, where.unit) : ''
  const [fields] = texts(facts, { ...request, timestamp })
  if (!fields || key.kind !== 'shared') throw invalidSecret('it is of another kind than the provider signs with')
  const mac = `${prefix}${macOf(facts, pieces, fields, key)}`
  const entry = where && 'entry' in where ? `${where.entry}${timestamp}${separator}` : ''
  return {
    [facts.headers[0] as string]: `${entry}${mac}`,
    ...(where && 'header' in where && { [where.header]: timestamp }),
    ...(facts.idHeader !== undefined && { [facts.idHeader]: request.id }),
  }
}

function writtenTime(timestampMs: number, unit: TimestampUnit): string {
  if (unit === 'iso') return new Date(timestampMs).toISOString()
  return String(unit === 'seconds' ? Math.floor(timestampMs / 1000) : timestampMs)
}

function piecesOf(template: string): Piece[] {
  return template
    .split(/(\{(?:body|timestamp|id|method|url)\})/)
    .filter((part) => part !== '')
    .map((part) => (/^\{.+\}$/.test(part) ? { field: part.slice(1, -1) as Field } : { text: part }))
}
