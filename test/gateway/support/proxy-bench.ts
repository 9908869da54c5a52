/** A gateway that is nothing but the proxy, on a real socket, before a real server. */
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import { newId } from '../../../src/core/ids.ts'
import { createNodeProxy } from '../../../src/gateway/proxy/node.ts'
import type { ProxyParts } from '../../../src/gateway/proxy/proxy.ts'
import { hostTarget, proxyHosts, proxyTarget } from '../../../src/gateway/proxy/target.ts'
import { type ConfigInput, type Holdfast, holdfast } from '../../../src/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import { systemRandom } from '../../../src/system/system-random.ts'

export interface ProxyBench extends AsyncDisposable {
  readonly hf: Holdfast
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** What was not foreseen. Stays empty. */
  readonly troubles: unknown[]
}

const FAST = {
  retry: { base: '5ms', cap: '20ms', maxAttempts: 3 },
  limits: { concurrency: 200 },
  breaker: { consecutiveFailures: 1000, minimumCalls: 1000, windowCalls: 1000 },
  retryBudget: { minimumPerSecond: 1000 },
} as const

export async function openProxy(
  integrations: NonNullable<ConfigInput['integrations']>,
  more: Partial<ProxyParts> = {},
): Promise<ProxyBench> {
  const named = Object.entries(integrations).map(([name, own]) => [name, { ...FAST, ...own }])
  const hf = await holdfast({ store: 'sqlite::memory:', integrations: Object.fromEntries(named) })
  const troubles: unknown[] = []
  const parts: ProxyParts = {
    forwarder: hf.forwarder,
    clock: systemClock,
    newId: () => newId(systemClock, systemRandom),
    onTrouble: (error) => troubles.push(error),
    ...more,
  }
  const server = http.createServer(listener(parts, proxyHosts(Object.keys(integrations), 'api.localhost')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    hf,
    port,
    url: `http://127.0.0.1:${port}`,
    troubles,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await hf.close()
    },
  }
}

function listener(parts: ProxyParts, hosts: ReadonlyMap<string, string>): http.RequestListener {
  const proxy = createNodeProxy(parts)
  return (incoming, outgoing) => {
    const { url = '', headers } = incoming
    const target = hostTarget(hosts, headers.host, url) ?? proxyTarget(url)
    if (target) void proxy(incoming, outgoing, target, callerOf(incoming))
    else outgoing.writeHead(404).end('no route')
  }
}

function callerOf({ headers }: http.IncomingMessage): { caller?: string } {
  return headers.authorization === undefined ? {} : { caller: headers.authorization.replace('Bearer ', 'token:') }
}

export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly rawHeaders: string[]
  readonly body: string
}

export interface Upstream extends AsyncDisposable {
  readonly url: string
  readonly seen: Echo[]
}

export type Answer = (request: http.IncomingMessage, response: http.ServerResponse, echo: Echo) => void

/** An API that keeps what it was asked, once it has read it. */
export async function upstream(
  answer: Answer = (_request, response, echo) => answerJson(response, echo),
): Promise<Upstream> {
  const seen: Echo[] = []
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request
      const echo = {
        method,
        url,
        headers: headers as Echo['headers'],
        rawHeaders,
        body: Buffer.concat(chunks).toString(),
      }
      seen.push(echo)
      answer(request, response, echo)
    })
  })
  return { ...(await started(server)), seen }
}

export function answerJson(response: http.ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A server that a test drives by hand, request by request. */
export async function started(server: http.Server | net.Server): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
