/**
 * The durable queue on one SQLite file, `synchronous = FULL`, completed rows kept: adding, working off a backlog, both at
 * once, and failing twice on the way.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import { type DurableQueue, type OpenQueue, payloads } from '../support/durable-queue.ts'
import { openHoldfastQueue } from '../support/holdfast-queue.ts'
import { openPlainjobQueue } from '../support/plainjob-queue.ts'
import { openPromisingRawQueue, openRawQueue } from '../support/raw-queue.ts'
import { measure } from '../support/stopwatch.ts'

const HOLDFAST = 'holdfast'
const RAW = 'raw loop over node:sqlite'
const PROMISING_RAW = 'raw loop with the same promises'
const PLAINJOB = 'plainjob'

interface LedgerCase {
  readonly name: string
  /** Jobs per measurement; plainjob commits each job alone, and gets fewer so that it takes as long. */
  readonly jobs: number
  readonly plainjobJobs: number | undefined
  readonly concurrency: number
  readonly failures: number
  readonly drains: boolean
  /** Before the clock runs. */
  prepare(queue: DurableQueue, jobs: number): Promise<void>
  work(queue: DurableQueue, jobs: number): Promise<void>
}

const nothing = async (): Promise<void> => {}
const LARGE_BATCH = 1000

const CASES: readonly LedgerCase[] = [
  addingCase('add, 1 in flight', 3000, 3000, (queue, jobs) => addOneByOne(queue, jobs, 1)),
  addingCase('add, 32 in flight', 40_000, 3000, (queue, jobs) => addOneByOne(queue, jobs, 32)),
  addingCase('add, batches of 100', 80_000, 80_000, (queue, jobs) => addInBatches(queue, jobs, 100)),
  addingCase('add, batches of 1000', 100_000, 100_000, (queue, jobs) => addInBatches(queue, jobs, LARGE_BATCH)),
  drainingCase('drain a backlog, concurrency 100', 50_000, 2500, 100, 0),
  drainingCase('drain a backlog, concurrency 1000', 50_000, undefined, 1000, 0),
  {
    name: 'add (32 in flight) and drain (100) at once',
    jobs: 40_000,
    plainjobJobs: 2000,
    concurrency: 100,
    failures: 0,
    drains: true,
    prepare: nothing,
    async work(queue, jobs) {
      queue.start()
      await addOneByOne(queue, jobs, 32)
      await queue.finished()
    },
  },
  drainingCase('drain a backlog, concurrency 100, every job fails twice', 20_000, undefined, 100, 2),
]

function addingCase(name: string, jobs: number, plainjobJobs: number, work: LedgerCase['work']): LedgerCase {
  return { name, jobs, plainjobJobs, concurrency: 1, failures: 0, drains: false, prepare: nothing, work }
}

function drainingCase(
  name: string,
  jobs: number,
  plainjobJobs: number | undefined,
  concurrency: number,
  failures: number,
): LedgerCase {
  return {
    name,
    jobs,
    plainjobJobs,
    concurrency,
    failures,
    drains: true,
    prepare: (queue, count) => addInBatches(queue, count, LARGE_BATCH),
    async work(queue) {
      queue.start()
      await queue.finished()
    },
  }
}

export const LEDGER_CASES: readonly BenchCase[] = CASES.map((ledgerCase) => ({
  group: 'ledger' as const,
  name: ledgerCase.name,
  shownAs: 'operations per second' as const,
  contenders: [
    contender(RAW, ledgerCase, ledgerCase.jobs, openRawQueue),
    contender(PROMISING_RAW, ledgerCase, ledgerCase.jobs, openPromisingRawQueue),
    contender(HOLDFAST, ledgerCase, ledgerCase.jobs, openHoldfastQueue),
    ...(ledgerCase.plainjobJobs === undefined
      ? []
      : [contender(PLAINJOB, ledgerCase, ledgerCase.plainjobJobs, openPlainjobQueue)]),
  ],
  comparisons: [
    { contender: HOLDFAST, against: RAW, atLeast: 0.5 },
    { contender: HOLDFAST, against: PROMISING_RAW },
    ...(ledgerCase.plainjobJobs === undefined ? [] : [{ contender: HOLDFAST, against: PLAINJOB }]),
  ],
}))

function contender(name: string, ledgerCase: LedgerCase, fullSize: number, open: OpenQueue): Contender {
  return {
    name,
    async run({ scale, folder }) {
      const jobs = Math.max(LARGE_BATCH, Math.round((fullSize * scale) / LARGE_BATCH) * LARGE_BATCH)
      const path = join(folder, `queue-${process.pid}.db`)
      const { concurrency, failures } = ledgerCase
      const queue = await open({ path, concurrency, failures })
      await ledgerCase.prepare(queue, jobs)
      const measured = await measure(async () => {
        await ledgerCase.work(queue, jobs)
        return jobs
      })
      await check(queue, ledgerCase, jobs)
      await queue[Symbol.asyncDispose]()
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
      return measured
    },
  }
}

async function check(queue: DurableQueue, ledgerCase: LedgerCase, jobs: number): Promise<void> {
  const expected = ledgerCase.drains ? jobs : 0
  const done = await queue.countDone()
  if (done !== expected) throw new Error(`${ledgerCase.name}: ${done} jobs done, not ${expected}`)
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
