/** Holdfast as anyone uses it: its public API, its defaults, a pipeline of one code step. */
import { definePipeline, type Holdfast, holdfast } from '../../src/index.ts'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'

export async function openHoldfastQueue(options: QueueOptions): Promise<DurableQueue> {
  const pipeline = pipelineOf(options)
  const hf = await holdfast({ store: storeAt(options.place), pipelines: [pipeline] })
  return new HoldfastQueue(hf, pipeline, options.concurrency)
}

function storeAt(place: string): string {
  return place.startsWith('postgres:') ? place : `sqlite:${place}`
}

/**
 * What several workers may have of a step together; each of them runs `concurrency` at a time and claims some ahead, and what is
 * being settled has its places for that long. A step whose API has a limit would be given less.
 */
const AHEAD = 5000

function pipelineOf({ concurrency, failures, onStarted }: QueueOptions) {
  return definePipeline<Payload>('lead').step('work', {
    concurrency: concurrency + AHEAD,
    safe: true,
    backoff: { base: 0, jitter: 'none' },
    run: ({ attempt, input }) => {
      onStarted?.(input)
      return work(attempt, failures)
    },
  })
}

class HoldfastQueue implements DurableQueue {
  readonly #hf: Holdfast
  readonly #pipeline: ReturnType<typeof pipelineOf>
  readonly #concurrency: number

  constructor(hf: Holdfast, pipeline: ReturnType<typeof pipelineOf>, concurrency: number) {
    this.#hf = hf
    this.#pipeline = pipeline
    this.#concurrency = concurrency
    hf.events.on('engine.trouble', ({ where, message }) => {
      console.error(`${where}: ${message}`)
      process.exitCode = 1
    })
  }

  async add(payload: Payload): Promise<void> {
    await this.#hf.submit(this.#pipeline, payload)
  }

  async addMany(payloads: readonly Payload[]): Promise<void> {
    await this.#hf.submitMany(
      this.#pipeline,
      payloads.map((input) => ({ input })),
    )
  }

  start(): void {
    this.#hf.startWorker({ concurrency: this.#concurrency })
  }

  async finished(): Promise<void> {
    await this.#hf.drain()
  }

  async countDone(): Promise<number> {
    const { balanced, balance } = await this.#hf.operations.audit()
    if (!balanced) throw new Error('the books do not balance')
    return balance.states.succeeded
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#hf.close()
  }
}
