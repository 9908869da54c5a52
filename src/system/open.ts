/**
 * The composition root: the one place that brings in the real clock, chance, store and network. Everything else takes what
 * it is given.
 */
import { createCipher } from '../client/credentials/cipher.ts'
import { createUndiciTransport } from '../client/wire/undici-transport.ts'
import type { ConfigInput } from '../config/define.ts'
import type { LoadedConfig, StoreSettings } from '../config/loaded.ts'
import { resolveConfig } from '../config/resolve.ts'
import type { KeyRing } from '../core/key-ring.ts'
import type { Holdfast } from '../engine/api.ts'
import { createEngine, type EngineParts } from '../engine/engine.ts'
import type { AnyPipeline } from '../engine/pipelines/pipeline.ts'
import { type OpenPayloads, openPayloads } from '../ledger/payloads/open-payloads.ts'
import type { Ledger } from '../ledger/port.ts'
import { openPostgresLedger } from '../ledger/postgres/index.ts'
import { openSqliteLedger } from '../ledger/sqlite/index.ts'
import { BUILT_IN_PROFILES } from '../profiles/index.ts'
import { openKeys } from './keys.ts'
import { followServer } from './store-clock.ts'
import { systemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/** What `holdfast()` takes: everything a configuration file may say, and code. */
export type HoldfastOptions = ConfigInput

/**
 * Opens Holdfast as a library. The store is created where it is missing.
 * @throws HoldfastError `invalid_config` naming every problem, `store_*` where the store cannot be used.
 */
export async function holdfast(options: HoldfastOptions): Promise<Holdfast> {
  return openHoldfast(
    resolveConfig(options, { env: process.env, baseDirectory: process.cwd(), profiles: BUILT_IN_PROFILES }),
  )
}

/** Opens Holdfast from a loaded configuration: what the commands use. */
export async function openHoldfast(config: LoadedConfig): Promise<Holdfast> {
  const teardown = await config.setup?.()
  try {
    const keys = openKeys(config)
    const { ledger, joining, payloads, clock, stop } = await openStore(config, keys)
    return createEngine({
      clock,
      random: systemRandom,
      ledger,
      payloads,
      ...(joining && { joining }),
      transport: createUndiciTransport({ clock }),
      integrations: config.integrations,
      pipelines: config.pipelines as readonly AnyPipeline[],
      webhooks: config.webhooks,
      callbacks: config.callbacks,
      cipher: createCipher(keys, systemRandom),
      settings: {
        leaseMs: config.worker.leaseMs,
        pollMs: config.worker.pollMs,
        concurrency: config.worker.concurrency,
        maxPayloadBytes: config.maxPayloadBytes,
      },
      async onClose() {
        stop()
        await teardown?.()
      },
    })
  } catch (error) {
    await teardown?.()
    throw error
  }
}

/** The ledger alone, its contents as they are stored: for what needs no engine. */
export async function openLedger({ store }: Pick<LoadedConfig, 'store'>): Promise<Ledger> {
  if (store.kind === 'sqlite') return openSqliteLedger({ path: store.path, clock: systemClock })
  return openPostgresLedger({ url: store.url, clock: systemClock })
}

interface OpenStore extends Pick<EngineParts, 'ledger' | 'joining' | 'clock'>, Pick<OpenPayloads<Ledger>, 'payloads'> {
  stop(): void
}

async function openStore({ store, encryptPayloads }: LoadedConfig, keys: KeyRing): Promise<OpenStore> {
  const sealing = { ring: keys, random: systemRandom, encrypt: encryptPayloads }
  const inner = await openInner(store)
  const { clock, joining } = inner
  try {
    const { ledger, payloads, sealed } = await openPayloads({ ...sealing, ledger: inner.ledger, nowMs: clock.wallMs })
    return { ...inner, ledger, payloads, ...(joining && { joining: (client) => sealed(joining(client)) }) }
  } catch (error) {
    inner.stop()
    await inner.ledger.close()
    throw error
  }
}

async function openInner(store: StoreSettings): Promise<Omit<OpenStore, 'payloads'>> {
  if (store.kind === 'sqlite') {
    return { ledger: await openLedger({ store }), clock: systemClock, stop() {} }
  }
  const ledger = await openPostgresLedger({ url: store.url, clock: systemClock })
  try {
    const clock = await followServer(systemClock, ledger.serverTimeMs)
    return { ledger, joining: ledger.joining, clock, stop: clock.stop }
  } catch (error) {
    await ledger.close()
    throw error
  }
}
