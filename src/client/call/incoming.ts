/** Reads a whole answer: text, JSON, and whether it is what was asked for. */
import type { Json } from '../../core/json.ts'
import { validate } from '../../core/schema.ts'
import type { TransportAnswer } from '../wire/transport.ts'
import type { OutboundCall } from './call.ts'

export interface ReadAnswer {
  readonly text: string
  /** Parsed JSON; `undefined` where the body is not JSON. */
  readonly json: Json | undefined
  /** It claims to be JSON, and is not. */
  readonly brokenJson: boolean
}

const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i
const HTML_TYPE = /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i
const HTML_START = /^\s*<(?:!doctype|html|head|body)/i
const UTF8_LENIENT = new TextDecoder()

/** Never throws, whatever the bytes are. */
export function readAnswer(answer: TransportAnswer): ReadAnswer {
  if (answer.body.byteLength === 0) return { text: '', json: undefined, brokenJson: false }
  const text = UTF8_LENIENT.decode(answer.body)
  const claimsJson = isJsonType(answer.headers['content-type'])
  if (!claimsJson && !looksLikeJson(text)) return { text, json: undefined, brokenJson: false }
  try {
    return { text, json: JSON.parse(text) as Json, brokenJson: false }
  } catch {
    // Not hidden: told as a value, and judged as a malformed answer where JSON was promised.
    return { text, json: undefined, brokenJson: claimsJson }
  }
}

/** Why a successful answer is not what was promised (R027, D07); `undefined` where it is. */
export function whyMalformed(call: OutboundCall, answer: TransportAnswer, read: ReadAnswer): string | undefined {
  if (call.expects === 'text' || call.method === 'HEAD') return undefined
  if (read.text === '') {
    const emptyIsFine = call.expects === 'any' || answer.status === 204 || answer.status === 205
    return emptyIsFine ? undefined : 'the body is empty where JSON was expected'
  }
  if (read.json !== undefined) return undefined
  if (read.brokenJson) return 'the body is not valid JSON: cut short, or garbled on the way'
  if (isHtml(answer, read) && !asksForHtml(call)) return 'the body is an HTML page where JSON was expected'
  return call.expects === 'json' ? 'the body is not JSON' : undefined
}

export type Checked = { readonly ok: true; readonly data: unknown } | { readonly ok: false; readonly reason: string }

/** Holds the data against the caller's schema. A schema that throws refuses it. */
export async function checkSchema(call: OutboundCall, data: unknown): Promise<Checked> {
  if (!call.responseSchema) return { ok: true, data }
  try {
    const result = await validate(call.responseSchema, data)
    if (result.ok) return { ok: true, data: result.value }
    return { ok: false, reason: `it does not match the schema: ${result.problems.slice(0, 3).join('; ')}` }
  } catch (error) {
    const kind = error instanceof Error ? error.name : typeof error
    return { ok: false, reason: `the schema itself failed with ${kind} while checking it` }
  }
}

function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined) return false
  return contentType.startsWith('application/json') || JSON_TYPE.test(contentType)
}

function looksLikeJson(text: string): boolean {
  const first = text.charCodeAt(0)
  return first === 0x7b || first === 0x5b
}

function isHtml(answer: TransportAnswer, read: ReadAnswer): boolean {
  return HTML_TYPE.test(answer.headers['content-type'] ?? '') || HTML_START.test(read.text.slice(0, 200))
}

/** A caller who asks for pages may have one. */
function asksForHtml(call: OutboundCall): boolean {
  for (const name in call.headers) {
    if (name.toLowerCase() === 'accept') return (call.headers[name] ?? '').includes('html')
  }
  return false
}
