import type { Dispatcher } from 'undici'
import type { Exchange } from '../../client/wire/exchange.ts'
import type { TransportRequest } from '../../client/wire/transport.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { type Fate, UNDISTURBED } from './disturbance.ts'
import { type AnswerFate, type Peer, type Segment, type SimulatedRequest, SimulatedWire } from './simulated-wire.ts'
import { connectionRefused, connectionReset, connectTimeout } from './wire-errors.ts'

/** What one connection is made of. */
export interface ConnectionParts {
  readonly exchange: Exchange
  readonly request: TransportRequest
  /** The path behind the API's base address, and the query. */
  readonly target: string
  /** True time: of the network and of the API. */
  readonly trueClock: Clock
  /** The caller's own. */
  readonly callerClock: Clock
  /** Everything that reaches the caller comes through here. */
  readonly deliver: (arrival: () => void) => void
  /** Asked when the request is about to leave. */
  readonly drawFate: () => Fate
  readonly connectMs: number
  readonly thereMs: number
  readonly backMs: number
  readonly api: ReachableApi
}

/** An API, as the network reaches it. */
export interface ReachableApi {
  /** False: nobody listens. */
  answersDoor(): boolean
  accept(wire: SimulatedWire): void
  readonly open: Set<SimulatedWire>
}

const READY = Promise.resolve()
const NOBODY: Peer = { receive: () => READY }

/**
 * One request's way to an API and back: it drives the same exchange as a socket does, so timeouts, phases, codes and limits
 * are those of the real client.
 */
export class SimulatedConnection implements Dispatcher.DispatchController, Peer {
  aborted = false
  paused = false
  reason: Error | null = null
  readonly #parts: ConnectionParts
  #connectTimer: Timer | undefined
  #wire: SimulatedWire | undefined
  #fate: Fate = UNDISTURBED
  #ended = false
  #arrived: Segment[] = []
  #resumed: (() => void)[] = []

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  open(): void {
    const { connectMs, request, callerClock, trueClock } = this.#parts
    if (connectMs <= 0) {
      this.#parts.deliver(() => this.#connected())
      return
    }
    const limitMs = request.timeouts.connectMs
    this.#connectTimer = callerClock.setTimer(limitMs, () => this.#fail(connectTimeout(request.origin, limitMs)))
    trueClock.setTimer(connectMs, () => this.#parts.deliver(() => this.#connected()))
  }

  abort(reason: Error): void {
    this.aborted = true
    this.reason = reason
    this.#ended = true
    this.#wire?.abandon()
    this.resume()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#handOver()
    if (this.paused) return
    const resumed = this.#resumed
    this.#resumed = []
    for (const resolve of resumed) resolve()
  }

  receive(segments: readonly Segment[]): Promise<void> {
    const { trueClock, backMs } = this.#parts
    const delayMs = backMs + this.#fate.delayBackMs
    if (delayMs <= 0) {
      this.#arriveBack(segments)
      return this.#mayGoOn()
    }
    return new Promise((resolve) => {
      trueClock.setTimer(delayMs, () => {
        this.#arriveBack(segments)
        resolve(this.#mayGoOn())
      })
    })
  }

  #arriveBack(segments: readonly Segment[]): void {
    this.#parts.deliver(() => {
      this.#arrived.push(...segments)
      this.#handOver()
    })
  }

  #mayGoOn(): Promise<void> {
    return this.paused ? new Promise((resolve) => this.#resumed.push(resolve)) : READY
  }

  #connected(): void {
    this.#connectTimer?.cancel()
    if (this.#ended) return
    const { api, exchange, request, drawFate } = this.#parts
    const fate = drawFate()
    this.#fate = fate
    if (fate.what === 'refused' || !api.answersDoor()) {
      this.#fail(connectionRefused(request.origin))
      return
    }
    try {
      exchange.onRequestStart(this)
    } catch (error) {
      this.#fail(error as Error)
      return
    }
    const { body } = request
    if (fate.what === 'reset_before_reading') void this.receive([{ type: 'broken', error: connectionReset() }])
    else if (body instanceof ReadableStream) void this.#writeStream(body)
    else this.#written(body === undefined ? NOTHING : Buffer.from(body as string))
  }

  async #writeStream(stream: ReadableStream<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = []
    try {
      for await (const piece of stream) pieces.push(piece)
    } catch (error) {
      this.#fail(error as Error)
      return
    }
    this.#written(Buffer.concat(pieces))
  }

  #written(body: Buffer): void {
    const { exchange, request, target, trueClock, thereMs } = this.#parts
    const fate = this.#fate
    if (this.#ended) return
    exchange.onRequestSent()
    if (fate.what === 'lost_request') return
    if (fate.what === 'reset_before_executing') {
      void this.receive([{ type: 'broken', error: connectionReset() }])
      return
    }
    const { method, headers } = request
    const whole = body.length > 0 ? { ...headers, 'content-length': String(body.length) } : headers
    const sent = { method, target, headers: whole, body }
    const sendCopy = (): void => after(trueClock, fate.copyDelayMs, () => this.#arrive(sent, NOBODY, 'lost', true))
    const onExecuting = fate.what === 'duplicated' ? sendCopy : undefined
    after(trueClock, thereMs + fate.delayThereMs, () => this.#arrive(sent, this, answerFate(fate), false, onExecuting))
  }

  /** Also where its caller has left by then: bytes on their way cannot be called back. */
  #arrive(
    request: SimulatedRequest,
    peer: Peer,
    fate: AnswerFate,
    copy: boolean,
    onExecuting: (() => void) | undefined = undefined,
  ): void {
    const { api, trueClock } = this.#parts
    if (!api.answersDoor()) {
      void peer.receive([{ type: 'broken', error: connectionReset() }])
      return
    }
    const dateText = (): string => new Date(trueClock.wallMs()).toUTCString()
    const wire = new SimulatedWire(request, {
      peer,
      fate,
      copy,
      dateText,
      onClose: (closed) => api.open.delete(closed),
      ...(onExecuting && { onExecuting }),
    })
    api.open.add(wire)
    if (!copy) this.#wire = wire
    if (this.aborted) wire.abandon()
    api.accept(wire)
  }

  /** Hands over what has arrived, as long as the caller takes it. */
  #handOver(): void {
    const { exchange } = this.#parts
    while (!this.paused && !this.#ended) {
      const segment = this.#arrived.shift()
      if (segment === undefined) return
      if (segment.type === 'head') exchange.onResponseStart(this, segment.status, segment.headers)
      else if (segment.type === 'data') exchange.onResponseData(this, segment.piece)
      else if (segment.type === 'broken') this.#fail(segment.error)
      else {
        this.#ended = true
        exchange.onResponseEnd()
      }
    }
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#wire?.abandon()
    this.#parts.exchange.onResponseError(this, error)
  }
}

const NOTHING = Buffer.alloc(0)

function answerFate({ what }: Fate): AnswerFate {
  if (what === 'lost_answer') return 'lost'
  if (what === 'reset_after_executing') return 'reset'
  return what === 'cut_in_the_answer' ? 'cut' : 'whole'
}

function after(clock: Clock, delayMs: number, action: () => void): void {
  if (delayMs > 0) clock.setTimer(delayMs, action)
  else action()
}
