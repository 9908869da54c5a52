/** One SDK, Holdfast and a twin of its API over real sockets, with the integration that the documentation shows. */
import { integrations } from '../../../examples/sdks/clients.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import type { EventOf } from '../../../src/core/events.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { type Holdfast, type HoldfastError, holdfast, type NamedIntegration } from '../../../src/index.ts'
import { BUILT_IN_PROFILES } from '../../../src/profiles/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import type { TwinRoute } from '../../../src/testing/twin/route.ts'
import { startTwin, type Twin } from '../../../src/testing/twin/twin.ts'

export type Api = keyof typeof integrations
type Overrides = Partial<Omit<NamedIntegration, 'name'>>

export interface Bench extends AsyncDisposable {
  readonly hf: Holdfast
  /** The base URL of the integration, in the place of the vendor's. */
  readonly baseUrl: string
  readonly detected: EventOf<'nested_retries.detected'>[]
}

/** Much faster than anybody would want it in production, and otherwise as documented. */
const FAST: Overrides = {
  retry: { base: '5ms', cap: '20ms', maxAttempts: 3 },
  limits: { concurrency: 20 },
  breaker: { consecutiveFailures: 100, minimumCalls: 100, windowCalls: 100 },
  retryBudget: { minimumPerSecond: 100 },
}

export async function openBench(api: Api, origin: string, overrides: Overrides = {}): Promise<Bench> {
  const documented: Overrides = integrations[api]
  const profile = BUILT_IN_PROFILES.find(({ name }) => name === api)
  const { pathname } = new URL(profile?.baseUrl ?? '')
  const baseUrl = origin + pathname.replace(/\/$/, '')
  const hf = await holdfast({
    store: 'sqlite::memory:',
    integrations: { [api]: { ...documented, ...FAST, ...overrides, baseUrl } },
  })
  const detected: Bench['detected'] = []
  hf.events.on('nested_retries.detected', (event) => detected.push(event))
  return { hf, baseUrl, detected, [Symbol.asyncDispose]: () => hf.close() }
}

export interface TwinBench extends Bench {
  readonly twin: Twin
}

export async function openTwinBench(api: Api, routes: readonly TwinRoute[], overrides?: Overrides): Promise<TwinBench> {
  const twin = await startTwin({ clock: systemClock, random: seededRandom(api), routes })
  const bench = await openBench(api, twin.url, overrides)
  return {
    ...bench,
    twin,
    async [Symbol.asyncDispose]() {
      await bench.hf.close()
      await twin.close()
    },
  }
}

/** What SDKs make of the error below theirs: each keeps it in a place of its own. */
const PLACES_OF_CAUSES = ['cause', 'detail', 'original', 'exception', 'raw']

/** The error of Holdfast inside the error of an SDK. */
export function holdfastErrorIn(error: unknown, depth = 0): HoldfastError | undefined {
  if (isHoldfastError(error)) return error
  if (typeof error !== 'object' || error === null || depth > 5) return undefined
  for (const place of PLACES_OF_CAUSES) {
    const found = holdfastErrorIn((error as Record<string, unknown>)[place], depth + 1)
    if (found) return found
  }
  return undefined
}

/** What a call threw. */
export async function thrownBy(promise: PromiseLike<unknown>): Promise<Record<string, unknown> & Error> {
  try {
    await promise
  } catch (error) {
    return error as Record<string, unknown> & Error
  }
  throw new Error('expected it to fail')
}

const quiet = () => {}
/** For SDKs that log every failure. */
export const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet }
