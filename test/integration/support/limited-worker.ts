/** A worker under a rate limit, as a process of its own: its orders are its first argument. */
import type { Holdfast } from '../../../src/engine/api.ts'
import { definePipeline } from '../../../src/engine/pipelines/pipeline.ts'
import { holdfast } from '../../../src/index.ts'

export interface LimitedOrders {
  /** As in a configuration. */
  readonly store: string
  readonly url: string
  readonly rate: `${number}/${string}`
}

export const send = definePipeline<{ n: number }>('send').step('post', {
  integration: 'twin',
  request: { method: 'POST', path: '/things', body: ({ input }) => input },
})

export function openLimitedEngine({ store, url, rate }: LimitedOrders): Promise<Holdfast> {
  return holdfast({
    store,
    integrations: { twin: { baseUrl: url, limits: { concurrency: 100, rate } } },
    pipelines: [send],
    worker: { poll: '50ms' },
  })
}

async function work(orders: LimitedOrders): Promise<void> {
  const hf = await openLimitedEngine(orders)
  hf.startWorker()
  process.once('disconnect', () => process.exit())
  process.send?.('ready')
}

if (process.argv[2] !== undefined && process.send) void work(JSON.parse(process.argv[2]) as LimitedOrders)
