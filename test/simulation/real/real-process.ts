/** One machine's process: the engine with everything real, on the store and the twins that it is told. Started by `real-world.ts`. */
import { flushCompileCache } from 'node:module'
import { createUndiciTransport } from '../../../src/client/wire/undici-transport.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { Holdfast } from '../../../src/engine/api.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import { openSqliteLedger } from '../../../src/ledger/sqlite/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import { systemRandom } from '../../../src/system/system-random.ts'
import { buildPipelines } from '../../../src/testing/simulator/build-pipelines.ts'
import type { MachinePlan, Scenario } from '../../../src/testing/simulator/scenario.ts'

export interface RealOrders {
  readonly scenario: Scenario
  readonly storePath: string
  /** By API: where its twin listens. */
  readonly urls: Readonly<Record<string, string>>
  readonly machine: MachinePlan
}

/** What a process says: that it works, each time that something went in or out of it, and before it stands still. */
export type RealReport = 'ready' | 'crossing' | 'standing_still'

/**
 * Stop as by SIGSTOP, between two turns of the event loop. Stopped from outside it might stand in the middle of a commit, or
 * between its last look at its lease and the write to the socket, microseconds later, and would write when it wakes.
 */
export type RealOrder = 'stand_still'

export async function openRealEngine({ scenario, storePath, urls, machine }: RealOrders): Promise<Holdfast> {
  const integrations = Object.fromEntries(
    scenario.apis.map(({ name, integration }) => [name, { ...integration, baseUrl: urls[name] ?? '' }]),
  )
  return createEngine({
    clock: systemClock,
    random: systemRandom,
    ledger: await openSqliteLedger({ path: storePath, clock: systemClock }),
    transport: createUndiciTransport({ clock: systemClock }),
    integrations: resolveConfig({ integrations }, { env: {}, baseDirectory: '/' }).integrations,
    pipelines: buildPipelines(scenario, {
      clock: systemClock,
      random: systemRandom,
      act: () => undefined,
      has: () => false,
      note: () => undefined,
    }),
    settings: machine.settings,
  })
}

async function work(orders: RealOrders): Promise<void> {
  const holdfast = await openRealEngine(orders)
  const { workers, concurrency } = orders.machine
  const say = (report: RealReport): void => void process.send?.(report)
  for (const type of ['item.claimed', 'call.ended', 'item.settled'] as const) {
    holdfast.events.on(type, () => say('crossing'))
  }
  for (let index = 0; index < workers; index++) holdfast.startWorker({ concurrency })
  process.once('SIGTERM', async () => {
    await holdfast.close()
    process.exit(0)
  })
  process.on('message', (_order: RealOrder) => {
    systemClock.nextTurn(() => {
      say('standing_still')
      process.kill(process.pid, 'SIGSTOP')
    })
  })
  // Ends with the test that started it.
  process.once('disconnect', () => process.exit())
  say('ready')
  // For those that are started later: written by itself only at the end, which a killed process does not see.
  flushCompileCache()
}

if (process.argv[2] !== undefined && process.send) void work(JSON.parse(process.argv[2]) as RealOrders)
