/**
 * The composition root: the one place that brings in the real clock, chance, store and network. Everything else takes what
 * it is given.
 */
import { createUndiciTransport } from '../client/undici-transport.ts'
import type { ConfigInput } from '../config/define.ts'
import type { LoadedConfig } from '../config/loaded.ts'
import { resolveConfig } from '../config/resolve.ts'
import type { Holdfast } from '../engine/api.ts'
import { createEngine } from '../engine/engine.ts'
import type { AnyPipeline } from '../engine/pipeline.ts'
import type { Ledger } from '../ledger/port.ts'
import { openSqliteLedger } from '../ledger/sqlite/index.ts'
import { systemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/** What `holdfast()` takes: everything a configuration file may say, and code. */
export type HoldfastOptions = ConfigInput

/**
 * Opens Holdfast as a library. The store is created where it is missing.
 * @throws HoldfastError `invalid_config` naming every problem, `store_*` where the store cannot be used.
 */
export async function holdfast(options: HoldfastOptions): Promise<Holdfast> {
  return openHoldfast(resolveConfig(options, { env: process.env, baseDirectory: process.cwd() }))
}

/** Opens Holdfast from a loaded configuration: what the commands use. */
export async function openHoldfast(config: LoadedConfig): Promise<Holdfast> {
  const teardown = await config.setup?.()
  try {
    const ledger = await openLedger(config)
    return createEngine({
      clock: systemClock,
      random: systemRandom,
      ledger,
      transport: createUndiciTransport({ clock: systemClock }),
      integrations: config.integrations,
      pipelines: config.pipelines as readonly AnyPipeline[],
      settings: {
        leaseMs: config.worker.leaseMs,
        pollMs: config.worker.pollMs,
        concurrency: config.worker.concurrency,
        maxPayloadBytes: config.maxPayloadBytes,
      },
      ...(teardown && { onClose: teardown }),
    })
  } catch (error) {
    await teardown?.()
    throw error
  }
}

/** The ledger alone: for what needs no engine. */
export function openLedger(config: Pick<LoadedConfig, 'store'>): Promise<Ledger> {
  return openSqliteLedger({ path: config.store.path, clock: systemClock })
}
