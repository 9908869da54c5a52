/** Real servers on loopback, and the parts of a client around them. For the tests of this room only. */
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import type { EndpointSettings, IntegrationSettings } from '../config/settings.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { createEventBus, type HoldfastEvent } from '../core/events.ts'
import { newId } from '../core/ids.ts'
import { seededRandom } from '../core/random.ts'
import { openSqliteLedger } from '../ledger/sqlite/index.ts'
import type { InlineParts } from './attempt/persistence.ts'
import { createCipher } from './credentials/cipher.ts'
import { createCredentials } from './credentials/credentials.ts'
import { type SharedStatistics, shareStatistics } from './health/endpoint-statistics.ts'
import { createHealth } from './health/health-registry.ts'
import type { TransportRequest, TransportResult } from './wire/transport.ts'
import { createUndiciTransport } from './wire/undici-transport.ts'

export interface RawRequest {
  readonly head: string
  readonly body: string
  readonly socket: Socket
  /** 1 for the first request of the server. */
  readonly number: number
}

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly requests: RawRequest[]
  readonly openSockets: Set<Socket>
  /** Resolves when no connection is open any more. */
  allClosed(): Promise<void>
}

/** A server that answers with raw bytes, or does not: what a well-behaved HTTP server cannot be made to do. */
export async function rawServer(onRequest: (request: RawRequest) => void): Promise<TestServer> {
  const requests: RawRequest[] = []
  const server = net.createServer({ allowHalfOpen: false }, (socket) => {
    let received = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      for (;;) {
        const end = received.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = received.slice(0, end)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (received.length < end + 4 + length) return
        const body = received.slice(end + 4, end + 4 + length)
        received = received.slice(end + 4 + length)
        const request = { head, body, socket, number: requests.length + 1 }
        requests.push(request)
        onRequest(request)
      }
    })
  })
  return started(server, requests)
}

/** A well-behaved server: status, headers and body as JSON. */
export function jsonServer(
  answer: (request: {
    method: string
    url: string
    body: string
    headers: http.IncomingHttpHeaders
    number: number
  }) => {
    status?: number
    headers?: Record<string, string>
    body?: unknown
  },
): Promise<TestServer> {
  const requests: RawRequest[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const number = requests.push({ head: '', body, socket: request.socket, number: requests.length + 1 })
      const { method = '', url = '', headers } = request
      const { status = 200, headers: own, body: data } = answer({ method, url, body, headers, number })
      const text = data === undefined ? '' : typeof data === 'string' ? data : JSON.stringify(data)
      response.writeHead(status, { 'content-type': 'application/json', ...own })
      response.end(text)
    })
  })
  return started(server, requests)
}

async function started(server: net.Server, requests: RawRequest[]): Promise<TestServer> {
  const openSockets = new Set<Socket>()
  let closed: (() => void)[] = []
  server.on('connection', (socket: Socket) => {
    openSockets.add(socket)
    socket.on('close', () => {
      openSockets.delete(socket)
      if (openSockets.size > 0) return
      for (const resolve of closed) resolve()
      closed = []
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    openSockets,
    allClosed: () => (openSockets.size === 0 ? Promise.resolve() : new Promise((resolve) => closed.push(resolve))),
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of openSockets) socket.destroy()
    },
  }
}

export const HTTP_OK = (body: string, headers = 'content-type: application/json\r\n'): string =>
  `HTTP/1.1 200 OK\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

export function testIntegration(baseUrl: string, overrides: Partial<IntegrationSettings> = {}): IntegrationSettings {
  return {
    name: 'crm',
    baseUrl,
    auth: { type: 'bearer', token: 'the-secret-token' },
    credential: 'default',
    headers: {},
    limits: { concurrency: 50 },
    retryBudget: { ratio: 0.2, minimumPerSecond: 10, burst: 50 },
    errorPaths: { code: ['code'], message: ['message'], field: ['field'] },
    errors: [],
    redact: [],
    defaults: TEST_DEFAULTS,
    endpoints: {},
    ...overrides,
  }
}

export const TEST_DEFAULTS: IntegrationSettings['defaults'] = {
  timeouts: { connectMs: 1000, headersMs: 1000, bodyMs: 1000, totalMs: 5000 },
  retry: {
    baseMs: 5,
    capMs: 20,
    jitter: 'full',
    maxAttempts: 4,
    maxAgeMs: 60_000,
    inlineMs: 5000,
    slowLane: { maxTries: 10, spanMs: 1000 },
  },
  breaker: {
    failureRate: 0.5,
    windowCalls: 20,
    windowMs: 60_000,
    minimumCalls: 10,
    consecutiveFailures: 5,
    openMs: 30_000,
    maxOpenMs: 300_000,
    probes: 2,
    probeLeaseMs: 90_000,
    rampShares: [0.1, 0.5],
    rampStepMs: 5000,
  },
  maxResponseBytes: 1_000_000,
}

export function testEndpoint(endpoint: string, overrides: Partial<EndpointSettings> = {}): EndpointSettings {
  const safe = /^(GET|PUT|DELETE|HEAD) /.test(endpoint)
  return { ...TEST_DEFAULTS, endpoint, idempotency: { kind: safe ? 'safe' : 'unsafe' }, ...overrides }
}

export interface TestParts extends InlineParts, AsyncDisposable {
  readonly ledger: Awaited<ReturnType<typeof openSqliteLedger>>
  readonly statistics: SharedStatistics
  readonly seen: HoldfastEvent[]
}

export async function testParts(clock: Clock): Promise<TestParts> {
  const random = seededRandom(1)
  const seen: HoldfastEvent[] = []
  const events = createEventBus((error) => {
    throw error
  })
  events.on('*', (event) => seen.push(event))
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  const transport = createUndiciTransport({ clock })
  const workerId = 'worker-1'
  const health = createHealth({ ledger, clock, random, events, workerId })
  const statistics = shareStatistics({ ledger, clock, events })
  const cipher = createCipher([], random)
  const onSuspended = () => health.sync()
  const credentials = createCredentials({ ledger, transport, clock, random, events, cipher, workerId, onSuspended })
  return {
    credentials,
    statistics,
    clock,
    random,
    events,
    ledger,
    transport,
    health,
    seen,
    newId: () => newId(clock, random),
    async [Symbol.asyncDispose]() {
      await transport.close()
      await statistics.close()
      await ledger.close()
    },
  }
}

export function requestTo(origin: string, overrides: Partial<TransportRequest> = {}): TransportRequest {
  return {
    origin,
    path: '/people',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
    timeouts: { connectMs: 500, headersMs: 1000, bodyMs: 1000, totalMs: 3000 },
    maxResponseBytes: 10_000,
    signal: undefined,
    streamBody: false,
    ...overrides,
  }
}

export function faultOf(result: TransportResult) {
  if (result.ok) throw new Error(`expected a fault, got ${result.answer.status}`)
  return result.fault
}

export function answerOf(result: TransportResult) {
  if (!result.ok) throw new Error(`expected an answer, got ${result.fault.code}: ${result.fault.message}`)
  return result.answer
}

/** Sends the piece again and again, until the socket closes or `times` are sent. */
export function drip(
  clock: Clock,
  socket: Socket,
  piece: string,
  everyMs: number,
  times = Number.POSITIVE_INFINITY,
): void {
  let timer: Timer | undefined
  function next(left: number): void {
    if (left <= 0) return
    timer = clock.setTimer(everyMs, () => {
      socket.write(piece)
      next(left - 1)
    })
  }
  socket.on('close', () => timer?.cancel())
  next(times)
}
