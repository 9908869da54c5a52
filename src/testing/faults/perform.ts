import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { durationMs } from '../../core/duration.ts'
import { type Exchange, mutableHeaders, send, type WireAnswer, wireAnswer } from './exchange.ts'
import type { Fault, FaultKind, FaultOf } from './fault.ts'

type Perform = { readonly [Kind in FaultKind]: (exchange: Exchange, fault: FaultOf<Kind>) => Promise<void> }

/** What each fault does on the wire. */
const PERFORM: Perform = {
  async status(exchange, fault) {
    await exchange.readBody()
    await send(exchange.response, statusAnswer(fault))
  },
  async executed_then_status(exchange, fault) {
    await exchange.execute()
    await send(exchange.response, statusAnswer(fault))
  },
  async delay(exchange, fault) {
    await exchange.readBody()
    await exchange.clock.sleep(durationMs(fault.delay ?? '1s'), exchange.closing)
    await send(exchange.response, await exchange.execute())
  },
  async executed_then_delayed(exchange, fault) {
    const answer = await exchange.execute()
    await exchange.clock.sleep(durationMs(fault.delay ?? '30s'), exchange.closing)
    await send(exchange.response, answer)
  },
  async reset_before_reading(exchange) {
    resetConnection(exchange)
  },
  async reset_before_executing(exchange) {
    await exchange.readBody()
    resetConnection(exchange)
  },
  async executed_then_reset(exchange) {
    await exchange.execute()
    resetConnection(exchange)
  },
  async hang(exchange) {
    await exchange.readBody()
  },
  async executed_then_hang(exchange) {
    await exchange.execute()
  },
  async truncated_body(exchange, fault) {
    const answer = withBody(await answerToSpoil(exchange, fault))
    await sendPartOf(exchange, answer, answer.body.subarray(0, Math.floor(answer.body.length / 2)))
  },
  async malformed_json(exchange, fault) {
    const answer = withBody(await answerToSpoil(exchange, fault))
    await send(exchange.response, { ...answer, body: answer.body.subarray(0, answer.body.length - 1) })
  },
  async html_ok(exchange, fault) {
    await answerToSpoil(exchange, fault)
    const page = '<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>'
    await send(exchange.response, wireAnswer(200, page, { 'content-type': 'text/html; charset=utf-8' }))
  },
  async empty_body(exchange, fault) {
    const answer = await answerToSpoil(exchange, fault)
    await send(exchange.response, { ...answer, body: Buffer.alloc(0) })
  },
  async wrong_content_type(exchange, fault) {
    const answer = await answerToSpoil(exchange, fault)
    await send(exchange.response, { ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } })
  },
  async slow_drip(exchange, fault) {
    await drip(exchange, await answerToSpoil(exchange, fault), fault.chunkBytes ?? 1, durationMs(fault.every ?? 100))
  },
  async cut_headers(exchange, fault) {
    const answer = await answerToSpoil(exchange, fault)
    await endSocketWith(exchange, `HTTP/1.1 ${answer.status} OK\r\ncontent-type: application/json\r\nx-reque`)
  },
  async duplicated_execution(exchange) {
    await exchange.readBody()
    const answer = await exchange.execute()
    await exchange.execute()
    await send(exchange.response, answer)
  },
  async huge_body(exchange, fault) {
    await sendHugeBody(exchange, await answerToSpoil(exchange, fault), fault.bytes ?? 100 * 1024 * 1024)
  },
}

export const FAULT_KINDS = Object.keys(PERFORM) as readonly FaultKind[]

/** Lets a fault happen to an exchange. Ends when its part is done; the connection may stay open. */
export function performFault(exchange: Exchange, fault: Fault): Promise<void> {
  const perform = PERFORM[fault.kind] as (exchange: Exchange, fault: Fault) => Promise<void>
  return perform(exchange, fault)
}

/** A TCP reset, where closing would be the polite way. */
export function resetConnection(exchange: Pick<Exchange, 'request'>): void {
  exchange.request.socket.resetAndDestroy()
}

export function statusAnswer(options: Omit<FaultOf<'status'>, 'kind'>): WireAnswer {
  const status = options.status ?? 503
  const body = options.body ?? { code: 'injected_fault', message: `The twin answers ${status} on purpose` }
  return wireAnswer(status, body, options.headers)
}

async function answerToSpoil(exchange: Exchange, fault: { readonly executed?: boolean }): Promise<WireAnswer> {
  if (fault.executed !== false) return exchange.execute()
  await exchange.readBody()
  return wireAnswer(200, { ok: true })
}

/** Some faults need a body to spoil; a 204 has none. */
function withBody(answer: WireAnswer): WireAnswer {
  if (answer.body.length > 1 && answer.status !== 204) return answer
  return { ...wireAnswer(200, { ok: true }), status: answer.status === 204 ? 200 : answer.status }
}

async function sendPartOf(exchange: Exchange, answer: WireAnswer, part: Buffer): Promise<void> {
  const { request, response } = exchange
  if (response.destroyed) return
  response.writeHead(answer.status, { ...mutableHeaders(answer), 'content-length': answer.body.length })
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.write(part, () => request.socket.end(resolve))
  })
}

async function endSocketWith(exchange: Exchange, text: string): Promise<void> {
  const { socket } = exchange.request
  if (socket.destroyed) return
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.end(text, () => socket.destroy())
  })
}

async function drip(exchange: Exchange, answer: WireAnswer, chunkBytes: number, everyMs: number): Promise<void> {
  const { response, clock, closing } = exchange
  if (response.destroyed) return
  response.writeHead(answer.status, { ...mutableHeaders(answer), 'content-length': answer.body.length })
  for (let offset = 0; offset < answer.body.length && !response.destroyed; offset += chunkBytes) {
    response.write(answer.body.subarray(offset, offset + chunkBytes))
    await clock.sleep(everyMs, closing)
  }
  if (!response.destroyed) response.end()
}

/** Valid JSON of exactly `bytes` bytes, made while it is sent. */
async function sendHugeBody(exchange: Exchange, answer: WireAnswer, bytes: number): Promise<void> {
  const { response } = exchange
  if (response.destroyed) return
  const [head, tail] = ['{"padding":"', '"}']
  function* pieces(): Generator<string> {
    yield head
    let leftBytes = bytes - head.length - tail.length
    for (; leftBytes > 0; leftBytes -= 65_536) yield 'x'.repeat(Math.min(leftBytes, 65_536))
    yield tail
  }
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': bytes })
  try {
    await pipeline(Readable.from(pieces(), { objectMode: false }), response)
  } catch (error) {
    // A caller who hangs up on a body like this is right.
    if (!response.destroyed) throw error
  }
}
