import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { hasBody, type Wire, type WireAnswer } from './wire.ts'

/** An exchange over a real connection, by Node's HTTP server. */
export class HttpWire implements Wire {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly copy = false
  #headers: Record<string, string> | undefined
  #body: Promise<Buffer> | undefined

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request
    this.response = response
    // A caller who has left cannot be told anything; that it left is counted where its request is handled.
    response.on('error', () => {})
  }

  /** Nobody here repeats anything. */
  executing(): void {}

  get method(): string {
    return this.request.method ?? 'GET'
  }

  get target(): string {
    return this.request.url ?? '/'
  }

  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= Object.fromEntries(
      Object.entries(this.request.headersDistinct).map(([name, values]) => [name, (values ?? []).join(', ')]),
    )
    return this.#headers
  }

  get cutOff(): boolean {
    return this.request.destroyed && !this.request.complete
  }

  get closed(): boolean {
    return this.response.destroyed
  }

  get begun(): boolean {
    return this.response.headersSent
  }

  readBody(): Promise<Buffer> {
    this.#body ??= readAll(this.request)
    return this.#body
  }

  async send(answer: WireAnswer): Promise<void> {
    if (this.closed) return
    const withBody = hasBody(answer.status)
    this.#writeHead(answer, withBody ? answer.body.length : undefined)
    await this.#untilClosedOr((done) => this.response.end(withBody ? answer.body : undefined, done))
  }

  begin(answer: WireAnswer, bodyBytes: number): void {
    if (!this.closed) this.#writeHead(answer, bodyBytes)
  }

  async write(piece: Buffer): Promise<void> {
    if (!this.closed) await this.#untilClosedOr((done) => this.response.write(piece, done))
  }

  finish(): void {
    if (!this.closed) this.response.end()
  }

  async breakOff(): Promise<void> {
    if (!this.closed) await this.#untilClosedOr((done) => this.request.socket.end(done))
  }

  async breakOffInHeaders(status: number): Promise<void> {
    const { socket } = this.request
    if (socket.destroyed) return
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.end(`HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\nx-reque`, () => socket.destroy())
    })
  }

  reset(): void {
    this.request.socket.resetAndDestroy()
  }

  #writeHead(answer: WireAnswer, bodyBytes: number | undefined): void {
    this.response.writeHead(answer.status, {
      ...mutableHeaders(answer),
      ...(bodyBytes !== undefined && { 'content-length': bodyBytes }),
    })
  }

  #untilClosedOr(start: (done: () => void) => void): Promise<void> {
    const { response } = this
    return new Promise((resolve) => {
      const done = (): void => {
        response.off('close', done)
        resolve()
      }
      response.once('close', done)
      start(done)
    })
  }
}

/** All of a stream. Node's own `consumers.buffer` goes through a Blob, which costs more than the rest of a request. */
export async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

function mutableHeaders(answer: WireAnswer): Record<string, string | string[]> {
  const entries = Object.entries(answer.headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : [...value],
  ])
  return Object.fromEntries(entries)
}
