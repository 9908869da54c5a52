import type { Clock } from '../../core/clock.ts'
import { durationMs } from '../../core/duration.ts'
import type { Fault, FaultKind, FaultOf } from './fault.ts'
import { type Wire, type WireAnswer, wireAnswer } from './wire.ts'

/** One request and the right to answer it, as the faults see it. */
export interface Exchange {
  readonly wire: Wire
  readonly clock: Clock
  /** Aborts when the API closes: ends all waiting. */
  readonly closing: AbortSignal
  /** Does what the request asks for and hands over the answer, unsent. Every call executes once more. */
  execute(): Promise<WireAnswer>
}

type Perform = { readonly [Kind in FaultKind]: (exchange: Exchange, fault: FaultOf<Kind>) => Promise<void> }

/** What each fault does on the wire. */
const PERFORM: Perform = {
  async status({ wire }, fault) {
    await wire.readBody()
    await wire.send(statusAnswer(fault))
  },
  async executed_then_status(exchange, fault) {
    await exchange.execute()
    await exchange.wire.send(statusAnswer(fault))
  },
  async delay({ wire, clock, closing, execute }, fault) {
    await wire.readBody()
    await clock.sleep(durationMs(fault.delay ?? '1s'), closing)
    await wire.send(await execute())
  },
  async executed_then_delayed({ wire, clock, closing, execute }, fault) {
    const answer = await execute()
    await clock.sleep(durationMs(fault.delay ?? '30s'), closing)
    await wire.send(answer)
  },
  async reset_before_reading({ wire }) {
    wire.reset()
  },
  async reset_before_executing({ wire }) {
    await wire.readBody()
    wire.reset()
  },
  async executed_then_reset(exchange) {
    await exchange.execute()
    exchange.wire.reset()
  },
  async hang({ wire }) {
    await wire.readBody()
  },
  async executed_then_hang(exchange) {
    await exchange.execute()
  },
  async truncated_body(exchange, fault) {
    await sendHalf(exchange.wire, await answerToSpoil(exchange, fault))
  },
  async malformed_json(exchange, fault) {
    const answer = withBody(await answerToSpoil(exchange, fault))
    await exchange.wire.send({ ...answer, body: answer.body.subarray(0, answer.body.length - 1) })
  },
  async html_ok(exchange, fault) {
    await answerToSpoil(exchange, fault)
    const page = '<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>'
    await exchange.wire.send(wireAnswer(200, page, { 'content-type': 'text/html; charset=utf-8' }))
  },
  async empty_body(exchange, fault) {
    const answer = await answerToSpoil(exchange, fault)
    await exchange.wire.send({ ...answer, body: Buffer.alloc(0) })
  },
  async wrong_content_type(exchange, fault) {
    const answer = await answerToSpoil(exchange, fault)
    await exchange.wire.send({ ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } })
  },
  async slow_drip(exchange, fault) {
    await drip(exchange, await answerToSpoil(exchange, fault), fault.chunkBytes ?? 1, durationMs(fault.every ?? 100))
  },
  async cut_headers(exchange, fault) {
    const { status } = await answerToSpoil(exchange, fault)
    await exchange.wire.breakOffInHeaders(status)
  },
  async duplicated_execution({ wire, execute }) {
    await wire.readBody()
    const answer = await execute()
    await execute()
    await wire.send(answer)
  },
  async huge_body(exchange, fault) {
    await sendHugeBody(exchange.wire, await answerToSpoil(exchange, fault), fault.bytes ?? 100 * 1024 * 1024)
  },
}

export const FAULT_KINDS = Object.keys(PERFORM) as readonly FaultKind[]

/** Lets a fault happen to an exchange. Ends when its part is done; the connection may stay open. */
export function performFault(exchange: Exchange, fault: Fault): Promise<void> {
  const perform = PERFORM[fault.kind] as (exchange: Exchange, fault: Fault) => Promise<void>
  return perform(exchange, fault)
}

export function statusAnswer(options: Omit<FaultOf<'status'>, 'kind'>): WireAnswer {
  const status = options.status ?? 503
  const body = options.body ?? { code: 'injected_fault', message: `The twin answers ${status} on purpose` }
  return wireAnswer(status, body, options.headers)
}

/** Promises the whole body, sends half of it, and closes. */
export async function sendHalf(wire: Wire, whole: WireAnswer): Promise<void> {
  const answer = withBody(whole)
  wire.begin(answer, answer.body.length)
  await wire.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)))
  await wire.breakOff()
}

async function answerToSpoil(exchange: Exchange, fault: { readonly executed?: boolean }): Promise<WireAnswer> {
  if (fault.executed !== false) return exchange.execute()
  await exchange.wire.readBody()
  return wireAnswer(200, { ok: true })
}

/** Some faults need a body to spoil; a 204 has none. */
function withBody(answer: WireAnswer): WireAnswer {
  if (answer.body.length > 1 && answer.status !== 204) return answer
  return { ...wireAnswer(200, { ok: true }), status: answer.status === 204 ? 200 : answer.status }
}

async function drip(exchange: Exchange, answer: WireAnswer, chunkBytes: number, everyMs: number): Promise<void> {
  const { wire, clock, closing } = exchange
  wire.begin(answer, answer.body.length)
  for (let offset = 0; offset < answer.body.length && !wire.closed; offset += chunkBytes) {
    // Not awaited: a caller who reads slowly does not slow the clock down.
    void wire.write(answer.body.subarray(offset, offset + chunkBytes))
    await clock.sleep(everyMs, closing)
  }
  wire.finish()
}

const PIECE_BYTES = 65_536

/** Valid JSON of exactly `bytes` bytes, made while it is sent. A caller who hangs up on a body like this is right. */
async function sendHugeBody(wire: Wire, answer: WireAnswer, bytes: number): Promise<void> {
  const [head, tail] = [Buffer.from('{"padding":"'), Buffer.from('"}')]
  const piece = Buffer.alloc(PIECE_BYTES, 'x')
  wire.begin({ ...answer, headers: { 'content-type': 'application/json' } }, bytes)
  await wire.write(head)
  let leftBytes = bytes - head.length - tail.length
  for (; leftBytes > 0 && !wire.closed; leftBytes -= PIECE_BYTES) await wire.write(piece.subarray(0, leftBytes))
  await wire.write(tail)
  wire.finish()
}
