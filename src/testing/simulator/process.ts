/** One simulated process: the real engine, everything it touches handed in, and a border at which it can freeze and die. */
import type { Transport } from '../../client/wire/transport.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import { seededRandom } from '../../core/random.ts'
import type { Holdfast } from '../../engine/api.ts'
import { createEngine } from '../../engine/engine.ts'
import type { AnyPipeline } from '../../engine/pipelines/pipeline.ts'
import type { Ledger, Where } from '../../ledger/port.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import type { FactBody } from './fact.ts'
import type { HowEnded, OnEnd } from './machine.ts'
import { createProcessClock, type MachineTime, type ProcessClock } from './process-clock.ts'
import { createProcessGate, type ProcessGate } from './process-gate.ts'
import { createProcessLedger } from './process-ledger.ts'
import { createProcessTransport } from './process-transport.ts'
import type { MachinePlan, StoreTrouble } from './scenario.ts'

export interface SimulatedProcess {
  /** The machine's name and how often it has been started: `m1#3`. */
  readonly name: string
  readonly gate: ProcessGate
  readonly hf: Holdfast
  /** Asked to stop, as by SIGTERM. Resolves when it has; never, where it dies on the way. */
  stop(graceMs: number): Promise<void>
}

/** What code that runs in a process has to do with. */
export interface InsideProcess {
  readonly name: string
  readonly clock: ProcessClock
  readonly gate: ProcessGate
}

/** What a process finds on its machine. */
export interface ProcessSurroundings {
  readonly seed: string
  readonly clock: VirtualClock
  readonly time: MachineTime
  readonly connect: (clock: ProcessClock) => Ledger
  readonly network: (clock: ProcessClock, deliver: ProcessGate['enter']) => Transport
  readonly apiOf: (origin: string) => string
  readonly integrations: readonly IntegrationSettings[]
  readonly pipelines: (process: {
    readonly clock: ProcessClock
    readonly gate: ProcessGate
    readonly name: string
  }) => readonly AnyPipeline[]
  readonly record: (fact: FactBody) => void
  readonly nextCall: () => number
  readonly storeTrouble: () => StoreTrouble | undefined
  readonly watch: Ledger['watch']
  readonly wakeOthers: (where: Where) => void
  readonly onEnd: OnEnd
}

export async function startProcess(
  name: string,
  plan: MachinePlan,
  surroundings: ProcessSurroundings,
): Promise<SimulatedProcess> {
  const { record } = surroundings
  let how: HowEnded = 'crashed'
  const gate = createProcessGate(() => {
    clock.stop()
    record({ kind: 'process_ended', process: name, how })
    surroundings.onEnd(how)
  })
  const clock = createProcessClock(surroundings.clock, surroundings.time, gate)
  const connection = surroundings.connect(clock)

  const hf = createEngine({
    clock,
    random: seededRandom(`${surroundings.seed}:${name}`),
    ledger: createProcessLedger({
      process: name,
      connection,
      gate,
      record,
      trouble: surroundings.storeTrouble,
      sleep: (delayMs) => surroundings.clock.sleep(delayMs),
      watch: (listener) => surroundings.watch((where) => gate.enter(() => listener(where))),
      wakeOthers: surroundings.wakeOthers,
    }),
    transport: createProcessTransport({
      process: name,
      network: surroundings.network(clock, gate.enter),
      gate,
      record,
      nextCall: surroundings.nextCall,
      trueMs: () => surroundings.clock.monotonicMs(),
      apiOf: surroundings.apiOf,
    }),
    integrations: surroundings.integrations,
    pipelines: surroundings.pipelines({ clock, gate, name }),
    // In most stories nobody asks for jobs: looking for them would only be more calls of the store.
    settings: { jobLookMs: Number.POSITIVE_INFINITY, ...plan.settings },
  })
  hf.events.on('*', (event) => {
    if (gate.state !== 'dead') record({ kind: 'event', process: name, event })
  })
  record({ kind: 'process_started', process: name })
  const workers = Array.from({ length: plan.workers }, () => hf.startWorker({ concurrency: plan.concurrency }))

  return {
    name,
    gate,
    hf,
    async stop(graceMs) {
      await Promise.all(workers.map((worker) => worker.stop({ graceMs })))
      await hf.close()
      how = 'stopped'
      gate.die()
    },
  }
}
