/** How soon a job starts that another process added: 100 a second, the worker otherwise idle. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { OpenQueue } from './durable-queue.ts'
import { openGraphileQueue } from './graphile-queue.ts'
import { openHoldfastQueue } from './holdfast-queue.ts'
import { openPgBossQueue } from './pg-boss-queue.ts'
import type { Place } from './postgres-place.ts'
import { type Delays, type Measured, measure } from './stopwatch.ts'

export const QUEUES = {
  holdfast: openHoldfastQueue,
  'pg-boss': openPgBossQueue,
  graphile: openGraphileQueue,
} as const satisfies Record<string, OpenQueue>
export type QueueName = keyof typeof QUEUES

const PER_SECOND = 100
const CHILD = fileURLToPath(new URL('./trickle-producer.ts', import.meta.url))

/** The same on all processes of a machine, finer than milliseconds. */
export const preciseNowMs = (): number => performance.timeOrigin + performance.now()

/** The first second is left out: connections and code are warm only after it. */
export async function measureStarts(name: QueueName, place: Place, seconds: number): Promise<Measured> {
  const jobs = Math.round(PER_SECOND * (seconds + 1))
  const delaysMs: number[] = []
  const { promise: allStarted, resolve } = Promise.withResolvers<void>()
  const queue = await QUEUES[name]({
    place: place.url,
    concurrency: 100,
    failures: 0,
    onStarted({ addedAtMs = Number.NaN }) {
      delaysMs.push(preciseNowMs() - addedAtMs)
      if (delaysMs.length === jobs) resolve()
    },
  })
  queue.start()
  const measured = await measure(async () => {
    const producer = fork(CHILD, [name, place.url, String(jobs), String(PER_SECOND)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [exitCode] = (await once(producer, 'exit')) as [number | null]
    if (exitCode !== 0) throw new Error(`${name}: the producer failed (see above)`)
    await allStarted
    return jobs
  }, place.serverCpu)
  await queue[Symbol.asyncDispose]()
  return { ...measured, delays: delaysOf(delaysMs.slice(PER_SECOND)) }
}

function delaysOf(delaysMs: readonly number[]): Delays {
  const sorted = delaysMs.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
