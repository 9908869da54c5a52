/** For tests of one's own pipelines: everything real but time, chance, sockets and the vendors. */
import type { ConfigInput } from '../../config/define.ts'
import type { LoadedConfig } from '../../config/loaded.ts'
import { didYouMean } from '../../config/nearest.ts'
import { resolveConfig } from '../../config/resolve.ts'
import { type Duration, durationMs, formatDuration } from '../../core/duration.ts'
import { configurationError, HoldfastError } from '../../core/errors.ts'
import type { HoldfastEvent } from '../../core/events.ts'
import { seededRandom } from '../../core/random.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { AuditReport, Balance, BalanceFilter } from '../../ledger/port.ts'
import { openSqliteLedger, sharedMemoryPath } from '../../ledger/sqlite/index.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import {
  createSimulatedNetwork,
  type SimulatedNetwork,
  type SimulatedTwin,
  type SimulatedTwinOptions,
} from '../network/network.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import { startTestbedProcess, type TestbedProcess, type TestbedProcessParts } from './process.ts'

/** The pieces of a configuration that a testbed takes; a whole one may be spread into it. */
export interface TestbedOptions<Api extends string = string>
  extends Pick<ConfigInput, 'integrations' | 'profiles' | 'pipelines' | 'worker' | 'maxPayload'> {
  /** The twin of each integration, by its name; it is reached under the integration's own `baseUrl`. */
  readonly apis: Readonly<Record<Api, SimulatedTwinOptions>>
  /** What `${NAME}` in the configuration stands for. Default nothing; credentials may then be missing. */
  readonly env?: Readonly<Record<string, string>>
  /** Decides all chance: latencies, jitter, ids, shares of faults. Default always the same. */
  readonly seed?: string
  /** What the clock shows at first. Default 2026-01-01T00:00:00Z. */
  readonly startMs?: number
}

export interface Testbed<Api extends string = string> extends AsyncDisposable {
  /**
   * The Holdfast under test, with one worker at work. What it promises without waiting for time (`submit`, `operations`)
   * can be awaited as it is; the rest within `run`.
   * @throws HoldfastError `process_killed` between `kill` and `restart`.
   */
  readonly hf: Holdfast
  readonly twins: Readonly<Record<Api, SimulatedTwin>>
  readonly network: SimulatedNetwork
  readonly clock: VirtualClock
  /** All that has happened so far, in order, of all processes. */
  readonly events: readonly HoldfastEvent[]
  /** Lets time pass until `work` is done, and hands over its result or its error: `run(hf.client('crm').get('/contacts'))`. */
  run<Value>(work: Promise<Value>): Promise<Value>
  /** Lets this much time pass, with everything that falls due meanwhile. */
  advance(duration: Duration): Promise<void>
  /**
   * Lets time pass until nothing can move any more without a person.
   * @throws HoldfastError `testbed_not_drained` where something still moves after `limit` (default 1d): an outage that
   *   nobody ends, for example.
   */
  drain(limit?: Duration): Promise<Balance>
  /** Where all records are, now. */
  balance(filter?: BalanceFilter): Promise<Balance>
  /** @throws HoldfastError `books_do_not_balance`, naming each check that failed. `close` does this too. */
  audit(): Promise<AuditReport>
  /** The process is gone at once, as by SIGKILL: what is on its way arrives, and nobody will hear the answer. Call it from a twin's `onEffect` to lose exactly the answer. */
  kill(): void
  /** A new process on the same store; `kill`s the old one where it still lives. */
  restart(): Promise<void>
  /** Ends with the audit. Idempotent. */
  close(): Promise<void>
}

/** Wake-ups do the work in a single process; asking the store seldom lets virtual hours pass quickly. */
const POLL: Duration = '5s'
let testbeds = 0

/**
 * A Holdfast on virtual time, with a store in memory and twins in the place of its APIs: an hour's outage takes a second
 * or two, and every run is the same.
 * @throws HoldfastError `invalid_config`, `unknown_integration` for an API that no integration has the name of
 */
