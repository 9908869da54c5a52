/** What all judgements share: what a call can effect, and how much of an answer is kept. */
import type { Certainty } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import { redactJson, redactText } from '../redact.ts'
import type { CallFacts } from './classify.ts'

const READ_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])

/** A read that has no effect at all. A GET that costs credits is declared unsafe, and counts as a write. */
export function isRead(call: CallFacts): boolean {
  return READ_METHODS.has(call.method.toUpperCase()) && call.idempotency.kind === 'safe'
}

export function isDelete(call: CallFacts): boolean {
  return call.method.toUpperCase() === 'DELETE'
}

/** What is known about the effect of this call, given what would be known about a write. */
export function effectOf(call: CallFacts, ofWrite: Certainty): Certainty {
  return isRead(call) ? 'not_sent' : ofWrite
}

const LARGEST_EXCERPT_BYTES = 2048
const encoder = new TextEncoder()

/** The first part of a body, redacted, at most 2 KB of UTF-8 (R163). */
export function excerptOf(body: Json | undefined, bodyText: string, redactFields: readonly string[]): string {
  const isStructured = typeof body === 'object' && body !== null
  // Redacted before it is cut, so that no cut can hide the name of a secret; bounded before that, so that it costs little.
  const text = isStructured
    ? JSON.stringify(redactJson(body, redactFields, { maximumValues: 300 }))
    : redactText(bodyText.slice(0, 4 * LARGEST_EXCERPT_BYTES).trim(), redactFields)
  return cutBytes(text, LARGEST_EXCERPT_BYTES)
}

function cutBytes(text: string, largest: number): string {
  if (Buffer.byteLength(text) <= largest) return text
  const ending = '...'
  const { read } = encoder.encodeInto(text, new Uint8Array(largest - ending.length))
  return text.slice(0, read) + ending
}

export function shorten(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 3)}...`
}
