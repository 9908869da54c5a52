/** One request and its answer on the wire: knows at each moment how far it has come, so that certainty is exact. */
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../core/clock.ts'
import type { NetworkFault } from '../../policy/classify/classify.ts'
import { decoderFor, decodeStream, headersAfterDecoding } from './content-decoding.ts'
import type { Bucket, Deadlines, Expirable } from './deadlines.ts'
import { faultOfError, namedError } from './network-error.ts'
import type { TransportAnswer, TransportRequest, TransportResult } from './transport.ts'

type Phase = 'queued' | 'sending' | 'waiting_for_headers' | 'reading_body' | 'done'
type Headers = Readonly<Record<string, string>>

const NOTHING = new Uint8Array(0)
/** A streamed answer that its reader has left unread for this long is given up, so that its socket is not held for ever. */
const UNREAD_STREAM_MS = 300_000
const STREAM_BUFFER_BYTES = 64 * 1024

export class Exchange implements Dispatcher.DispatchHandler, Expirable {
  deadlineBucket: Bucket | undefined = undefined
  deadlineIndex = 0

  readonly #request: TransportRequest
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #resolve: (result: TransportResult) => void
  readonly #onAbort: (() => void) | undefined
  readonly #startedMs: number
  readonly #newConnections: number[] | undefined
  #connectMs: number | undefined
  #headersMs: number | undefined
  #phase: Phase = 'queued'
  /** When the present phase began, or the last piece of the body came. */
  #activeMs: number
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: Headers = {}
  #first: Uint8Array | undefined
  #rest: Uint8Array[] | undefined
  #receivedBytes = 0
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined

