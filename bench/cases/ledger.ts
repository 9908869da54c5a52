/**
 * The durable queue on one SQLite file, `synchronous = FULL`, completed rows kept: adding, working off a backlog, both at
 * once, and failing twice on the way.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import type { OpenQueue } from '../support/durable-queue.ts'
import { openHoldfastQueue } from '../support/holdfast-queue.ts'
import { openPlainjobQueue } from '../support/plainjob-queue.ts'
import {
  ADDING_AND_DRAINING,
  adding,
  addingBatches,
  draining,
  measureQueue,
  type QueueWork,
  scaledJobs,
} from '../support/queue-work.ts'
import { openPromisingRawQueue, openRawQueue } from '../support/raw-queue.ts'

const HOLDFAST = 'holdfast'
const RAW = 'raw loop over node:sqlite'
const PROMISING_RAW = 'raw loop with the same promises'
const PLAINJOB = 'plainjob'

interface LedgerCase {
  readonly work: QueueWork
  /** Jobs per measurement; plainjob commits each job alone, and gets fewer so that it takes as long. */
  readonly jobs: number
  readonly plainjobJobs?: number
}

const CASES: readonly LedgerCase[] = [
  { work: adding(1), jobs: 3000, plainjobJobs: 3000 },
  { work: adding(32), jobs: 40_000, plainjobJobs: 3000 },
  { work: addingBatches(100), jobs: 80_000, plainjobJobs: 80_000 },
  { work: addingBatches(1000), jobs: 100_000, plainjobJobs: 100_000 },
  { work: draining(100), jobs: 50_000, plainjobJobs: 2500 },
  { work: draining(1000), jobs: 50_000 },
  { work: ADDING_AND_DRAINING, jobs: 40_000, plainjobJobs: 2000 },
  { work: draining(100, 2), jobs: 20_000 },
]

export const LEDGER_CASES: readonly BenchCase[] = CASES.map(({ work, jobs, plainjobJobs }) => ({
  group: 'ledger' as const,
  name: work.name,
  shownAs: 'operations per second' as const,
  contenders: [
    contender(RAW, work, jobs, openRawQueue),
    contender(PROMISING_RAW, work, jobs, openPromisingRawQueue),
    contender(HOLDFAST, work, jobs, openHoldfastQueue),
    ...(plainjobJobs === undefined ? [] : [contender(PLAINJOB, work, plainjobJobs, openPlainjobQueue)]),
  ],
  comparisons: [
    { contender: HOLDFAST, against: RAW, atLeast: 0.5 },
    { contender: HOLDFAST, against: PROMISING_RAW },
    ...(plainjobJobs === undefined ? [] : [{ contender: HOLDFAST, against: PLAINJOB }]),
  ],
}))

function contender(name: string, work: QueueWork, fullSize: number, open: OpenQueue): Contender {
  return {
    name,
    async run({ scale, folder }) {
      const place = join(folder, `queue-${process.pid}.db`)
      const measured = await measureQueue(work, { open, place, jobs: scaledJobs(fullSize, scale) })
      for (const suffix of ['', '-wal', '-shm']) rmSync(place + suffix, { force: true })
      return measured
    },
  }
}
