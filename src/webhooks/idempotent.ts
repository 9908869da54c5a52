/**
 * `Idempotency-Key` for an API of one's own (R098; draft-ietf-httpapi-idempotency-key-header-07): a handler of Web-standard
 * requests is run once for each key, and who comes again gets the answer that was given.
 */
import { createHash } from 'node:crypto'
import { type Duration, durationMs } from '../core/duration.ts'
import { isHoldfastError } from '../core/errors.ts'
import { sha256Hex } from '../core/json.ts'
import { readBody } from './body.ts'
import type { IdempotencyStore, KeyReceipt, Reservation } from './idempotency-store.ts'
import { type Problem, problemAnswer, toResponse } from './problem.ts'

export interface IdempotentOptions<Rest extends readonly unknown[] = readonly unknown[]> {
  /** A running Holdfast: keys and answers are in its store, shared by all processes on it. */
  readonly store: { readonly idempotency: IdempotencyStore }
  /** A request without a key is refused with 400. Default true for POST and PATCH, false for PUT and DELETE. */
  readonly required?: boolean
  /**
   * Whose keys they are: the id of an account or user. Equal keys of two callers are then two keys. Default: everybody's keys
   * are one set, and a key that comes with another `Authorization` is refused with 422.
   */
  readonly scope?: (request: Request, ...rest: Rest) => string | Promise<string>
  /** How long an answer is kept. Default 24h. */
  readonly keep?: Duration
  /** No request takes longer; a process that dies holds its keys until then. Default 5m. */
  readonly longest?: Duration
  /**
   * Running the handler again where it may have run before is harmless, as where all it does is one transaction. Default false:
   * where nobody knows, nobody tries.
   */
  readonly safe?: boolean
  /**
   * Whether an answer is given again to who comes again; else the next request runs the handler. Default: all but 4xx and 503,
   * which say that nothing was done.
   */
  readonly keeps?: (response: Response) => boolean
  /** The largest request. Default 1 MiB. */
  readonly maxBodyBytes?: number
}

export type WebHandler<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

const DEFAULT_MAX_BODY_BYTES = 1024 * 1024
const NEEDS_NO_KEY = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const NEEDS_A_KEY = new Set(['POST', 'PATCH'])
/** Of the answer, what is not its own: of one connection, of one moment, or a secret of one caller. */
const NOT_KEPT = ['connection', 'date', 'keep-alive', 'set-cookie', 'trailer', 'transfer-encoding', 'upgrade']

/**
 * Makes a handler idempotent by key. It answers by itself: 400 no key, or none that can be; 409 the first request is still at it
 * (with Retry-After), or nobody knows how it ended; 413; 422 the key came with another request; 503 the store is away, and
 * nothing was done. An answer that was given before has `idempotency-replayed: true`.
 *
 * A handler that throws may have done half of its work: the key stays taken, 500 is the answer from then on, and the error goes
 * to the caller. The key is free again where it is `safe`, or where it throws a HoldfastError whose certainty is `not_sent`.
 */
export function idempotent<Rest extends readonly unknown[]>(
  handler: WebHandler<Rest>,
  options: IdempotentOptions<Rest>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const settings = settingsOf(options)
  return async (request, ...rest) => {
    const { method } = request
    if (NEEDS_NO_KEY.has(method)) return handler(request, ...rest)
    const header = request.headers.get('idempotency-key')
    if (header === null)
      return (options.required ?? NEEDS_A_KEY.has(method)) ? problem(KEY_MISSING) : handler(request, ...rest)
    const key = keyOf(header)
    if (key === undefined) return problem(KEY_INVALID)
    const body = await readBody(request, settings.maxBodyBytes)
    if (!body.ok) return problem(body.why === 'too_large' ? TOO_LARGE : INCOMPLETE)

    const scope = await options.scope?.(request, ...rest)
    const receipt = await begin(options, settings, {
      key: `api:${sha256Hex(JSON.stringify([method, pathOf(request), scope ?? null, key]))}`,
      fingerprint: fingerprintOf(request, body.bytes, scope),
    })
    if (receipt.outcome !== 'started') return answerOf(receipt)
    const again = new Request(request, {
      body: Buffer.from(body.bytes),
      ...(request.signal && { signal: request.signal }),
    })
    return run(() => handler(again, ...rest), receipt.reservation, options)
  }
}

function settingsOf({ keep = '24h', longest = '5m', maxBodyBytes = DEFAULT_MAX_BODY_BYTES }: IdempotentOptions<never>) {
  return { keepMs: durationMs(keep), reserveMs: durationMs(longest), maxBodyBytes }
}

async function begin(
  { store, safe = false }: IdempotentOptions<never>,
  { keepMs, reserveMs }: ReturnType<typeof settingsOf>,
  operation: { readonly key: string; readonly fingerprint: string },
): Promise<KeyReceipt | { readonly outcome: 'not_stored' }> {
  try {
    return await store.idempotency.begin({ ...operation, keepMs, reserveMs, retake: safe })
  } catch (error) {
    // Nothing has begun. Whatever is not the store's trouble is a mistake, and is seen.
    if (isHoldfastError(error) && error.code.startsWith('store_')) return { outcome: 'not_stored' }
    throw error
  }
}

