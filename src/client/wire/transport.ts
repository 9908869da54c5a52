import type { TimeoutSettings } from '../../config/settings.ts'
import type { NetworkFault } from '../../policy/classify/classify.ts'

/**
 * The network, as the client sees it: the seam behind which undici works in production and a simulated network in the
 * simulator. A transport never throws and never retries; whatever happens comes back as a value.
 */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResult>
  /** Closes idle connections and waits for open exchanges. */
  close(): Promise<void>
}

export interface TransportRequest {
  /** `https://api.hubapi.com` */
  readonly origin: string
  /** With its query string. */
  readonly path: string
  readonly method: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** A stream is sent once, as it comes, and cannot be sent again. */
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | undefined
  /** With `streamBody`, the total time ends with the answer's headers: a long stream is alive as long as it moves. */
  readonly timeouts: TimeoutSettings
  /** A longer body ends the exchange with the fault `response_too_large`; does not hold for `streamBody`. */
  readonly maxResponseBytes: number
  readonly signal: AbortSignal | undefined
  /**
   * Asked when the first byte is about to be written, which may be long after `send`: the connection was slow, or the
   * process stood still. False: nothing is written, and the exchange ends with the fault `no_longer_allowed`.
   */
  readonly mayBegin?: (() => boolean) | undefined
  /** True: the answer's body is handed over as a stream as soon as the headers are there. */
  readonly streamBody: boolean
}

export type TransportResult =
  | ({ readonly ok: true; readonly answer: TransportAnswer } & WireTimes)
  | ({ readonly ok: false; readonly fault: NetworkFault } & WireTimes)

/** Where it was measured. */
export interface WireTimes {
  /** Until TCP and TLS stood, of a connection that was made for this request or another one. Each is told once. */
  readonly connectMs?: number | undefined
  /** From the request written to the answer's headers. */
  readonly headersMs?: number | undefined
}

export interface TransportAnswer {
  readonly status: number
  /**
   * Names in lower case; repeated headers joined with `, ` (set-cookie with a newline). Where the body came compressed,
   * it is decoded and `content-encoding` and `content-length` are gone.
   */
  readonly headers: Readonly<Record<string, string>>
  /** Whole, unless `streamBody` was asked for. */
  readonly body: Uint8Array
  readonly stream: ReadableStream<Uint8Array> | undefined
}
