/** From a verified body to its events: what names each, of which kind it is, and its JSON text. */

import type { WebhookPlace } from '../config/webhook-settings.ts'
import { sha256Hex, toJson } from '../core/json.ts'
import type { ReadRequest } from './request.ts'
import type { EventFacts } from './scheme.ts'
import { jsonOf, textOf, valueAt } from './values.ts'

export interface WebhookEvent {
  /** Equal when the event is delivered again: the provider's own id, or `sha256:` and a digest of what was sent. */
  readonly id: string
  readonly type: string | undefined
  /** JSON that came alone: exactly as it was sent. A form: an object. Other text: a JSON string. Bytes: `{ base64 }`. */
  readonly json: string
  /** Of `json`. */
  readonly value: unknown
}

/** Longer ones, and those with unusual characters, are known by their digest. */
const ORDINARY_ID = /^[\x21-\x7e]{1,200}$/

export function eventsOf(request: ReadRequest, facts: EventFacts): WebhookEvent[] {
  const { json, value } = payloadOf(request)
  if (!facts.batch || !Array.isArray(value)) return [eventOf(request, facts, json, value, () => sha256Of(request.body))]
  const seen = new Map<string, number>()
  return value.map((element: unknown) => {
    const text = toJson(element)
    const digest = occurrence(seen, sha256Hex(text))
    return eventOf(request, facts, text, element, () => digest)
  })
}

function eventOf(
  request: ReadRequest,
  facts: EventFacts,
  json: string,
  value: unknown,
  digest: () => string,
): WebhookEvent {
  const id = facts.id.map((parts) => joined(request, parts, value)).find((found) => found !== undefined)
  const type = facts.type.map((place) => read(request, place, value)).find((found) => found !== undefined)
  return { id: id === undefined ? `sha256:${digest()}` : ordinary(id), type: type?.slice(0, 200), json, value }
}

/** Twins in one batch that have no id are two events; a redelivery has them in the same order. */
function occurrence(seen: Map<string, number>, digest: string): string {
  const count = (seen.get(digest) ?? 0) + 1
  seen.set(digest, count)
  return count === 1 ? digest : `${digest}#${count}`
}

function joined(request: ReadRequest, parts: readonly WebhookPlace[], value: unknown): string | undefined {
  const values = parts.map((place) => read(request, place, value))
  return values.every((part) => part !== undefined) ? values.join('/') : undefined
}

function read(request: ReadRequest, place: WebhookPlace, value: unknown): string | undefined {
  return 'header' in place ? request.header(place.header.toLowerCase()) || undefined : valueAt(value, place.body)
}

function ordinary(id: string): string {
  return ORDINARY_ID.test(id) ? id : `sha256:${sha256Hex(id)}`
}

function payloadOf(request: ReadRequest): { json: string; value: unknown } {
  const text = textOf(request.body)
  if (text === undefined) return withJson({ base64: Buffer.from(request.body).toString('base64') })
  const value = jsonOf(text)
  if (value !== undefined) return { json: text, value }
  const isForm = request.header('content-type')?.toLowerCase().startsWith('application/x-www-form-urlencoded')
  return withJson(isForm ? fieldsOf(text) : text)
}

function withJson(value: unknown): { json: string; value: unknown } {
  return { json: toJson(value), value }
}

/** A name that comes more than once has all its values. */
function fieldsOf(text: string): Record<string, string | string[]> {
  const form = new URLSearchParams(text)
  return Object.fromEntries(
    [...new Set(form.keys())].map((name) => {
      const values = form.getAll(name)
      return [name, values.length === 1 ? (values[0] as string) : values]
    }),
  )
}

function sha256Of(body: Uint8Array): string {
  return sha256Hex(Buffer.from(body).toString('latin1'))
}
