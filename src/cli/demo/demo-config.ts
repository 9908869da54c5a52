/** The built-in configuration behind `holdfast demo` and every command with `--demo`. */
import { join, resolve } from 'node:path'
import type { ConfigInput } from '../../config/define.ts'
import { configurationError } from '../../core/errors.ts'
import { DEMO_STORE, demoStore } from './demo-store.ts'
import { onboardLead } from './pipeline.ts'
import { type DemoPorts, readPorts, restartTwins } from './twins.ts'

/** Where the demo keeps its ledger and what its APIs did. */
export const DEMO_DIRECTORY = '.holdfast/demo'

/** Set in processes that the running demo starts: the twins are its own. */
export const TWINS_RUNNING = 'HOLDFAST_DEMO_TWINS_RUNNING'

/**
 * @throws HoldfastError `no_demo` where no demo has run in this directory.
 */
export async function demoConfig(
  store: string | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ConfigInput> {
  const directory = resolve(DEMO_DIRECTORY)
  const ports = readPorts(directory)
  if (!ports) {
    throw configurationError(
      'no_demo',
      'No demo has run in this directory',
      'Run `npm run demo` (or `holdfast demo`) first; its data stays for you to work with.',
    )
  }
  // Inside a running demo its store is there already.
  const known = environment[DEMO_STORE]
  const kept = known === undefined ? await demoStore(directory, store) : undefined
  return {
    ...demoConfigFor(directory, ports, known ?? kept?.url),
    async setup() {
      const stop = await kept?.start(false)
      const twins = environment[TWINS_RUNNING] ? undefined : await restartTwins(directory, ports)
      return async () => {
        await twins?.[Symbol.asyncDispose]()
        await stop?.()
      }
    },
  }
}

export function demoConfigFor(directory: string, ports: DemoPorts, store: string | undefined): ConfigInput {
  const url = (port: number) => `http://127.0.0.1:${port}`
  // Everything is quicker than in production, so that minutes of trouble fit into half a minute.
  const quick = {
    timeouts: { connect: '1s', headers: '2s', body: '2s', total: '3s' },
    retry: { base: '200ms', cap: '2s', maxAttempts: 10 },
    breaker: { open: '1s', maxOpen: '2s', rampStep: '500ms', probeLease: '5s' },
  } as const
  return {
    store: store ?? `sqlite:${join(directory, 'demo.db')}`,
    integrations: {
      enrichment: { baseUrl: url(ports.enrichment), ...quick, limits: { concurrency: 16 } },
      crm: { baseUrl: url(ports.crm), ...quick, limits: { concurrency: 16 } },
      sequencer: { baseUrl: url(ports.sequencer), ...quick, limits: { concurrency: 16 } },
    },
    pipelines: [onboardLead],
    worker: { lease: '3s', poll: '100ms' },
  }
}
