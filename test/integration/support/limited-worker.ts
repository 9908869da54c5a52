/** A worker under a rate limit, as a process of its own: `{ storePath, url, rate }` is its first argument. */
import { createUndiciTransport } from '../../../src/client/undici-transport.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { Holdfast } from '../../../src/engine/api.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import type { AnyPipeline } from '../../../src/engine/pipeline.ts'
import { definePipeline } from '../../../src/engine/pipeline.ts'
import { openSqliteLedger } from '../../../src/ledger/sqlite/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import { systemRandom } from '../../../src/system/system-random.ts'

export interface LimitedOrders {
  readonly storePath: string
  readonly url: string
  readonly rate: string
}

export const send = definePipeline<{ n: number }>('send').step('post', {
  integration: 'twin',
  request: { method: 'POST', path: '/things', body: ({ input }) => input },
})

export async function openLimitedEngine({ storePath, url, rate }: LimitedOrders): Promise<Holdfast> {
  const config = resolveConfig(
    { integrations: { twin: { baseUrl: url, limits: { concurrency: 100, rate } } }, pipelines: [send] },
    { env: {}, baseDirectory: '/' },
  )
  return createEngine({
    clock: systemClock,
    random: systemRandom,
    ledger: await openSqliteLedger({ path: storePath, clock: systemClock }),
    transport: createUndiciTransport({ clock: systemClock }),
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
    settings: { pollMs: 50 },
  })
}

async function work(orders: LimitedOrders): Promise<void> {
  const holdfast = await openLimitedEngine(orders)
  holdfast.startWorker()
  process.once('disconnect', () => process.exit())
  process.send?.('ready')
}

if (process.argv[2] !== undefined && process.send) void work(JSON.parse(process.argv[2]) as LimitedOrders)
