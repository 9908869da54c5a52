/** The gateway on a socket: slow, large and malformed requests end here; stopping lets what is under way end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import { configurationError, messageOf } from '../core/errors.ts'
import { assertSafe } from './access.ts'
import { createGatewayApp } from './app.ts'
import { allHeaders, withHeaders } from './headers.ts'
import type { GatewayParts } from './parts.ts'
import { problemResponse, refusal } from './problems.ts'

export interface Gateway {
  /** `http://127.0.0.1:4180` */
  readonly url: string
  /** Requests that are under way. */
  readonly inFlight: number
  /** Takes no new connections, lets what is under way end for `graceMs` (default 10,000), then breaks off the rest. Idempotent. */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}

const HEADERS_MS = 10_000
const HEADER_BYTES = 16_384
const MOST_HEADERS = 100
const MOST_CONNECTIONS = 10_000
const CHECK_CONNECTIONS_MS = 2000
const GRACE_MS = 10_000

/** @throws HoldfastError `gateway_needs_token`, `port_taken`, `cannot_listen` */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  const { settings, clock } = parts
  assertSafe(settings)
  const app = createGatewayApp(parts)
  let stopping: Promise<void> | undefined
  const listener = getRequestListener(
    (request, { incoming }) => app.fetch(request, (incoming as IncomingMessage).socket.remoteAddress ?? 'unknown'),
    { overrideGlobalObjects: false, errorHandler: () => unreadable(parts.newId(), stopping !== undefined) },
  )
  const latest = new WeakMap<Socket, Exchange>()
  const server = createServer(
    {
      // Bodies have limits of their own: a stream may take as long as it does not stand still.
      requestTimeout: 0,
      headersTimeout: Math.min(HEADERS_MS, settings.arrivalMs),
      maxHeaderSize: HEADER_BYTES,
      connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_MS, settings.arrivalMs),
      requireHostHeader: true,
    },
    (incoming, outgoing) => {
      latest.set(incoming.socket, { incoming, outgoing })
      if (!app.serve(incoming, outgoing)) void listener(incoming, outgoing)
    },
  )
  server.setTimeout(settings.arrivalMs, (socket) => {
    if (standsStill(socket, latest.get(socket))) socket.destroy()
  })
  server.maxHeadersCount = MOST_HEADERS
  server.maxConnections = MOST_CONNECTIONS
  server.on('clientError', (error, socket) => answerMalformed(error, socket, parts.newId()))
  await listen(server, settings)

  async function stop(graceMs: number): Promise<void> {
    app.drain()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const enough = new AbortController()
    await Promise.race([app.idle(), clock.sleep(graceMs, enough.signal).catch(() => undefined)])
    enough.abort()
    // Answers that are written, but not yet sent, get one turn; who keeps an idle connection open is not waited for.
    await new Promise<void>((resolve) => clock.nextTurn(resolve))
    server.closeAllConnections()
    await closed
  }

  return {
    url: urlOf(server),
    get inFlight() {
      return app.inFlight
    },
    stop({ graceMs = GRACE_MS } = {}) {
      stopping ??= stop(graceMs)
      return stopping
    },
  }
}

/** The newest of a connection. */
interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/**
 * Of a connection on which no byte has moved for a while: it is idle, or its other side does not send the body it began, or
 * does not read. Where only our answer is waited for, it may take as long as it takes.
 */
function standsStill(socket: Socket, exchange: Exchange | undefined): boolean {
  if (!exchange || exchange.outgoing.writableFinished) return true
  // What has arrived and is not read waits for us, not for the sender.
  const { complete, readableLength } = exchange.incoming
  return socket.writableLength > 0 || (!complete && readableLength === 0)
}

async function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), resolve)
  try {
    await promise
  } catch (cause) {
    const isTaken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    throw configurationError(
      isTaken ? 'port_taken' : 'cannot_listen',
      isTaken ? `Port ${port} of ${host} is taken` : `Cannot listen on ${host}, port ${port}: ${messageOf(cause)}`,
      'Give another with `gateway.port` or --port; 0 takes a free one.',
      { host, port },
      cause,
    )
  } finally {
    server.off('error', reject)
  }
}

function urlOf(server: Server): string {
  const address = server.address()
  if (typeof address === 'string' || address === null) return String(address)
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

/** A request that cannot even be read as one: a hostile `Host`, a malformed address. */
function unreadable(correlationId: string, isClosing: boolean): Response {
  const error = refusal('malformed_request', 'The request cannot be read', 'Check its address and headers.')
  return withHeaders(problemResponse(error, correlationId), correlationId, isClosing)
}

function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex, correlationId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  const headers = Object.entries(allHeaders({ 'content-length': '0' }, correlationId, true))
  socket.end(`HTTP/1.1 ${status}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
}
