/** The inverse of reading at a dot path: puts a value where a profile says that it stands. */
import { isJsonObject, type Json } from '../../core/json.ts'

/**
 * A copy of `body` with `value` at `path`: `error.code`, `errors[].statusCode` (the first element), `path.0`, `[].message`. The empty path
 * is the value itself. What is in the way and is neither object nor list is replaced; `*`, `**` and `{field}` name no place: then
 * nothing changes.
 */
export function writeAt(body: Json | undefined, path: string, value: Json): Json {
  const dotted = path.replace(/\[(\d*)\]/g, (_, index: string) => `.${index || '0'}`)
  const segments = dotted.split('.').filter((segment) => segment !== '')
  if (segments.some((segment) => /[*{}]/.test(segment))) return body ?? {}
  return put(body, segments, value)
}

function put(body: Json | undefined, segments: readonly string[], value: Json): Json {
  const [segment, ...rest] = segments
  if (segment === undefined) return value
  if (/^\d{1,4}$/.test(segment)) {
    const list: Json[] = Array.isArray(body) ? [...(body as readonly Json[])] : []
    const place = Math.min(Number(segment), list.length)
    list[place] = put(list[place], rest, value)
    return list
  }
  const object = isJsonObject(body) ? body : {}
  return { ...object, [segment]: put(Object.hasOwn(object, segment) ? object[segment] : undefined, rest, value) }
}

/** A copy with `value` wherever something stands at `path` already: every element of `[]`. */
export function replaceAt(body: Json, path: string, value: Json): Json {
  return replace(
    body,
    path
      .replace(/\[(\d*)\]/g, (_, index: string) => `.${index || '[]'}`)
      .split('.')
      .filter(Boolean),
    value,
  )
}

function replace(body: Json, [segment, ...rest]: readonly string[], value: Json): Json {
  if (segment === undefined) return value
  if (Array.isArray(body)) {
    const elements = body as readonly Json[]
    if (segment === '[]') return elements.map((element) => replace(element, rest, value))
    return elements.map((element, place) => (String(place) === segment ? replace(element, rest, value) : element))
  }
  if (!isJsonObject(body) || !Object.hasOwn(body, segment)) return body
  return { ...body, [segment]: replace(body[segment] as Json, rest, value) }
}
