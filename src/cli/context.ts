/** What a command gets: its output, the configuration, and Holdfast opened and closed around its work. */
import type { LoadedConfig } from '../config/loaded.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../engine/api.ts'
import type { Host } from './host.ts'
import { createOutput, type Output } from './output/output.ts'

/** Every command has these. */
export interface CommonOptions {
  readonly json?: boolean
  readonly config?: string
  readonly store?: string
  readonly demo?: boolean
  readonly verbose?: boolean
}

export interface CliContext {
  readonly host: Host
  readonly output: Output
  readonly options: CommonOptions
  /**
   * @param purpose `look`: nothing is sent, so a credential that is not in the environment does no harm: the person on call
   *   needs none to read the ledger. `send`: everything must be there.
   */
  config(purpose: Purpose): Promise<LoadedConfig>
  /** Opens Holdfast, closes it whatever happens. */
  withHoldfast<Result>(purpose: Purpose, use: (holdfast: Holdfast) => Promise<Result>): Promise<Result>
}

export type Purpose = 'look' | 'send'

export function createContext(host: Host, options: CommonOptions): CliContext {
  const output = createOutput(host, options)
  const loaded = new Map<Purpose, Promise<LoadedConfig>>()
  function config(purpose: Purpose): Promise<LoadedConfig> {
    const known = loaded.get(purpose) ?? loadFor(host, options, purpose)
    loaded.set(purpose, known)
    return known
  }
  return {
    host,
    output,
    options,
    config,
    async withHoldfast(purpose, use) {
      const { openHoldfast } = await import('../system/open.ts')
      const holdfast = await openHoldfast(await config(purpose))
      using _trouble = tellTrouble(holdfast, output)
      try {
        return await use(onBehalfOf(holdfast, host))
      } finally {
        await holdfast.close()
      }
    },
  }
}

/** What a person changes by a command is written to the trail of actions, like what comes over HTTP. */
function onBehalfOf(holdfast: Holdfast, { person, machine }: Host): Holdfast {
  return { ...holdfast, operations: holdfast.operations.as({ by: person, from: machine }) }
}

/** A part that failed while the rest went on, a credential that needs somebody: the person at the terminal should know, and not be flooded with it. */
function tellTrouble(holdfast: Holdfast, output: Output): Disposable {
  const toldAtMs = new Map<string, number>()
  const credentials = holdfast.events.on('credential.failed', ({ credential, reason, hint }) => {
    output.note(`CRITICAL: credential ${credential}: ${reason}. ${hint}`)
  })
  const callbacks = holdfast.events.on('callback.disabled', ({ integration, reason, hint }) => {
    output.note(`${integration}: ${reason}. ${hint}`)
  })
  const nested = holdfast.events.on('nested_retries.detected', ({ integration, hint }) => {
    output.note(`calls to ${integration} are retried by something else too. ${hint}`)
  })
  const trouble = holdfast.events.on('engine.trouble', ({ atMs, where, message }) => {
    const text = `trouble in ${where}: ${message}`
    if (atMs - (toldAtMs.get(text) ?? Number.NEGATIVE_INFINITY) < TROUBLE_AGAIN_MS) return
    toldAtMs.set(text, atMs)
    output.note(text)
  })
  return {
    [Symbol.dispose]() {
      credentials[Symbol.dispose]()
      callbacks[Symbol.dispose]()
      nested[Symbol.dispose]()
      trouble[Symbol.dispose]()
    },
  }
}

const TROUBLE_AGAIN_MS = 30_000

async function loadFor(host: Host, options: CommonOptions, purpose: Purpose): Promise<LoadedConfig> {
  const missingCredentials = purpose === 'look' ? ('allow' as const) : ('refuse' as const)
  if (options.demo) {
    const { demoConfig } = await import('./demo/demo-config.ts')
    const { resolveConfig } = await import('../config/resolve.ts')
    return resolveConfig(await demoConfig(options.store), { env: host.env, baseDirectory: host.directory })
  }
  const { loadConfig } = await import('../config/load.ts')
  const { BUILT_IN_PROFILES } = await import('../profiles/index.ts')
  try {
    return await loadConfig({
      directory: host.directory,
      env: host.env,
      missingCredentials,
      profiles: BUILT_IN_PROFILES,
      ...(options.config !== undefined && { file: options.config }),
      ...(options.store !== undefined && { store: options.store }),
    })
  } catch (error) {
    const storeIsEnough = options.store !== undefined && options.config === undefined && purpose === 'look'
    if (!storeIsEnough || !isHoldfastError(error) || error.code !== 'config_not_found') throw error
    const { resolveConfig } = await import('../config/resolve.ts')
    return resolveConfig({ store: options.store }, { env: host.env, baseDirectory: host.directory })
  }
}
