import { createCipher } from '../../client/credentials/cipher.ts'
import type { LoadedConfig } from '../../config/loaded.ts'
import type { Random } from '../../core/random.ts'
import type { Holdfast } from '../../engine/api.ts'
import { createEngine } from '../../engine/engine.ts'
import type { AnyPipeline } from '../../engine/pipelines/pipeline.ts'
import { openSqliteLedger } from '../../ledger/sqlite/index.ts'
import type { SimulatedNetwork } from '../network/network.ts'
import { createProcessClock } from '../simulator/process-clock.ts'
import { createProcessGate } from '../simulator/process-gate.ts'
import { createProcessLedger } from '../simulator/process-ledger.ts'
import type { VirtualClock } from '../virtual-clock.ts'

/** A process of a testbed: the real engine, which can be gone from one moment to the next. */
export interface TestbedProcess {
  readonly hf: Holdfast
  readonly alive: boolean
  /** As by SIGKILL. */
  die(): void
}

export interface TestbedProcessParts {
  readonly clock: VirtualClock
  readonly random: Random
  readonly network: SimulatedNetwork
  readonly storePath: string
  readonly config: LoadedConfig
}

/** Tests of pipelines need no key of their own. */
const NO_SECRET = Buffer.alloc(32).toString('base64')

export async function startTestbedProcess(parts: TestbedProcessParts): Promise<TestbedProcess> {
  const { config, network, random } = parts
  const gate = createProcessGate(() => clock.stop())
  const clock = createProcessClock(parts.clock, { aheadMs: 0 }, gate)
  const connection = await openSqliteLedger({ path: parts.storePath, clock })
  const hf = createEngine({
    clock,
    random,
    ledger: createProcessLedger({
      process: 'testbed',
      connection,
      gate,
      record: () => undefined,
      trouble: () => undefined,
      sleep: (delayMs) => parts.clock.sleep(delayMs),
      watch: (listener) => connection.watch((where) => gate.enter(() => listener(where))),
      wakeOthers: () => undefined,
    }),
    transport: network.transport({ clock, deliver: gate.enter }),
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
    webhooks: config.webhooks,
    cipher: createCipher(config.keys.length > 0 ? config.keys : [NO_SECRET], random),
    settings: {
      leaseMs: config.worker.leaseMs,
      pollMs: config.worker.pollMs,
      concurrency: config.worker.concurrency,
      maxPayloadBytes: config.maxPayloadBytes,
    },
  })
  hf.startWorker()
  return {
    hf,
    get alive() {
      return gate.state !== 'dead'
    },
    die: gate.die,
  }
}
