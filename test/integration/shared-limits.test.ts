/** R053 with nothing simulated: four processes on one file, one of them killed, and a real server that notes when requests arrive. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { fullestWindow } from '../support/fleet.ts'
import { openWorkshop } from '../support/workshop.ts'
import { type LimitedOrders, openLimitedEngine, send } from './support/limited-worker.ts'

const PROGRAM = fileURLToPath(new URL('support/limited-worker.ts', import.meta.url))
const LIMIT = 60
const PER_MS = 4000
const WINDOWS = 3

async function startWorker(orders: LimitedOrders): Promise<ChildProcess> {
  const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(child, 'message')
  return child
}

test('four processes at 60/4s, one killed: never more than 60 in any 4 s, and at least 90 % of it', {
  timeout: 60_000,
}, async () => {
  await using workshop = openWorkshop()
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
  const orders = { storePath: workshop.path('holdfast.db'), url: twin.url, rate: `${LIMIT}/${PER_MS}ms` }
  await using holdfast = await openLimitedEngine(orders)
  const records = Array.from({ length: LIMIT * 20 }, (_, n) => ({ input: { n }, options: { key: `${n}` } }))
  await holdfast.submitMany(send, records)
  const workers = await Promise.all([1, 2, 3, 4].map(() => startWorker(orders)))
  try {
    // Long enough for so many windows after the first call: as many calls as they let through, and one more window's.
    const enough = Promise.withResolvers<void>()
    arrived = () => {
      if (arrivalsMs.length === LIMIT) workers[0]?.kill('SIGKILL')
      if (arrivalsMs.length > LIMIT * WINDOWS) enough.resolve()
    }
    await enough.promise
  } finally {
    await Promise.all(workers.map((worker) => end(worker)))
  }
  const lastMs = (arrivalsMs[LIMIT * WINDOWS] as number) - (arrivalsMs[0] as number)
  expect(fullestWindow(arrivalsMs, PER_MS)).toBeLessThanOrEqual(LIMIT)
  expect((WINDOWS * PER_MS) / lastMs).toBeGreaterThanOrEqual(0.9)
})

async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const exited = once(worker, 'exit')
  worker.kill('SIGKILL')
  await exited
}
