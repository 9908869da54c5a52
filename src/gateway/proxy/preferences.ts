/** What a caller asks of the proxy: how long to wait, whether to wait at all, and the name of the operation. */
import { durationMs } from '../../core/duration.ts'
import { HoldfastError } from '../../core/errors.ts'

type Headers = Readonly<Record<string, string | undefined>>

/** Longer than this, a caller is better served by `Prefer: respond-async`. */
const LONGEST_WAIT_MS = 15 * 60_000
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'QUERY'])
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/

export interface Preferences {
  readonly respondAsync: boolean
  /** All tries together; with `respondAsync`, how long to wait for an answer before it is left to the queue. */
  readonly waitMs: number | undefined
  readonly idempotencyKey: string | undefined
}

/** @throws HoldfastError `invalid_timeout`, `invalid_idempotency_key` */
export function preferencesOf(method: string, headers: Headers): Preferences {
  const { respondAsync, waitMs } = preferOf(headers['prefer'])
  const timeout = headers['x-holdfast-timeout']
  return {
    respondAsync,
    waitMs: timeout === undefined ? waitMs : timeoutOf(timeout),
    // Reads may be repeated as they are.
    idempotencyKey: READS.has(method) ? undefined : idempotencyKeyOf(headers['idempotency-key']),
  }
}

/** The caller's id of the request, where it can be one. */
export function correlationIdOf(headers: Headers): string | undefined {
  const id = headers['x-correlation-id']
  return id !== undefined && CORRELATION_ID.test(id) ? id : undefined
}

/** RFC 7240: a preference that is not understood is no error. */
function preferOf(prefer: string | undefined): { respondAsync: boolean; waitMs: number | undefined } {
  let respondAsync = false
  let waitMs: number | undefined
  for (const preference of prefer?.toLowerCase().split(',') ?? []) {
    const [name = '', value = ''] = (preference.split(';')[0] ?? '').split('=').map((part) => part.trim())
    if (name === 'respond-async') respondAsync = true
    if (name === 'wait' && /^"?\d{1,6}"?$/.test(value)) {
      waitMs ??= Math.min(Number(value.replaceAll('"', '')) * 1000, LONGEST_WAIT_MS)
    }
  }
  return { respondAsync, waitMs }
}

function timeoutOf(text: string): number {
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(text)
  try {
    const waitMs = seconds ? Number(text) * 1000 : durationMs(text)
    if (waitMs > 0) return Math.min(waitMs, LONGEST_WAIT_MS)
  } catch (cause) {
    if (!(cause instanceof HoldfastError)) throw cause
  }
  throw new HoldfastError({
    code: 'invalid_timeout',
    class: 'validation',
    message: `X-Holdfast-Timeout: ${JSON.stringify(text.slice(0, 40))} is not a time above zero`,
    hint: 'Write seconds, or a number with a unit: "20", "500ms", "30s", "2m".',
  })
}

/** As it is, or as the string of a structured field (`"..."`), which the IETF draft asks for: both name the same. */
function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw new HoldfastError({
    code: 'invalid_idempotency_key',
    class: 'validation',
    message: 'The Idempotency-Key is empty, longer than 255 characters, or has characters outside ASCII',
    hint: 'Send one that is made for this operation, such as a UUID.',
  })
}
