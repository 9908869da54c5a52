/** Several Holdfasts on one store, on virtual time and a simulated network; any of them can be gone from one moment to the next. */
import { resolveConfig } from '../../src/config/resolve.ts'
import type { HoldfastEvent } from '../../src/core/events.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { openSqliteLedger, sharedMemoryPath } from '../../src/ledger/sqlite/index.ts'
import { createSimulatedNetwork } from '../../src/testing/network/network.ts'
import { createProcessClock } from '../../src/testing/simulator/process-clock.ts'
import { createProcessGate } from '../../src/testing/simulator/process-gate.ts'
import { createProcessLedger } from '../../src/testing/simulator/process-ledger.ts'
import type { StoreTrouble } from '../../src/testing/simulator/scenario.ts'
import { route } from '../../src/testing/twin/route.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'

const ADDRESS = 'https://crm.test'

export const send = definePipeline<{ n: number }>('send').step('post', {
  integration: 'crm',
  request: { method: 'POST', path: '/things', body: ({ input }) => input },
})

export interface FleetMember {
  readonly hf: Holdfast
  readonly events: HoldfastEvent[]
  /** As by SIGKILL. */
  kill(): void
}

export interface Fleet extends AsyncDisposable {
  readonly clock: VirtualClock
  /** When requests arrived at the API, in monotonic milliseconds. */
  readonly arrivalsMs: number[]
  /** Calls of the store that limits and health need, by method. */
  readonly queries: Map<string, number>
  /** A process of its own. `worker: false` only submits and calls. */
  start(options?: {
    readonly worker?: boolean
    readonly trouble?: () => StoreTrouble | undefined
  }): Promise<FleetMember>
}

let fleets = 0

export async function createFleet(options: {
  readonly seed: string
  readonly limits: { readonly rate?: string; readonly quota?: string; readonly concurrency?: number }
}): Promise<Fleet> {
  const trueClock = createVirtualClock()
  const network = createSimulatedNetwork({ clock: trueClock, random: seededRandom(`${options.seed}:network`) })
  const arrivalsMs: number[] = []
  network.twin(ADDRESS, {
    routes: [route('POST', '/things', { effectKey: () => undefined })],
    latencyMs: [20, 80],
    connectMs: [10, 60],
    onRequest: () => arrivalsMs.push(trueClock.monotonicMs()),
  })
  const path = sharedMemoryPath(`fleet ${fleets++}`)
  const keeper = await openSqliteLedger({ path, clock: trueClock })
  const config = resolveConfig(
    {
      integrations: { crm: { baseUrl: ADDRESS, limits: { concurrency: 1000, ...options.limits } } },
      pipelines: [send],
    },
    { env: {}, baseDirectory: '/' },
  )
  const queries = new Map<string, number>()
  const members: FleetMember[] = []

  async function start({ worker = true, trouble = () => undefined }: Parameters<Fleet['start']>[0] = {}) {
    const gate = createProcessGate(() => clock.stop())
    const clock = createProcessClock(trueClock, { aheadMs: 0 }, gate)
    const connection = await openSqliteLedger({ path, clock })
    const ledger = createProcessLedger({
      process: `process ${members.length}`,
      connection,
      gate,
      trouble,
      record: (fact) => {
        if (fact.kind === 'store') queries.set(fact.method, (queries.get(fact.method) ?? 0) + 1)
      },
      sleep: (delayMs) => trueClock.sleep(delayMs),
      watch: () => ({ [Symbol.dispose]: () => undefined }),
      wakeOthers: () => undefined,
    })
    const hf = createEngine({
      clock,
      random: seededRandom(`${options.seed}:${members.length}`),
      ledger,
      transport: network.transport({ clock, deliver: gate.enter }),
      integrations: config.integrations,
      pipelines: [send],
    })
    const events: HoldfastEvent[] = []
    hf.events.on('engine.trouble', (event) => events.push(event))
    if (worker) hf.startWorker()
    const member: FleetMember = { hf, events, kill: gate.die }
    members.push(member)
    return member
  }

  return {
    clock: trueClock,
    arrivalsMs,
    queries,
    start,
    async [Symbol.asyncDispose]() {
      for (const { kill } of members) kill()
      await trueClock.runUntil(keeper.close())
    },
  }
}

/** The most arrivals within any stretch of `perMs`. */
export function fullestWindow(arrivalsMs: readonly number[], perMs: number): number {
  const sorted = arrivalsMs.toSorted((left, right) => left - right)
  let fullest = 0
  let first = 0
  for (const [index, atMs] of sorted.entries()) {
    while ((sorted[first] as number) <= atMs - perMs) first += 1
    fullest = Math.max(fullest, index - first + 1)
  }
  return fullest
}
