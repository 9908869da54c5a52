import { sendHalf } from '../faults/perform.ts'
import { hasBody, type Wire, type WireAnswer } from '../faults/wire.ts'
import { connectionReset, otherSideClosed } from './wire-errors.ts'

/** What an API sends, piece by piece: what a caller's end understands. */
export type Segment =
  | { readonly type: 'head'; readonly status: number; readonly headers: Record<string, string | string[]> }
  | { readonly type: 'data'; readonly piece: Buffer }
  | { readonly type: 'end' }
  | { readonly type: 'broken'; readonly error: Error }

/** The other end of a wire. */
export interface Peer {
  /** What is sent at one moment arrives at one moment. Resolves when it has arrived, and more may come. */
  receive(segments: readonly Segment[]): Promise<void>
}

/** How the network treats what the API sends. */
export type AnswerFate = 'whole' | 'lost' | 'reset' | 'cut'

export interface SimulatedRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | Promise<Buffer>
}

const SENT = Promise.resolve()

/** The API's end of a simulated connection. */
export class SimulatedWire implements Wire {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly copy: boolean
  /** Requests arrive whole, or not at all. */
  readonly cutOff = false
  closed = false
  begun = false
  readonly #body: Buffer | Promise<Buffer>
  readonly #peer: Peer
  readonly #dateText: () => string
  readonly #onClose: (wire: SimulatedWire) => void
  #onExecuting: (() => void) | undefined
  #fate: AnswerFate

  constructor(
    request: SimulatedRequest,
    parts: {
      readonly peer: Peer
      readonly fate: AnswerFate
      readonly copy: boolean
      /** For the `date` header. */
      readonly dateText: () => string
      readonly onClose: (wire: SimulatedWire) => void
      /** Called once. */
      readonly onExecuting?: () => void
    },
  ) {
    this.method = request.method
    this.target = request.target
    this.headers = request.headers
    this.copy = parts.copy
    this.#body = request.body
    this.#peer = parts.peer
    this.#fate = parts.fate
    this.#dateText = parts.dateText
    this.#onClose = parts.onClose
    this.#onExecuting = parts.onExecuting
  }

  executing(): void {
    const tell = this.#onExecuting
    this.#onExecuting = undefined
    tell?.()
  }

  async readBody(): Promise<Buffer> {
    return this.#body
  }

  async send(answer: WireAnswer): Promise<void> {
    if (this.closed) return
    if (this.#fate === 'cut') {
      this.#fate = 'whole'
      return sendHalf(this, answer)
    }
    const withBody = hasBody(answer.status)
    const segments: Segment[] = [this.#head(answer, withBody ? answer.body.length : undefined)]
    if (withBody && answer.body.length > 0 && this.method !== 'HEAD')
      segments.push({ type: 'data', piece: answer.body })
    segments.push({ type: 'end' })
    this.#close()
    void this.#transmit(segments)
  }

  begin(answer: WireAnswer, bodyBytes: number): void {
    if (!this.closed) void this.#transmit([this.#head(answer, bodyBytes)])
  }

  async write(piece: Buffer): Promise<void> {
    if (!this.closed && piece.length > 0) await this.#transmit([{ type: 'data', piece }])
  }

  finish(): void {
    if (this.closed) return
    this.#close()
    void this.#transmit([{ type: 'end' }])
  }

  async breakOff(): Promise<void> {
    this.#break(otherSideClosed())
  }

  async breakOffInHeaders(_status: number): Promise<void> {
    this.#break(otherSideClosed())
  }

  reset(): void {
    this.#break(connectionReset())
  }

  /** The caller's end is gone. */
  abandon(): void {
    this.#close()
  }

  #break(error: Error): void {
    if (this.closed) return
    this.#close()
    void this.#transmit([{ type: 'broken', error }])
  }

  #close(): void {
    if (this.closed) return
    this.closed = true
    this.#onClose(this)
  }

  #transmit(segments: readonly Segment[]): Promise<void> {
    if (this.#fate === 'lost') return SENT
    if (this.#fate === 'reset') {
      this.#close()
      return this.#peer.receive([{ type: 'broken', error: connectionReset() }])
    }
    return this.#peer.receive(segments)
  }

  #head(answer: WireAnswer, bodyBytes: number | undefined): Segment {
    this.begun = true
    const headers: Record<string, string | string[]> = {}
    for (const name in answer.headers) {
      const value = answer.headers[name] as string | readonly string[]
      headers[name.toLowerCase()] = typeof value === 'string' ? value : [...value]
    }
    headers['date'] = this.#dateText()
    if (bodyBytes !== undefined) headers['content-length'] = String(bodyBytes)
    return { type: 'head', status: answer.status, headers }
  }
}
