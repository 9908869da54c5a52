/** Reading bodies that nobody vouches for yet. Nothing here throws. */
import { isJsonObject } from '../core/json.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** `undefined`: it is not UTF-8. */
export function textOf(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body)
  } catch {
    return undefined
  }
}

/** `undefined`: it is no JSON. */
export function jsonOf(body: Uint8Array | string): unknown {
  const text = typeof body === 'string' ? body : textOf(body)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** The text or number at a dot path; `undefined` for anything else. */
export function valueAt(json: unknown, path: string): string | undefined {
  let value = json
  for (const part of path.split('.')) {
    if (!isJsonObject(value) || !Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/**
 * The bytes of the first element of a JSON array, exactly as they stand: some providers sign those alone. `undefined` where
 * there is none.
 */
export function firstElement(body: Uint8Array): Uint8Array | undefined {
  const start = skipBlanks(body, 0)
  if (body[start] !== OPENING_BRACKET) return undefined
  const from = skipBlanks(body, start + 1)
  let depth = 0
  let quoted = false
  for (let index = from; index < body.length; index++) {
    const byte = body[index] as number
    if (quoted) {
      if (byte === BACKSLASH) index++
      else if (byte === QUOTE) quoted = false
    } else if (byte === QUOTE) quoted = true
    else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) depth++
    else if (depth > 0 && (byte === CLOSING_BRACKET || byte === CLOSING_BRACE)) depth--
    else if (depth === 0 && (byte === COMMA || byte === CLOSING_BRACKET)) return trimmedEnd(body.subarray(from, index))
  }
  return undefined
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPENING_BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

function skipBlanks(body: Uint8Array, from: number): number {
  let index = from
  while (isBlank(body[index])) index++
  return index
}

function trimmedEnd(bytes: Uint8Array): Uint8Array | undefined {
  let end = bytes.length
  while (end > 0 && isBlank(bytes[end - 1])) end--
  return end === 0 ? undefined : bytes.subarray(0, end)
}
