/** What the queues are put to: adding, working off a backlog, both at once, failing on the way. The same for all contenders. */
import { type DurableQueue, type OpenQueue, payloads } from './durable-queue.ts'
import { type HelperCpu, type Measured, measure } from './stopwatch.ts'

export interface QueueWork {
  readonly name: string
  readonly concurrency: number
  readonly failures: number
  /** Whether all jobs are done afterwards, or none. */
  readonly drains: boolean
  /** Before the clock runs. */
  prepare(queue: DurableQueue, jobs: number): Promise<void>
  work(queue: DurableQueue, jobs: number): Promise<void>
}

const LARGE_BATCH = 1000

export function adding(inFlight: number): QueueWork {
  return {
    name: `add, ${inFlight} in flight`,
    ...ADDING,
    work: (queue, jobs) => addOneByOne(queue, jobs, inFlight),
  }
}

export function addingBatches(size: number): QueueWork {
  return {
    name: `add, batches of ${size}`,
    ...ADDING,
    work: (queue, jobs) => addInBatches(queue, jobs, size),
  }
}

export function draining(concurrency: number, failures = 0): QueueWork {
  return {
    name: `drain a backlog, concurrency ${concurrency}${failures === 2 ? ', every job fails twice' : ''}`,
    concurrency,
    failures,
    drains: true,
    prepare: (queue, jobs) => addInBatches(queue, jobs, LARGE_BATCH),
    async work(queue) {
      queue.start()
      await queue.finished()
    },
  }
}

export const ADDING_AND_DRAINING: QueueWork = {
  name: 'add (32 in flight) and drain (100) at once',
  concurrency: 100,
  failures: 0,
  drains: true,
  prepare: async () => {},
  async work(queue, jobs) {
    queue.start()
    await addOneByOne(queue, jobs, 32)
    await queue.finished()
  },
}

const ADDING = { concurrency: 1, failures: 0, drains: false, prepare: async () => {} } as const

export interface QueueRun {
  readonly open: OpenQueue
  /** A file, or the URL of a database. */
  readonly place: string
  readonly jobs: number
  readonly helperCpu?: HelperCpu
}

/** @throws Error where the store itself says that something else was done than what was measured. */
export async function measureQueue(work: QueueWork, { open, place, jobs, helperCpu }: QueueRun): Promise<Measured> {
  const { concurrency, failures } = work
  const queue = await open({ place, concurrency, failures })
  await work.prepare(queue, jobs)
  const measured = await measure(async () => {
    await work.work(queue, jobs)
    return jobs
  }, helperCpu)
  const expected = work.drains ? jobs : 0
  const done = await queue.countDone()
  if (done !== expected) throw new Error(`${work.name}: ${done} jobs done, not ${expected}`)
  await queue[Symbol.asyncDispose]()
  return measured
}

/** Whole batches, at least one. */
export function scaledJobs(fullSize: number, scale: number): number {
  return Math.max(LARGE_BATCH, Math.round((fullSize * scale) / LARGE_BATCH) * LARGE_BATCH)
}

async function addOneByOne(queue: DurableQueue, jobs: number, inFlight: number): Promise<void> {
  const all = payloads(jobs).values()
  const producer = async (): Promise<void> => {
    for (const payload of all) await queue.add(payload)
  }
  await Promise.all(Array.from({ length: inFlight }, producer))
}

async function addInBatches(queue: DurableQueue, jobs: number, size: number): Promise<void> {
  for (let from = 0; from < jobs; from += size) await queue.addMany(payloads(Math.min(size, jobs - from)))
}