async function run(
  handle: () => Response | Promise<Response>,
  reservation: Reservation,
  options: IdempotentOptions<never>,
): Promise<Response> {
  try {
    const response = await handle()
    const keeps = options.keeps ?? saysThatItWasDone
    if (!keeps(response)) {
      await reservation.release()
      return response
    }
    const { kept, copy } = await recorded(response)
    await reservation.keep(JSON.stringify(kept))
    return copy
  } catch (error) {
    const didNothing = options.safe || (isHoldfastError(error) && error.certainty === 'not_sent')
    if (didNothing) await reservation.release()
    else await reservation.keep(JSON.stringify(CRASHED))
    throw error
  }
}

interface KeptAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** Base64. */
  readonly body: string
}

function saysThatItWasDone({ status }: Response): boolean {
  return status !== 503 && (status < 400 || status > 499)
}

/** A body is read once: the caller of the first request gets a copy, with everything that is not kept. */
async function recorded(response: Response): Promise<{ kept: KeptAnswer; copy: Response }> {
  const bytes = Buffer.from(await response.arrayBuffer())
  const { status, statusText, headers } = response
  const kept = {
    status,
    headers: [...headers].filter(([name]) => !NOT_KEPT.includes(name)),
    body: bytes.toString('base64'),
  }
  return { kept, copy: new Response(bodyOf(bytes), { status, statusText, headers }) }
}

/** Some statuses cannot have a body at all, not even an empty one. */
function bodyOf(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> | null {
  return bytes.byteLength === 0 ? null : bytes
}

function replay({ status, headers, body }: KeptAnswer): Response {
  const pairs = headers.map(([name, value]): [string, string] => [name, value])
  return new Response(bodyOf(Buffer.from(body, 'base64')), { status, headers: pairs })
}

function answerOf(receipt: Exclude<KeyReceipt, { outcome: 'started' }> | { readonly outcome: 'not_stored' }): Response {
  if (receipt.outcome !== 'done') return problem(PROBLEMS[receipt.outcome])
  const response = replay(JSON.parse(receipt.output) as KeptAnswer)
  response.headers.set('idempotency-replayed', 'true')
  return response
}

/** A Structured Field String (RFC 8941), or bare, as nearly everybody sends it. `undefined`: it can be neither. */
function keyOf(header: string): string | undefined {
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header)?.[1]?.replace(/\\(.)/g, '$1')
  const key = quoted ?? header
  return /^[\x20-\x7e]{1,255}$/.test(key) && (quoted !== undefined || !key.includes('"')) ? key : undefined
}

function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url)
  return pathname + search
}

function fingerprintOf(request: Request, body: Uint8Array, scope: string | undefined): string {
  const type = request.headers.get('content-type') ?? ''
  const credential = scope === undefined ? (request.headers.get('authorization') ?? '') : ''
  return createHash('sha256')
    .update(JSON.stringify([type, sha256Hex(credential)]))
    .update(body)
    .digest('hex')
}

function problem(what: Problem): Response {
  return toResponse(problemAnswer(what))
}

const KEY_MISSING: Problem = {
  status: 400,
  code: 'idempotency_key_missing',
  title: 'Idempotency-Key is missing',
  detail: 'Send a key that is new for each operation, and the same when it is sent again: a UUID.',
}
const KEY_INVALID: Problem = {
  status: 400,
  code: 'idempotency_key_invalid',
  title: 'Idempotency-Key cannot be used',
  detail: 'Send 1 to 255 printable ASCII characters, with or without quotes.',
}
const TOO_LARGE: Problem = { status: 413, code: 'payload_too_large', title: 'The request is too large' }
const INCOMPLETE: Problem = { status: 400, code: 'body_incomplete', title: 'The body did not arrive whole' }
const PROBLEMS: Readonly<Record<'in_progress' | 'unknown' | 'mismatch' | 'not_stored', Problem>> = {
  in_progress: {
    status: 409,
    code: 'idempotency_in_progress',
    title: 'The first request with this key is still being handled',
    detail: 'Send it again, unchanged: you get its answer once it has ended.',
    headers: { 'retry-after': '1' },
  },
  unknown: {
    status: 409,
    code: 'unknown_outcome',
    title: 'The first request with this key was broken off',
    detail: 'Whether it was done is not known. Look before you use a new key.',
  },
  mismatch: {
    status: 422,
    code: 'idempotency_key_reused',
    title: 'This key was used for another request',
    detail: 'One key names one operation: use another key for other content.',
  },
  not_stored: {
    status: 503,
    code: 'not_stored',
    title: 'This cannot be done right now; nothing was done',
    headers: { 'retry-after': '10' },
  },
}
const CRASHED: KeptAnswer = (() => {
  const { status, headers, body } = problemAnswer({
    status: 500,
    code: 'handler_failed',
    title: 'The first request with this key failed',
    detail: 'Part of it may have been done. Look before you use a new key.',
  })
  return { status, headers: Object.entries(headers), body: Buffer.from(body).toString('base64') }
})()