export async function createTestbed<const Api extends string>(options: TestbedOptions<Api>): Promise<Testbed<Api>> {
  const seed = options.seed ?? 'testbed'
  const clock = createVirtualClock(options.startMs === undefined ? {} : { startMs: options.startMs })
  const config = configOf(options)
  const network = createSimulatedNetwork({ clock, random: seededRandom(`${seed}:network`) })
  const twins = createTwins(options, config, network)
  // The keeper's connection holds the store while no process lives, and looks at it from outside.
  const storePath = sharedMemoryPath(`testbed ${testbeds++}`)
  const keeper = await openSqliteLedger({ path: storePath, clock })
  const events: HoldfastEvent[] = []
  let processes = 0
  let process = await start()
  let closing: Promise<void> | undefined

  async function start(): Promise<TestbedProcess> {
    const random = seededRandom(`${seed}:process ${++processes}`)
    const parts: TestbedProcessParts = { clock, random, network, storePath, config }
    const started = await startTestbedProcess(parts)
    started.hf.events.on('*', (event) => events.push(event))
    return started
  }

  function living(): Holdfast {
    if (process.alive) return process.hf
    throw configurationError('process_killed', 'The process of this testbed was killed', 'Call `restart()` first.')
  }

  async function drain(limit: Duration = '1d'): Promise<Balance> {
    const tooLong = new AbortController()
    const timer = clock.setTimer(durationMs(limit), () => tooLong.abort(notDrained(limit)))
    try {
      return await clock.runUntil(living().drain({ signal: tooLong.signal }))
    } finally {
      timer.cancel()
    }
  }

  async function audit(): Promise<AuditReport> {
    const report = await clock.runUntil(keeper.audit())
    if (report.balanced) return report
    throw unbalanced(report)
  }

  async function close(): Promise<void> {
    if (process.alive) await clock.runUntil(process.hf.close())
    process.die()
    try {
      await audit()
    } finally {
      await clock.runUntil(keeper.close())
    }
  }

  const testbed: Testbed<Api> = {
    get hf() {
      return living()
    },
    twins,
    network,
    clock,
    events,
    run: (work) => clock.runUntil(work),
    advance: (duration) => clock.advance(durationMs(duration)),
    drain,
    balance: (filter = {}) => clock.runUntil(keeper.balance(filter)),
    audit,
    kill: () => process.die(),
    async restart() {
      process.die()
      process = await clock.runUntil(start())
    },
    close() {
      closing ??= close()
      return closing
    },
    [Symbol.asyncDispose]: () => testbed.close(),
  }
  return testbed
}

function configOf({ integrations, profiles, pipelines, worker, maxPayload, env = {} }: TestbedOptions): LoadedConfig {
  const given = {
    ...(integrations && { integrations }),
    ...(profiles && { profiles }),
    ...(pipelines && { pipelines }),
    worker: { poll: POLL, ...worker },
    ...(maxPayload !== undefined && { maxPayload }),
  }
  return resolveConfig(given, { env, baseDirectory: '/', missingCredentials: 'allow', profiles: BUILT_IN_PROFILES })
}

function createTwins<Api extends string>(
  { apis }: TestbedOptions<Api>,
  { integrations }: LoadedConfig,
  network: SimulatedNetwork,
): Record<Api, SimulatedTwin> {
  const names = integrations.map(({ name }) => name)
  const twins = Object.entries<SimulatedTwinOptions>(apis).map(([name, options]) => {
    const integration = integrations.find((candidate) => candidate.name === name)
    if (integration) return [name, network.twin(integration.baseUrl, { name, ...options })] as const
    throw configurationError(
      'unknown_integration',
      `apis.${name}: there is no integration of this name${didYouMean(name, names)}`,
      `The integrations are: ${names.join(', ') || 'none'}.`,
    )
  })
  return Object.fromEntries(twins) as Record<Api, SimulatedTwin>
}

function notDrained(limit: Duration): HoldfastError {
  return configurationError(
    'testbed_not_drained',
    `After ${formatDuration(durationMs(limit))} of virtual time something can still move`,
    'End the outage or the fault it waits for, or give `drain` more time; `balance()` says what there is.',
  )
}

function unbalanced(report: AuditReport): HoldfastError {
  const failed = report.checks.filter(({ violations }) => violations > 0)
  return new HoldfastError({
    code: 'books_do_not_balance',
    class: 'configuration',
    message: `The books do not balance: ${failed.map(({ name, examples }) => `${name} (${examples.join(', ')})`).join('; ')}`,
    hint: 'This is a bug of Holdfast itself: please report it with this test.',
    details: { checks: failed },
  })
}
