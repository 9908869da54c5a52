/** pg-boss with what its documentation names for throughput: several workers, large batches, bursts, LISTEN/NOTIFY. */
import { type JobResult, PgBoss } from 'pg-boss'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'
import { untilTrue } from './until-true.ts'

const QUEUE = 'lead'
const WORK_OPTIONS = {
  localConcurrency: 4,
  batchSize: 1000,
  pollingIntervalSeconds: 0.5,
  // Its default of 30 s would leave what failed waiting for so long: a retry is not notified.
  notifyPollingIntervalSeconds: 0.5,
  burstWhenBatchFull: true,
} as const

export function openPgBossQueue(options: QueueOptions): Promise<DurableQueue> {
  return openQueue(options, true)
}

/** Without notifications its adds do not wait for each other's commits; its workers then wait for their next poll. */
export function openPollingPgBossQueue(options: QueueOptions): Promise<DurableQueue> {
  return openQueue(options, false)
}

async function openQueue(options: QueueOptions, notify: boolean): Promise<DurableQueue> {
  const boss = new PgBoss({ connectionString: options.place, max: 20, useListenNotify: notify })
  boss.on('error', failMeasurement)
  await boss.start()
  await boss.createQueue(QUEUE, { notify, retryLimit: options.failures, retryDelay: 0 })
  return new PgBossQueue(boss, options)
}

function failMeasurement(error: Error): void {
  console.error(error)
  process.exitCode = 1
}

class PgBossQueue implements DurableQueue {
  readonly #boss: PgBoss
  readonly #options: QueueOptions
  #added = 0
  #succeeded = 0

  constructor(boss: PgBoss, options: QueueOptions) {
    this.#boss = boss
    this.#options = options
  }

  async add(payload: Payload): Promise<void> {
    await this.#boss.send(QUEUE, payload)
    this.#added += 1
  }

  async addMany(payloads: readonly Payload[]): Promise<void> {
    await this.#boss.insert(
      QUEUE,
      payloads.map((data) => ({ data })),
    )
    this.#added += payloads.length
  }

  start(): void {
    void (this.#options.failures === 0 ? this.#workAlwaysWell() : this.#workWithFailures())
  }

  /** Its cheapest way: a batch that succeeds as a whole. */
  #workAlwaysWell(): Promise<string> {
    return this.#boss.work<Payload>(QUEUE, WORK_OPTIONS, async (jobs) => {
      await Promise.all(
        jobs.map(({ data }) => {
          this.#options.onStarted?.(data)
          return work(1, 0)
        }),
      )
      this.#succeeded += jobs.length
    })
  }

  #workWithFailures(): Promise<string> {
    const options = { ...WORK_OPTIONS, includeMetadata: true, perJobResults: true } as const
    return this.#boss.work<Payload, object, typeof options>(QUEUE, options, (jobs) =>
      Promise.all(
        jobs.map(async ({ id, retryCount }): Promise<JobResult> => {
          try {
            await work(retryCount + 1, this.#options.failures)
            this.#succeeded += 1
            return { id, status: 'completed' }
          } catch (error) {
            return { id, status: 'failed', output: { message: String(error) } }
          }
        }),
      ),
    )
  }

  async finished(): Promise<void> {
    const text = `SELECT NOT EXISTS (SELECT 1 FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed') AS done`
    await untilTrue(
      async () => this.#succeeded === this.#added && (await this.#boss.getDb().executeSql(text)).rows[0]?.done === true,
    )
  }

  async countDone(): Promise<number> {
    const text = `SELECT count(*)::int AS done FROM pgboss.job WHERE name = '${QUEUE}' AND state = 'completed'`
    return (await this.#boss.getDb().executeSql(text)).rows[0]?.done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It ends its connections without waiting for their end: what they say then is of no interest.
    this.#boss.off('error', failMeasurement).on('error', () => {})
    await this.#boss.stop()
  }
}
