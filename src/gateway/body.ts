/** Bodies of requests: never larger, slower or deeper than allowed. */
import type { Clock } from '../core/clock.ts'
import { HoldfastError, messageOf } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { overloaded, refusal } from './problems.ts'

const DEEPEST = 64

export interface ReadLimits {
  readonly maxBytes: number
  /** Of a whole body: to arrive; of a stream: to stand still. */
  readonly arrivalMs: number
  readonly clock: Clock
  readonly buffers: Buffers
}

/** Bytes of bodies that have arrived in part, of all requests together: what slow senders could fill the memory with. */
export interface Buffers {
  readonly maxBytes: number
  bytes: number
}

export type Reader = ReadableStreamDefaultReader<Uint8Array>

/** @throws HoldfastError `payload_too_large`, `body_too_slow`, `body_incomplete`, `invalid_json`, `json_too_deep`, `dangerous_key` */
export async function readJson(request: Request, limits: ReadLimits): Promise<Json> {
  if (Number(request.headers.get('content-length') ?? 0) > limits.maxBytes) throw tooLarge(limits.maxBytes)
  const deadlineMs = limits.clock.monotonicMs() + limits.arrivalMs
  using gauge = createGauge(limits)
  const pieces: Uint8Array[] = []
  for await (const piece of piecesOf(request, limits, deadlineMs)) {
    gauge.add(piece.byteLength)
    pieces.push(piece)
  }
  return parseJson(Buffer.concat(pieces))
}

/** Of one body, while it arrives. */
export interface Gauge extends Disposable {
  /** @throws HoldfastError `payload_too_large`, `overloaded` */
  add(bytes: number): void
}

export function createGauge({ maxBytes, buffers }: Pick<ReadLimits, 'maxBytes' | 'buffers'>): Gauge {
  let arrived = 0
  function release(): void {
    buffers.bytes -= arrived
    arrived = 0
  }
  return {
    add(bytes) {
      arrived += bytes
      buffers.bytes += bytes
      if (arrived > maxBytes) throw tooLarge(maxBytes)
      if (buffers.bytes <= buffers.maxBytes) return
      // At once, before the stream is let go: or others that arrive meanwhile would be refused for these bytes.
      release()
      throw overloaded('The bodies that are arriving fill the memory for them', 1000)
    },
    [Symbol.dispose]: release,
  }
}

/** Read only as fast as they are asked for: back-pressure reaches the sender. */
export async function* piecesOf(
  request: Request,
  { clock, arrivalMs }: Pick<ReadLimits, 'clock' | 'arrivalMs'>,
  deadlineMs?: number,
): AsyncGenerator<Uint8Array> {
  const reader = request.body?.getReader() as Reader | undefined
  if (!reader) return
  try {
    for (;;) {
      const waitMs = deadlineMs === undefined ? arrivalMs : deadlineMs - clock.monotonicMs()
      const { done, value } = await withinTime(reader.read(), waitMs, clock)
      if (done) return
      yield value
    }
  } finally {
    // Whoever stops early wants no more of it; a sender that is gone already has nothing to be told.
    await reader.cancel().catch(() => undefined)
  }
}

async function withinTime<Value>(reading: Promise<Value>, waitMs: number, clock: Clock): Promise<Value> {
  const tooSlow = Promise.withResolvers<never>()
  const timer = clock.setTimer(Math.max(0, waitMs), () => tooSlow.reject(bodyTooSlow()))
  try {
    return await Promise.race([reading.catch(rethrowIncomplete), tooSlow.promise])
  } finally {
    timer.cancel()
  }
}

export function bodyTooSlow(): HoldfastError {
  return refusal(
    'body_too_slow',
    'The body did not arrive in time',
    'Send it without standing still; see `gateway.arrivalTimeout`.',
  )
}

function rethrowIncomplete(cause: unknown): never {
  throw bodyIncomplete(cause)
}

export function bodyIncomplete(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'body_incomplete',
    class: 'validation',
    message: `The body ended early: ${messageOf(cause)}`,
    hint: 'Send it again; with an Idempotency-Key nothing is done twice.',
    cause,
  })
}

/** @throws HoldfastError `invalid_json`, `json_too_deep`, `dangerous_key` */
export function parseJson(bytes: Uint8Array): Json {
  let value: Json
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json
  } catch (cause) {
    throw refusal('invalid_json', `This is not JSON: ${reasonOf(cause)}`, 'Send one JSON value, in UTF-8.')
  }
  assertHarmless(value)
  return value
}

/** V8 quotes the text around the mistake, which may hold what nobody should see. */
function reasonOf(cause: unknown): string {
  const message = messageOf(cause)
  return (
    /at position \d+/.exec(message)?.[0] ??
    (cause instanceof SyntaxError ? 'it ends early, or is malformed' : 'it is not UTF-8')
  )
}

/** Without recursion: what is looked for here is what would make recursion fail. */
function assertHarmless(root: Json): void {
  let level: Json[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) {
      throw refusal('json_too_deep', `It is nested deeper than ${DEEPEST} levels`, 'Send a flatter document.')
    }
    const next: Json[] = []
    for (const value of level) {
      const isObject = isJsonObject(value)
      if (isObject && Object.hasOwn(value, '__proto__')) {
        throw refusal(
          'dangerous_key',
          'A key is named "__proto__"',
          'Rename it: it means something else to JavaScript.',
        )
      }
      if (!isObject && !Array.isArray(value)) continue
      for (const child of Object.values(value) as Json[])
        if (typeof child === 'object' && child !== null) next.push(child)
    }
    level = next
  }
}

export function tooLarge(maxBytes: number): HoldfastError {
  return new HoldfastError({
    code: 'payload_too_large',
    class: 'too_large',
    message: `The body has more than the ${maxBytes} bytes allowed`,
    hint: 'Store the large part elsewhere and pass a reference, or raise `maxPayload` in the configuration.',
    details: { limitBytes: maxBytes },
  })
}
