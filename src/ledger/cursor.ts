/** Where a page ended: the number of a run and a step of it, opaque to whoever passes it on. */
import { HoldfastError } from '../core/errors.ts'

export interface PageEnd {
  readonly run: number
  readonly step: string
}

export function cursorOf({ run, step }: PageEnd): string {
  return Buffer.from(JSON.stringify([run, step])).toString('base64url')
}

/** @throws HoldfastError `invalid_cursor` */
export function parseCursor(cursor: string): PageEnd {
  try {
    const [run, step] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (Number.isSafeInteger(run) && typeof step === 'string') return { run: run as number, step }
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
