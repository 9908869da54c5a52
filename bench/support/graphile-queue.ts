/**
 * graphile-worker with what its documentation names for throughput: a local queue and batched completions. It deletes what
 * is done, so that "done" is counted as calls without jobs left; its delay between tries is fixed, exp(attempt) seconds.
 */
import { Logger, makeWorkerUtils, type Runner, run, type WorkerUtils } from 'graphile-worker'
import pg from 'pg'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'
import { untilTrue } from './until-true.ts'

const TASK = 'lead'
const LOCAL_QUEUE = 1000
const SILENT = new Logger(() => () => {})

export async function openGraphileQueue(options: QueueOptions): Promise<DurableQueue> {
  const pool = new pg.Pool({ connectionString: options.place, max: 20 })
  pool.on('error', () => {})
  // It asks for a listener on each client too, and says so if there is none.
  pool.on('connect', (client) => client.on('error', () => {}))
  const utils = await makeWorkerUtils({ pgPool: pool, logger: SILENT })
  await utils.migrate()
  return new GraphileQueue(pool, utils, options)
}

class GraphileQueue implements DurableQueue {
  readonly #pool: pg.Pool
  readonly #utils: WorkerUtils
  readonly #options: QueueOptions
  #runner: Promise<Runner> | undefined
  #added = 0
  #succeeded = 0

  constructor(pool: pg.Pool, utils: WorkerUtils, options: QueueOptions) {
    this.#pool = pool
    this.#utils = utils
    this.#options = options
  }

  async add(payload: Payload): Promise<void> {
    await this.#utils.addJob(TASK, payload, { maxAttempts: this.#maxAttempts() })
    this.#added += 1
  }

  async addMany(payloads: readonly Payload[]): Promise<void> {
    const maxAttempts = this.#maxAttempts()
    await this.#utils.addJobs(payloads.map((payload) => ({ identifier: TASK, payload, maxAttempts })))
    this.#added += payloads.length
  }

  #maxAttempts(): number {
    return this.#options.failures + 1
  }

  start(): void {
    const { concurrency, failures, onStarted } = this.#options
    this.#runner = run({
      pgPool: this.#pool,
      logger: SILENT,
      noHandleSignals: true,
      taskList: {
        [TASK]: async (payload, { job }) => {
          onStarted?.(payload as Payload)
          await work(job.attempts, failures)
          this.#succeeded += 1
        },
      },
      preset: {
        worker: {
          concurrentJobs: concurrency,
          localQueue: { size: Math.max(LOCAL_QUEUE, concurrency) },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    })
  }

  async finished(): Promise<void> {
    await untilTrue(async () => this.#succeeded === this.#added && (await this.#countLeft()) === 0)
  }

  async countDone(): Promise<number> {
    return this.#added - (await this.#countLeft())
  }

  async #countLeft(): Promise<number> {
    const text = 'SELECT count(*)::int AS jobs FROM graphile_worker._private_jobs'
    return (await this.#pool.query<{ jobs: number }>(text)).rows[0]?.jobs ?? Number.NaN
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#runner)?.stop()
    await this.#utils.release()
    await this.#pool.end()
  }
}
