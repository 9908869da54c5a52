/** R053 with nothing simulated: four processes on one store, one of them killed, and a real server that notes when requests arrive. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { fullestWindow } from '../support/fleet.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { openWorkshop, type Workshop } from '../support/workshop.ts'
import { type LimitedOrders, openLimitedEngine, send } from './support/limited-worker.ts'

const PROGRAM = fileURLToPath(new URL('support/limited-worker.ts', import.meta.url))
const WINDOWS = 3

interface Limit {
  readonly calls: number
  readonly perMs: number
}

describe('in a file', () => {
  let workshop: Workshop
  beforeAll(() => {
    workshop = openWorkshop()
  })
  afterAll(() => workshop?.[Symbol.asyncDispose]())

  holdsTo({ calls: 60, perMs: 4000 }, () => `sqlite:${workshop.path('holdfast.db')}`)
})

describe('on a PostgreSQL server', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.remove())

  holdsTo({ calls: 60, perMs: 4000 }, () => `${server.url}?schema=short_span`)
  holdsTo({ calls: 100, perMs: 10_000 }, () => `${server.url}?schema=long_span`)
})

function holdsTo(limit: Limit, storeOf: () => string): void {
  const { calls, perMs } = limit
  const name = `four processes at ${calls}/${perMs}ms, one killed: never more than that in any such span, and at least 90 % of it`
  test(name, { timeout: 90_000 }, async () => {
    const arrivalsMs = await arrivals(limit, storeOf())
    const lastMs = (arrivalsMs[calls * WINDOWS] as number) - (arrivalsMs[0] as number)
    expect(fullestWindow(arrivalsMs, perMs)).toBeLessThanOrEqual(calls)
    expect((WINDOWS * perMs) / lastMs).toBeGreaterThanOrEqual(0.9)
  })
}

/** When requests came, until there were as many as so many spans let through, and one more. */
async function arrivals({ calls, perMs }: Limit, store: string): Promise<readonly number[]> {
  const arrivalsMs: number[] = []
  let arrived = () => {}
  await using twin = await startTwin({
    clock: systemClock,
    random: seededRandom('limits'),
    routes: [route('POST', '/things', { effectKey: () => undefined, work: '20ms' })],
    onRequest: () => {
      arrivalsMs.push(systemClock.monotonicMs())
      arrived()
    },
  })
  const orders: LimitedOrders = { store, url: twin.url, rate: `${calls}/${perMs}ms` }
  await using holdfast = await openLimitedEngine(orders)
  const records = Array.from({ length: calls * 20 }, (_, n) => ({ input: { n }, options: { key: `${n}` } }))
  await holdfast.submitMany(send, records)
  const workers = await Promise.all([1, 2, 3, 4].map(() => startWorker(orders)))
  try {
    const enough = Promise.withResolvers<void>()
    arrived = () => {
      if (arrivalsMs.length === calls) workers[0]?.kill('SIGKILL')
      if (arrivalsMs.length > calls * WINDOWS) enough.resolve()
    }
    await enough.promise
  } finally {
    await Promise.all(workers.map((worker) => end(worker)))
  }
  return arrivalsMs
}

async function startWorker(orders: LimitedOrders): Promise<ChildProcess> {
  const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(child, 'message')
  return child
}

async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const exited = once(worker, 'exit')
  worker.kill('SIGKILL')
  await exited
}
