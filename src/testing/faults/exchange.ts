import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { toJson } from '../../core/json.ts'

/** An answer that is ready to be sent, or to be spoilt. */
export interface WireAnswer {
  readonly status: number
  /** Without content-length: the sender knows it best. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Buffer
}

/** One request and the right to answer it, as the faults see it. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly clock: Clock
  /** Aborts when the server closes: ends all waiting. */
  readonly closing: AbortSignal
  /** The whole body of the request. May be called again. */
  readBody(): Promise<Buffer>
  /** Does what the request asks for and hands over the answer, unsent. Every call executes once more. */
  execute(): Promise<WireAnswer>
}

/** Reads a request's body once, however often it is asked for. */
export function bodyReader(request: IncomingMessage): () => Promise<Buffer> {
  let body: Promise<Buffer> | undefined
  return () => {
    body ??= readAll(request)
    return body
  }
}

/** All of a stream. Node's own `consumers.buffer` goes through a Blob, which costs more than the rest of a request. */
export async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Sends an answer whole; does nothing where the caller has left. */
export async function send(response: ServerResponse, answer: WireAnswer): Promise<void> {
  if (response.destroyed) return
  const hasBody = answer.status !== 204 && answer.status !== 304
  response.writeHead(answer.status, {
    ...mutableHeaders(answer),
    ...(hasBody && { 'content-length': answer.body.length }),
  })
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.end(hasBody ? answer.body : undefined, resolve)
  })
}

export function mutableHeaders(answer: WireAnswer): Record<string, string | string[]> {
  const entries = Object.entries(answer.headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : [...value],
  ])
  return Object.fromEntries(entries)
}

/** Text and bytes are sent as they are, everything else as JSON; `undefined` is an empty body. */
export function wireAnswer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): WireAnswer {
  if (body === undefined) return { status, headers, body: Buffer.alloc(0) }
  if (body instanceof Uint8Array) return { status, headers, body: Buffer.from(body) }
  if (typeof body === 'string') return { status, headers, body: Buffer.from(body) }
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(toJson(body)) }
}
