/**
 * json-server, a real HTTP API that knows nothing of Holdfast, behind a proxy that does to its answers what networks and
 * load balancers do. In a project of your own, the test kit is imported from `holdfast/testing`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../src/system/system-clock.ts'
import { type FaultProxy, type FaultRule, seededRandom, startFaultProxy } from '../../src/testing/index.ts'

/** The part of json-server 0.17 that is used here; it brings no types. */
interface JsonServer {
  create(): RequestListener & { use(handler: unknown): void }
  defaults(options: { logger: boolean }): unknown
  router(databaseFile: string): unknown
}

export type Resource = 'deliveries' | 'contacts'

export interface FlakyApi extends AsyncDisposable {
  /** Of the proxy. */
  readonly url: string
  readonly proxy: FaultProxy
  /** What json-server has on disk. */
  records(resource: Resource): Readonly<Record<string, unknown>>[]
}

export async function startFlakyApi(databaseFile: string): Promise<FlakyApi> {
  writeFileSync(databaseFile, JSON.stringify({ deliveries: [], contacts: [] }))
  const server = await startJsonServer(databaseFile)
  const { port } = server.address() as AddressInfo
  const proxy = await startFaultProxy({
    target: `http://127.0.0.1:${port}`,
    clock: systemClock,
    random: seededRandom('webhooks to json-server'),
    faults: [...faultsOf('deliveries'), ...faultsOf('contacts')],
  })
  return {
    url: proxy.url,
    proxy,
    records: (resource) => JSON.parse(readFileSync(databaseFile, 'utf8'))[resource],
    async [Symbol.asyncDispose]() {
      await proxy.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function startJsonServer(databaseFile: string): Promise<Server> {
  const jsonServer = createRequire(import.meta.url)('json-server') as JsonServer
  const api = jsonServer.create()
  api.use(jsonServer.defaults({ logger: false }))
  api.use(jsonServer.router(databaseFile))
  const server = createServer(api)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

/** By number of the request, so that every kind surely happens. The first that applies wins. */
function faultsOf(resource: Resource): FaultRule[] {
  const create = `POST /${resource}`
  return [
    // The record is there, the caller hears nothing of it.
    { route: create, nth: every(17), fault: 'executed_then_reset' },
    { route: create, nth: every(19), fault: 'html_ok' },
    { route: create, nth: every(23), fault: 'truncated_body' },
    // The record is not there.
    { route: create, nth: every(13), fault: 'reset_before_executing' },
    { route: create, nth: every(11), fault: { kind: 'status', status: 503 } },
    { route: create, nth: every(97), fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } } },
    { route: create, nth: every(7), fault: { kind: 'delay', delay: '100ms' } },
    { route: `GET /${resource}`, nth: every(5), fault: { kind: 'status', status: 502 } },
  ]
}

const MOST_REQUESTS = 5000

function every(step: number): number[] {
  return Array.from({ length: MOST_REQUESTS / step }, (_, index) => (index + 1) * step)
}
