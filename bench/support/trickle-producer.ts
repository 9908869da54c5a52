/** Entry of the producer's process: adds jobs at an even pace, each saying when that was. */
import { payloads } from './durable-queue.ts'
import { preciseNowMs, QUEUES, type QueueName } from './trickle.ts'

async function main(): Promise<void> {
  const [name, place, jobs, perSecond] = process.argv.slice(2) as [QueueName, string, string, string]
  const queue = await QUEUES[name]({ place, concurrency: 1, failures: 0 })
  const sinceMs = performance.now()
  const adding: Promise<void>[] = []
  for (const [index, payload] of payloads(Number(jobs)).entries()) {
    const waitMs = sinceMs + (index * 1000) / Number(perSecond) - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    adding.push(queue.add({ ...payload, addedAtMs: preciseNowMs() }))
  }
  await Promise.all(adding)
  await queue[Symbol.asyncDispose]()
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  },
)
