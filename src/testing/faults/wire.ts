import { toJson } from '../../core/json.ts'

/** An answer that is ready to be sent, or to be spoilt. */
export interface WireAnswer {
  readonly status: number
  /** Without content-length: the sender knows it best. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Buffer
}

/**
 * The API's end of one exchange: what can be learned from it, and everything that can be done to it. Behind it is an HTTP
 * connection, or a simulated one: twins and faults know no other network than this. Nothing that is sent ever throws;
 * where the caller has left, it does nothing.
 */
export interface Wire {
  readonly method: string
  /** Of the request line: path and query. */
  readonly target: string
  /** Names in lower case, several values joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** The network has delivered a request a second time: its caller sent it once. */
  readonly copy: boolean
  /** The API begins to do what was asked: networks that deliver a request twice do so from here on. */
  executing(): void
  /** The whole body of the request. May be called again. Rejects where the caller leaves in the middle of it. */
  readBody(): Promise<Buffer>
  /** The caller left before its request was whole. */
  readonly cutOff: boolean
  /** Nothing more can be sent: the answer is out, or the connection is gone. */
  readonly closed: boolean
  /** The answer's headers are out. */
  readonly begun: boolean
  /** An answer in one piece. Resolves when it has left. */
  send(answer: WireAnswer): Promise<void>
  /** Only status and headers, which promise so many bytes; `write`, and `finish` or `breakOff`, follow. */
  begin(answer: WireAnswer, bodyBytes: number): void
  /** Resolves when it has left. */
  write(piece: Buffer): Promise<void>
  finish(): void
  /** Closes the connection politely, whatever was promised. */
  breakOff(): Promise<void>
  /** Closes it in the middle of the answer's headers. */
  breakOffInHeaders(status: number): Promise<void>
  /** A TCP reset. */
  reset(): void
}

/** These have no body, and no content-length (RFC 9110, section 8.6). */
export function hasBody(status: number): boolean {
  return status !== 204 && status !== 304
}

/** Text and bytes are sent as they are, everything else as JSON; `undefined` is an empty body. */
export function wireAnswer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): WireAnswer {
  if (body === undefined) return { status, headers, body: Buffer.alloc(0) }
  if (body instanceof Uint8Array) return { status, headers, body: Buffer.from(body) }
  if (typeof body === 'string') return { status, headers, body: Buffer.from(body) }
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(toJson(body)) }
}