  /** @param newConnections How long connections took that nobody has told of yet: this takes one of them. */
  constructor(
    request: TransportRequest,
    clock: Clock,
    deadlines: Deadlines,
    resolve: (result: TransportResult) => void,
    newConnections?: number[],
  ) {
    this.#request = request
    this.#newConnections = newConnections
    this.#clock = clock
    this.#deadlines = deadlines
    this.#resolve = resolve
    this.#startedMs = clock.monotonicMs()
    this.#activeMs = this.#startedMs
    const { headersMs, bodyMs, totalMs } = request.timeouts
    // The earliest moment any of them could be over: `expire` finds out which, and waits on for the others.
    deadlines.add(this, Math.min(headersMs, bodyMs, totalMs))
    if (request.signal) {
      this.#onAbort = () => this.#cancelled()
      request.signal.addEventListener('abort', this.#onAbort, { once: true })
    }
  }

  options(): Dispatcher.DispatchOptions {
    const { path, method, headers, body } = this.#request
    return {
      path,
      method,
      headers: headers as Record<string, string>,
      body: body instanceof ReadableStream ? Readable.fromWeb(body as NodeReadableStream) : (body ?? null),
      // The shared deadline set watches the time: exact to a few milliseconds, and on the injected clock.
      headersTimeout: 0,
      bodyTimeout: 0,
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown here, nothing is written and the connection stays good. Never written twice: that would be a blind retry.
    if (this.#phase !== 'queued') throw namedError('request_ended', 'The request ended before it was written')
    // A process that stood still may hear of its connection before it hears of the time.
    if (this.#clock.monotonicMs() >= this.#startedMs + this.#request.timeouts.totalMs) {
      throw namedError('timeout_total', 'Its time was over before it could be written')
    }
    if (this.#request.mayBegin?.() === false) {
      throw namedError('no_longer_allowed', 'The request was no longer allowed when it could be written')
    }
    this.#controller = controller
    this.#connectMs = this.#newConnections?.pop()
    this.#enter('sending')
  }

  onRequestSent(): void {
    if (this.#phase === 'sending') this.#enter('waiting_for_headers')
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200 || this.#phase === 'done') return
    this.#status = status
    this.#headers = joinRepeated(headers)
    const writtenMs = this.#activeMs
    this.#enter('reading_body')
    this.#headersMs = this.#activeMs - writtenMs
    if (this.#request.streamBody) this.#handOverStream()
    else if (Number(headers['content-length'] ?? 0) > this.#request.maxResponseBytes) this.#tooLarge()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#phase === 'done') return
    this.#activeMs = this.#clock.monotonicMs()
    if (this.#stream) {
      this.#stream.enqueue(chunk)
      if ((this.#stream.desiredSize ?? 0) <= 0) controller.pause()
      return
    }
    this.#receivedBytes += chunk.byteLength
    if (this.#receivedBytes > this.#request.maxResponseBytes) this.#tooLarge()
    else if (!this.#first) this.#first = chunk
    else if (this.#rest) this.#rest.push(chunk)
    else this.#rest = [chunk]
  }

  onResponseEnd(): void {
    if (this.#phase === 'done') return
    if (this.#stream) {
      this.#release()
      this.#stream.close()
      return
    }
    const body = this.#rest ? Buffer.concat([this.#first as Uint8Array, ...this.#rest]) : (this.#first ?? NOTHING)
    const decoder = body.byteLength > 0 ? decoderFor(this.#headers) : undefined
    if (!decoder) {
      this.#release()
      this.#answered(body, undefined)
      return
    }
    this.#release()
    decoder.whole(body, { maxOutputLength: this.#request.maxResponseBytes }).then(
      (decoded) => {
        this.#headers = headersAfterDecoding(this.#headers)
        this.#answered(decoded, undefined)
      },
      (error: unknown) => this.#failed(this.#decodingFault(error)),
    )
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#phase === 'done') return
    this.#fail(faultOfError(error, this.#networkPhase(error), this.#status), error)
  }

  /** Called by the deadline set. */
  expire(): void {
    const nowMs = this.#clock.monotonicMs()
    const { code, dueMs } = this.#nextDeadline()
    if (nowMs < dueMs) this.#deadlines.add(this, dueMs - nowMs)
    else this.#end(code, `${timeoutText(code)} after ${Math.round(nowMs - this.#startedMs)} ms`)
  }

  #nextDeadline(): { code: string; dueMs: number } {
    const { headersMs, bodyMs, totalMs } = this.#request.timeouts
    if (this.#stream) {
      return this.#controller?.paused
        ? { code: 'stream_unread', dueMs: this.#activeMs + Math.max(bodyMs, UNREAD_STREAM_MS) }
        : { code: 'timeout_body', dueMs: this.#activeMs + bodyMs }
    }
    const total = { code: 'timeout_total', dueMs: this.#startedMs + totalMs }
    if (this.#phase === 'queued') return total
    const phase =
      this.#phase === 'reading_body'
        ? { code: 'timeout_body', dueMs: this.#activeMs + bodyMs }
        : { code: 'timeout_headers', dueMs: this.#activeMs + headersMs }
    return phase.dueMs < total.dueMs ? phase : total
  }

  #handOverStream(): void {
    const controller = this.#controller
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (streamController) => {
          this.#stream = streamController
        },
        pull: () => {
          this.#activeMs = this.#clock.monotonicMs()
          controller?.resume()
        },
        cancel: () => this.#abandon(),
      },
      { highWaterMark: STREAM_BUFFER_BYTES, size: (chunk) => chunk.byteLength },
    )
    const decoder = decoderFor(this.#headers)
    if (decoder) this.#headers = headersAfterDecoding(this.#headers)
    const body = decoder ? decodeStream(stream, decoder) : stream
    this.#answered(NOTHING, body)
  }

  /** The reader has lost interest: the connection cannot be used again without reading the rest. */
  #abandon(): void {
    if (this.#phase === 'done') return
    this.#release()
    this.#controller?.abort(namedError('stream_cancelled', 'The reader cancelled the answer'))
  }

  #cancelled(): void {
    const reason = this.#request.signal?.reason
    this.#end('cancelled', 'The caller cancelled the request', { cancelledByCaller: true }, reason)
  }

  #tooLarge(): void {
    this.#end('response_too_large', `The answer is longer than ${this.#request.maxResponseBytes} bytes`)
  }

  /** Ends the exchange from our side: the fault is told first, then the socket is destroyed. */
  #end(code: string, message: string, extra?: Partial<NetworkFault>, streamError?: unknown): void {
    if (this.#phase === 'done') return
    const error = namedError(code, message)
    const fault = { ...faultOfError(error, this.#networkPhase(error), this.#status), ...extra }
    this.#fail(fault, streamError ?? error)
    this.#controller?.abort(error)
  }

  #fail(fault: NetworkFault, streamError: unknown): void {
    this.#release()
    this.#stream?.error(streamError)
    this.#failed(fault)
  }

  #failed(fault: NetworkFault): void {
    this.#resolve({ ok: false, fault, connectMs: this.#connectMs, headersMs: this.#headersMs })
  }

  #release(): void {
    this.#phase = 'done'
    this.#deadlines.remove(this)
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#activeMs = this.#clock.monotonicMs()
  }

  #networkPhase(error: Error): NetworkFault['phase'] {
    if (this.#phase === 'sending' || this.#phase === 'waiting_for_headers') return this.#phase
    if (this.#phase === 'reading_body') return 'reading_body'
    return isLocal(error) ? 'before_send' : 'connect'
  }

  #answered(body: Uint8Array, stream: ReadableStream<Uint8Array> | undefined): void {
    const answer: TransportAnswer = { status: this.#status, headers: this.#headers, body, stream }
    this.#resolve({ ok: true, answer, connectMs: this.#connectMs, headersMs: this.#headersMs })
  }

  #decodingFault(error: unknown): NetworkFault {
    const tooLong = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    const code = tooLong ? 'response_too_large' : 'content_decoding_failed'
    const message = tooLong
      ? `The decoded answer is longer than ${this.#request.maxResponseBytes} bytes`
      : `The answer's body is not the ${this.#headers['content-encoding']} it claims to be`
    return { code, phase: 'reading_body', status: this.#status, message }
  }
}

/** Why a request is not even begun, where that is so. */
export function refusalOf(request: TransportRequest, closed: boolean): TransportResult | undefined {
  if (request.signal?.aborted) {
    return notSent('cancelled', 'The caller cancelled the request before it was sent', { cancelledByCaller: true })
  }
  return closed ? notSent('UND_ERR_CLOSED', 'The client is closed') : undefined
}

function notSent(code: string, message: string, more: Partial<NetworkFault> = {}): TransportResult {
  return { ok: false, fault: { code, message, phase: 'before_send', bytesWritten: 0, ...more } }
}

/** Faults of our own side before anything was tried, as opposed to a connection that could not be made. */
const LOCAL_CODES: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_DESTROYED',
  'UND_ERR_CLOSED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'timeout_total',
  'cancelled',
  'no_longer_allowed',
])

function isLocal(error: Error): boolean {
  return LOCAL_CODES.has((error as { code?: string }).code ?? '')
}

function timeoutText(code: string): string {
  if (code === 'timeout_headers') return 'No answer'
  if (code === 'timeout_body') return 'The answer stopped coming'
  if (code === 'stream_unread') return 'Nobody read the answer'
  return 'Not done'
}

/** In place: the object is fresh from the parser and nobody else's. */
function joinRepeated(headers: Record<string, string | string[] | undefined>): Headers {
  for (const name in headers) {
    const value = headers[name]
    if (Array.isArray(value)) headers[name] = value.join(name === 'set-cookie' ? '\n' : ', ')
  }
  return headers as Headers
}
