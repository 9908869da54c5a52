/** Entry of a server's process: a bare one, or the gateway as `holdfast serve` runs it. Tells its CPU when asked. */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { gatewaySettings } from '../../src/config/schema-gateway.ts'
import { newId } from '../../src/core/ids.ts'
import { proxyOf, webhooksOf } from '../../src/gateway/mounts.ts'
import { startGateway } from '../../src/gateway/server.ts'
import { definePipeline, holdfast } from '../../src/index.ts'
import { watchLoopDelay } from '../../src/system/loop-delay.ts'
import { systemClock as clock } from '../../src/system/system-clock.ts'
import { systemRandom as random } from '../../src/system/system-random.ts'
import { type ServerKind, WEBHOOK_SECRET } from './http-server.ts'

const IN_FLIGHT = 64

/** The least that passes requests on as they come. */
function bareProxy(upstream: string): RequestListener {
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

/** The least that a receiver of webhooks must do: and then it has forgotten them. */
function bareHmac(): RequestListener {
  const key = createSecretKey(Buffer.from(WEBHOOK_SECRET))
  return (incoming, outgoing) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      const expected = createHmac('sha256', key).update(Buffer.concat(pieces)).digest()
      const given = Buffer.from(String(incoming.headers['x-hub-signature-256']).slice('sha256='.length), 'hex')
      const isGood = given.length === expected.length && timingSafeEqual(given, expected)
      outgoing.writeHead(isGood ? 200 : 401, { 'content-length': 0 }).end()
    })
  }
}

async function gateway(upstream: string, store: string): Promise<number> {
  const onEvent = definePipeline<unknown>('on-event').step('see', { safe: true, run: () => null })
  const hf = await holdfast({
    store: `sqlite:${store}`,
    integrations: { crm: { baseUrl: upstream, limits: { concurrency: IN_FLIGHT } } },
    pipelines: [onEvent],
    webhooks: { github: { provider: 'github', secret: WEBHOOK_SECRET, pipeline: 'on-event' } },
  })
  const mount = { clock, newId: () => newId(clock, random), onTrouble: (trouble: unknown) => console.error(trouble) }
  const { url } = await startGateway({
    ...mount,
    holdfast: hf,
    settings: gatewaySettings({ port: 0 }),
    maxPayloadBytes: 4 * 1024 * 1024,
    redact: [],
    loopDelayMs: watchLoopDelay().delayMs,
    webhooks: webhooksOf(hf),
    proxy: proxyOf(hf, mount),
  })
  return Number(new URL(url).port)
}

function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  server.keepAliveTimeout = 60_000
  const { promise, resolve } = Promise.withResolvers<number>()
  server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  return promise
}

async function main(): Promise<void> {
  const [kind, upstream = '', store = ''] = process.argv.slice(2) as [ServerKind, string, string]
  if (kind === 'gateway') process.send?.(await gateway(upstream, store))
  else process.send?.(await listening(kind === 'bare-proxy' ? bareProxy(upstream) : bareHmac()))
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.((user + system) / 1000)
})
process.on('disconnect', () => process.exit(0))
void main()
