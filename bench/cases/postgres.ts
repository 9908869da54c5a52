/**
 * The durable queue on one PostgreSQL server that loses nothing (`fsync` and `synchronous_commit` on): the same work as on
 * SQLite, how soon a job starts that another process added, and what a long queue costs.
 */
import type { BenchCase, Comparison, Contender } from '../support/bench-case.ts'
import { measureClaims } from '../support/claim-depth.ts'
import type { OpenQueue } from '../support/durable-queue.ts'
import { openGraphileQueue } from '../support/graphile-queue.ts'
import { openHoldfastQueue } from '../support/holdfast-queue.ts'
import { openPgBossQueue, openPollingPgBossQueue } from '../support/pg-boss-queue.ts'
import { createDatabase, type Place } from '../support/postgres-place.ts'
import {
  ADDING_AND_DRAINING,
  adding,
  addingBatches,
  draining,
  measureQueue,
  type QueueWork,
  scaledJobs,
} from '../support/queue-work.ts'
import type { Measured } from '../support/stopwatch.ts'
import { measureStarts, type QueueName } from '../support/trickle.ts'

const HOLDFAST = 'holdfast'
const PG_BOSS = 'pg-boss'
/** For what its notifications slow down: adding one by one. */
const PG_BOSS_POLLING = 'pg-boss without notifications'
const GRAPHILE = 'graphile-worker'

interface PostgresCase {
  readonly work: QueueWork
  /** Jobs per measurement, so that each takes about as long. */
  readonly jobs: number
  readonly peerJobs: number
  readonly atLeast?: number
  readonly oneByOne?: true
}

const CASES: readonly PostgresCase[] = [
  { work: adding(1), jobs: 2000, peerJobs: 1000, oneByOne: true },
  { work: adding(32), jobs: 20_000, peerJobs: 2000, oneByOne: true },
  { work: addingBatches(100), jobs: 100_000, peerJobs: 100_000 },
  { work: addingBatches(1000), jobs: 100_000, peerJobs: 100_000 },
  { work: draining(100), jobs: 100_000, peerJobs: 100_000 },
  { work: draining(1000), jobs: 100_000, peerJobs: 100_000 },
  { work: ofShortBacklog(draining(100)), jobs: 30_000, peerJobs: 30_000 },
  { work: ofShortBacklog(draining(1000)), jobs: 30_000, peerJobs: 30_000 },
  { work: ADDING_AND_DRAINING, jobs: 20_000, peerJobs: 2000, atLeast: 3, oneByOne: true },
  { work: draining(100, 2), jobs: 20_000, peerJobs: 20_000 },
]

export const POSTGRES_CASES: readonly BenchCase[] = [...CASES.map(queueCase), latencyCase(), depthCase()]

/** Worked off in less than a second, by a process whose code has just begun to run. */
function ofShortBacklog(work: QueueWork): QueueWork {
  return { ...work, name: work.name.replace('a backlog', 'a short backlog') }
}

function queueCase({ work, jobs, peerJobs, atLeast = 1, oneByOne }: PostgresCase): BenchCase {
  const peers: readonly [name: string, open: OpenQueue][] = [
    [PG_BOSS, openPgBossQueue],
    ...(oneByOne ? [[PG_BOSS_POLLING, openPollingPgBossQueue] as [string, OpenQueue]] : []),
    [GRAPHILE, openGraphileQueue],
  ]
  const measureOf = (open: OpenQueue, fullSize: number) => (place: Place, scale: number) =>
    measureQueue(work, { open, place: place.url, helperCpu: place.serverCpu, jobs: scaledJobs(fullSize, scale) })
  return {
    group: 'postgres',
    name: `PostgreSQL: ${work.name}`,
    shownAs: 'operations per second',
    contenders: [
      contender(HOLDFAST, measureOf(openHoldfastQueue, jobs)),
      ...peers.map(([name, open]) => contender(name, measureOf(open, peerJobs))),
    ],
    comparisons: peers.map(([against]): Comparison => ({ contender: HOLDFAST, against, atLeast })),
  }
}

function latencyCase(): BenchCase {
  const starting = (name: string, queue: QueueName) =>
    contender(name, (place, scale) => measureStarts(queue, place, Math.max(2, 20 * scale)))
  const comparisons = [PG_BOSS, GRAPHILE].flatMap((against): Comparison[] => [
    { contender: HOLDFAST, against, by: 'p50Ms', atLeast: 1 },
    { contender: HOLDFAST, against, by: 'p99Ms', atLeast: 1 },
  ])
  return {
    group: 'postgres',
    name: 'PostgreSQL: 100 a second from another process, until the code starts',
    shownAs: 'milliseconds of delay',
    contenders: [starting(HOLDFAST, 'holdfast'), starting(PG_BOSS, 'pg-boss'), starting(GRAPHILE, 'graphile')],
    comparisons,
  }
}

function depthCase(): BenchCase {
  const many = '1 million waiting'
  const few = '10 thousand waiting'
  return {
    group: 'postgres',
    name: 'PostgreSQL: claim and settle, batches of 100',
    shownAs: 'operations per second',
    contenders: [
      contender(few, (place) => measureClaims(place, 10_000, 6000)),
      contender(many, (place, scale) => measureClaims(place, 1_000_000 * Math.min(1, scale), 6000)),
    ],
    // A claim may cost at most one and a half times as much.
    comparisons: [{ contender: many, against: few, atLeast: 1 / 1.5 }],
  }
}

function contender(name: string, measure: (place: Place, scale: number) => Promise<Measured>): Contender {
  return {
    name,
    async run({ scale, postgresUrl }) {
      if (postgresUrl === undefined) throw new Error('This case needs a server')
      await using place = await createDatabase(postgresUrl)
      return await measure(place, scale)
    },
  }
}
