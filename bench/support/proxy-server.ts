/** Entry of a proxy's process: `bare`, or Holdfast's on `node` or `web`. Tells its CPU when asked. */
import http, { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { Pool } from 'undici'
import { newId } from '../../src/core/ids.ts'
import { createNodeProxy } from '../../src/gateway/proxy/node.ts'
import type { ProxyParts } from '../../src/gateway/proxy/proxy.ts'
import { proxyTarget } from '../../src/gateway/proxy/target.ts'
import { createProxy } from '../../src/gateway/proxy/web.ts'
import { holdfast } from '../../src/index.ts'
import { systemClock as clock } from '../../src/system/system-clock.ts'
import { systemRandom as random } from '../../src/system/system-random.ts'

const [kind = 'bare', upstream = '', store = ''] = process.argv.slice(2)
const IN_FLIGHT = 64

/** The least that passes requests on as they come. */
function bare(): RequestListener {
  const pool = new Pool(upstream, { connections: IN_FLIGHT })
  return (incoming, outgoing) => {
    const { host: _host, connection: _connection, ...headers } = incoming.headers
    const path = (incoming.url ?? '').slice('/proxy/crm'.length)
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
    pool
      .stream(
        { path, method: (incoming.method ?? 'GET') as 'GET', headers, body: hasBody ? incoming : null },
        ({ statusCode, headers: answered }) => outgoing.writeHead(statusCode, answered),
      )
      .catch(() => outgoing.destroy())
  }
}

async function parts(): Promise<ProxyParts> {
  const hf = await holdfast({
    store: `sqlite:${store}`,
    integrations: { crm: { baseUrl: upstream, limits: { concurrency: IN_FLIGHT } } },
  })
  return { forwarder: hf.forwarder, clock, newId: () => newId(clock, random) }
}

async function node(): Promise<RequestListener> {
  const proxy = createNodeProxy(await parts())
  return (incoming, outgoing) => {
    const target = proxyTarget(incoming.url ?? '')
    if (target) void proxy(incoming, outgoing, target)
    else outgoing.writeHead(404).end()
  }
}

/** As a route of a Hono app. */
async function web(): Promise<RequestListener> {
  const proxy = createProxy(await parts())
  const app = new Hono<{ Bindings: { incoming: http.IncomingMessage } }>()
  app.all('/proxy/*', async (context) => {
    const target = proxyTarget(context.env.incoming.url ?? '')
    return target ? proxy(context.req.raw, target.integration, target.path) : context.notFound()
  })
  return getRequestListener((request, env) => app.fetch(request, env as { incoming: http.IncomingMessage }))
}

async function main(): Promise<void> {
  const server = createServer(kind === 'bare' ? bare() : kind === 'node' ? await node() : await web())
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.((user + system) / 1000)
})
process.on('disconnect', () => process.exit(0))
void main()
