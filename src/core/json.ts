import { hash } from 'node:crypto'
import { HoldfastError, messageOf } from './errors.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/**
 * JSON with sorted keys and no white space: equal values give equal text (R084).
 * @throws HoldfastError `not_json` for what JSON cannot carry: functions, symbols, BigInt, cycles, NaN, undefined at the top.
 */
export function canonicalJson(value: unknown): string {
  return canonicalOf(JSON.parse(toJson(value)) as Json)
}

/**
 * JSON text of a value, refusing silently lossy input at the top level.
 * @throws HoldfastError `not_json`
 */
export function toJson(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw notJson(messageOf(cause), cause)
  }
  if (text === undefined) throw notJson(`a value of type ${typeof value} has no JSON form`)
  return text
}

/** SHA-256 of the canonical JSON, as 64 hex digits (D17): the fingerprint of a payload. */
export function fingerprintOf(value: unknown): string {
  return fingerprintOfJson(toJson(value))
}

/** {@link fingerprintOf} of what a JSON text says: for callers that have the text anyway. */
export function fingerprintOfJson(text: string): string {
  return sha256Hex(canonicalOf(JSON.parse(text) as Json))
}

export function sha256Hex(text: string): string {
  return hash('sha256', text)
}

/**
 * RFC 7396 JSON Merge Patch: `null` removes a member, objects merge, everything else replaces.
 * Members that would change a prototype are data here, never code.
 */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  const merged = new Map<string, Json>(isJsonObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key) ?? null, value))
  }
  return Object.fromEntries(merged)
}

export function isJsonObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function canonicalOf(plain: Json): string {
  return JSON.stringify(sortKeys(plain))
}

function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isJsonObject(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, sortKeys(value[key] as Json)]))
}

function notJson(reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'not_json',
    class: 'configuration',
    message: `The value cannot be stored as JSON: ${reason}`,
    hint: 'Pass plain data: objects, arrays, strings, finite numbers, booleans and null.',
    cause,
  })
}
