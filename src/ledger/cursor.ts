/** Where a page ended, as its adapter knows it: opaque to whoever passes it on. */
import { HoldfastError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'

export function cursorOf(end: Json): string {
  return Buffer.from(JSON.stringify(end)).toString('base64url')
}

/**
 * `isEnd` knows what the adapter itself gave to {@link cursorOf}.
 * @throws HoldfastError `invalid_cursor`
 */
export function parseCursor<End>(cursor: string, isEnd: (value: unknown) => value is End): End {
  try {
    const end: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (isEnd(end)) return end
  } catch (cause) {
    throw invalidCursor(cursor, cause)
  }
  throw invalidCursor(cursor)
}

function invalidCursor(cursor: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'invalid_cursor',
    class: 'validation',
    message: `"${cursor}" is not a cursor of a page`,
    hint: 'Pass the `cursor` of the page before, unchanged, or none for the first page.',
    cause,
  })
}
