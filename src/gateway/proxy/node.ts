/** The proxy on a server of `node:http`, without the detour over Web-standard objects. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { prebuffer } from '../../client/fetch/prebuffer.ts'
import type { Clock } from '../../core/clock.ts'
import type { Gauge } from '../body.ts'
import { originOf } from '../head.ts'
import { createProxyCore, type ProxyParts, type ProxyRequest, REPLAYABLE_BODY_BYTES } from './proxy.ts'
import type { AnswerHeaders } from './response-headers.ts'
import type { ProxyTarget } from './target.ts'

export type NodeProxyHandler = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  target: ProxyTarget,
  more?: {
    /** Whose request it is. */
    readonly caller?: string
    /** Default: the caller's own, or a new one. */
    readonly correlationId?: string
    /** What is to be answered, with what stands on all answers. Default: as it is. */
    readonly decorated?: (headers: AnswerHeaders) => AnswerHeaders
    /** Default: bodies may arrive as slowly as they like, and fill the memory. */
    readonly arriving?: Arriving
  },
) => Promise<void>

/** How bodies may arrive that are read whole, so that they can be sent again. */
export interface Arriving {
  /** Reads one that is known to be short. */
  read(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array>
  /** Counts one whose length nobody knows, as long as it is held back. */
  gauge(): Gauge
  /** After this it is held back no longer, and sent once, as it comes. */
  readonly waitMs: number
}

/** A handler for requests whose right to be here has been checked. Never throws: a broken answer ends its connection. */
export function createNodeProxy(parts: ProxyParts): NodeProxyHandler {
  const proxy = createProxyCore(parts)
  return async function handle(incoming, outgoing, target, more = {}) {
    const left = new AbortController()
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) left.abort(new DOMException('The caller has left', 'AbortError'))
    })
    const answer = await proxy({
      method: incoming.method ?? 'GET',
      ...target,
      caller: more.caller,
      correlationId: more.correlationId,
      headers: incoming.headers as ProxyRequest['headers'],
      body: () => bodyOf(incoming, parts.clock, more.arriving ?? UNBOUNDED, left.signal),
      origin: originOf(incoming),
      signal: left.signal,
    })
    const { status, body } = answer
    if (outgoing.destroyed) {
      if (body instanceof ReadableStream) await body.cancel().catch(() => {})
      return
    }
    const headers = more.decorated?.(answer.headers) ?? answer.headers
    if (body instanceof ReadableStream) {
      outgoing.writeHead(status, headers)
      // Whoever listens to events wants to know that the stream stands, before the first of them comes.
      if (headers['content-length'] === undefined) outgoing.flushHeaders()
      await pump(body, outgoing, left.signal)
      return
    }
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    outgoing.writeHead(status, headers).end(body)
  }
}

async function bodyOf(
  incoming: IncomingMessage,
  clock: Clock,
  arriving: Arriving,
  signal: AbortSignal,
): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  const length = incoming.headers['content-length']
  if (length === undefined && incoming.headers['transfer-encoding'] === undefined) return undefined
  if (length === '0') return undefined
  if (Number(length) <= REPLAYABLE_BODY_BYTES) return arriving.read(incoming, REPLAYABLE_BODY_BYTES)
  const stream = Readable.toWeb(incoming) as ReadableStream<Uint8Array>
  return length === undefined ? ofUnknownLength(stream, clock, arriving, signal) : stream
}

/** What is held back of slow senders could fill the memory: so it is counted, and not held back for ever. */
async function ofUnknownLength(
  stream: ReadableStream<Uint8Array>,
  clock: Clock,
  { gauge, waitMs }: Arriving,
  signal: AbortSignal,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  using counting = gauge()
  const enough = Promise.withResolvers<void>()
  const timer = Number.isFinite(waitMs) ? clock.setTimer(waitMs, enough.resolve) : undefined
  let isHeldBack = true
  const counted = passing(stream, (piece) => {
    if (isHeldBack) counting.add(piece.byteLength)
  })
  try {
    const { bytes, rest } = await prebuffer(counted, REPLAYABLE_BODY_BYTES, signal, enough.promise)
    return rest ?? bytes
  } finally {
    isHeldBack = false
    timer?.cancel()
  }
}

/** The same stream; what `see` throws is its error. */
function passing(stream: ReadableStream<Uint8Array>, see: (piece: Uint8Array) => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        see(value)
        controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

const UNBOUNDED: Arriving = {
  read: readWhole,
  gauge: () => ({ add() {}, [Symbol.dispose]() {} }),
  waitMs: Number.POSITIVE_INFINITY,
}

async function readWhole(incoming: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of incoming as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Piece by piece, at the pace of the slower side. */
async function pump(body: ReadableStream<Uint8Array>, outgoing: ServerResponse, left: AbortSignal): Promise<void> {
  const reader = body.getReader()
  left.addEventListener('abort', () => void reader.cancel(left.reason).catch(() => {}), { once: true })
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (!outgoing.write(value)) await drained(outgoing)
    }
    outgoing.end()
  } catch {
    // The answer broke off, and its status is sent: a broken connection is how HTTP says so.
    outgoing.destroy()
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      outgoing.off('drain', go)
      outgoing.off('close', go)
      resolve()
    }
    outgoing.on('drain', go)
    outgoing.on('close', go)
    if (outgoing.destroyed) go()
  })
}
