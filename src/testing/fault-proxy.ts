/**
 * The same faults as the twin's in front of a real server that nobody here wrote (R198): a sandbox, a mock server, a
 * database's HTTP interface.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { PassThrough, type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { configurationError, messageOf } from '../core/errors.ts'
import { createCounters } from './faults/counts.ts'
import type { FaultRule } from './faults/fault.ts'
import type { ScriptStep, ScriptTarget } from './faults/fault-plan.ts'
import { type FaultServer, type FaultServerOptions, startFaultServer } from './faults/fault-server.ts'
import type { Handling } from './faults/faulty-service.ts'
import { type HttpWire, readAll } from './faults/http-wire.ts'
import { type WireAnswer, wireAnswer } from './faults/wire.ts'
import { matchPath } from './twin/route.ts'

export interface FaultProxyOptions extends FaultServerOptions {
  /** Where requests go: `http://127.0.0.1:3000`, or with a path that is put before theirs. */
  readonly target: string
  /**
   * Templates (`GET /users/{id}`) under which requests are counted, beside those of the faults. Requests that match none
   * are counted under their own method and path.
   */
  readonly routes?: readonly string[]
}

/** A request that reached the target: its effect may have happened, whatever the caller saw. */
export interface Forwarded {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** The first 64 KiB. */
  readonly body: string
  /** Of the target's answer. */
  readonly status: number
  /** When the answer's headers came; wall clock. */
  readonly atMs: number
  readonly correlationId?: string
  readonly idempotencyKey?: string
}

export interface FaultProxy extends FaultServer {
  /** In the order of the target's answers. */
  readonly forwarded: readonly Forwarded[]
}

const RECORDED_BYTES = 65_536
/** Belong to one connection, not to the message (RFC 9110, section 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
])

/**
 * Forwards method, path, headers and body as they come, streaming both ways, except where a fault needs the whole of them.
 * The effect key of scripts, rules and chance is the idempotency key, else the correlation id, else the path.
 * @throws HoldfastError `invalid_target`, `cannot_listen`
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const target = parseTargetUrl(options.target)
  const connect = createConnector(target)
  const counters = createCounters()
  const forwarded: Forwarded[] = []
  const templates = [...(options.routes ?? []), ...(options.faults ?? []).flatMap(({ route }) => route ?? [])]

  /** Sends the request on; resolves with the answer's headers. The body comes from `body`, and is recorded on its way. */
  async function forward(request: IncomingMessage, closing: AbortSignal, body: Readable): Promise<IncomingMessage> {
    const recorded: Buffer[] = []
    const outgoing = connect.send(request, closing)
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.on('error', reject)
    })
    const sent = pipeline(body, recorder(recorded), outgoing)
    // A target may answer, and close, before it has read everything: then its answer counts.
    sent.catch(() => {})
    const answer = await answered
    forwarded.push({
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      body: Buffer.concat(recorded).toString('utf8'),
      status: answer.statusCode ?? 0,
      atMs: options.clock.wallMs(),
      ...optional('correlationId', request.headers['x-correlation-id']),
      ...optional('idempotencyKey', request.headers['idempotency-key']),
    })
    counters.changed()
    return answer
  }

  async function execute(wire: HttpWire, closing: AbortSignal): Promise<WireAnswer> {
    const answer = await forward(wire.request, closing, streamOf(await wire.readBody()))
    const { 'content-length': _length, 'transfer-encoding': _coding, ...headers } = endToEnd(answer)
    return { status: answer.statusCode ?? 502, headers, body: await readAll(answer) }
  }

  async function passThrough({ request, response }: HttpWire, closing: AbortSignal): Promise<number> {
    const answer = await forward(request, closing, request)
    const status = answer.statusCode ?? 502
    response.writeHead(status, answer.statusMessage, endToEndPairs(answer.rawHeaders))
    await pipeline(answer, response)
    return status
  }

  function handle(wire: HttpWire, closing: AbortSignal): Handling {
    const { method, headers } = wire
    const path = wire.target.split('?', 1)[0] as string
    return {
      route: templates.find((template) => matchesTemplate(template, method, path)) ?? `${method} ${path}`,
      key: async () => headers['idempotency-key'] ?? headers['x-correlation-id'] ?? path,
      refuse: () => undefined,
      execute: () => execute(wire, closing),
      serve: () => passThrough(wire, closing),
      trouble: (error) => wireAnswer(502, { code: 'target_failed', message: messageOf(error) }),
    }
  }

  const server = await startFaultServer(options, handle, counters)
  async function close(): Promise<void> {
    await server.close()
    connect.close()
  }
  function script(target: ScriptTarget, steps: readonly ScriptStep[]): void {
    if (typeof target === 'string') templates.push(target)
    server.script(target, steps)
  }
  function disturb(rule: FaultRule): Disposable {
    if (rule.route !== undefined) templates.push(rule.route)
    return server.disturb(rule)
  }
  return { ...server, script, disturb, forwarded, close, [Symbol.asyncDispose]: close }
}

interface Connector {
  send(request: IncomingMessage, signal: AbortSignal): ReturnType<typeof httpRequest>
  close(): void
}

function createConnector(target: URL): Connector {
  const secure = target.protocol === 'https:'
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const base = target.pathname.replace(/\/$/, '')
  return {
    send(request, signal) {
      const headers = ['host', target.host, ...endToEndPairs(request.rawHeaders, 'host')]
      const requestOptions = { method: request.method, path: base + request.url, headers, agent, signal }
      return (secure ? httpsRequest : httpRequest)(target.origin, requestOptions)
    },
    close: () => agent.destroy(),
  }
}

function parseTargetUrl(target: string): URL {
  const url = URL.canParse(target) ? new URL(target) : undefined
  if (url && /^https?:$/.test(url.protocol)) return url
  throw configurationError(
    'invalid_target',
    `${JSON.stringify(target)} is not an address that a proxy can forward to`,
    'Write the address of an HTTP server, for example "http://127.0.0.1:3000".',
  )
}

function matchesTemplate(template: string, method: string, path: string): boolean {
  const [wantedMethod, wantedPath = ''] = template.split(' ')
  return wantedMethod === method && matchPath(wantedPath, path) !== undefined
}

/** Names and values in turn, in their order and spelling. */
function endToEndPairs(rawHeaders: readonly string[], ...without: readonly string[]): string[] {
  return rawHeaders.flatMap((name, index) => {
    const lower = name.toLowerCase()
    if (index % 2 === 1 || HOP_BY_HOP.has(lower) || without.includes(lower)) return []
    return [name, rawHeaders[index + 1] as string]
  })
}

function endToEnd(answer: IncomingMessage): Record<string, string | string[]> {
  const entries = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name))
  return Object.fromEntries(entries) as Record<string, string | string[]>
}

/** Passes everything on and keeps the beginning. */
function recorder(into: Buffer[]): Transform {
  let leftBytes = RECORDED_BYTES
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      if (leftBytes > 0) into.push(piece.subarray(0, leftBytes))
      leftBytes -= piece.length
      done(null, piece)
    },
  })
}

function streamOf(body: Buffer): Readable {
  return new PassThrough().end(body)
}

function optional<Name extends string>(
  name: Name,
  value: string | readonly string[] | undefined,
): { readonly [Key in Name]?: string } {
  return (value === undefined ? {} : { [name]: String(value) }) as { readonly [Key in Name]?: string }
}
