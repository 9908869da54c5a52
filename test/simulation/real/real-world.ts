/** A scenario with nothing simulated: SQLite on disk, processes that get SIGKILL and SIGSTOP, twins behind sockets, real time. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../../src/core/random.ts'
import type { Holdfast } from '../../../src/engine/api.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import type { FaultInput } from '../../../src/testing/faults/fault.ts'
import { inputOf } from '../../../src/testing/simulator/record-input.ts'
import type {
  ApiTrouble,
  CrashPlan,
  FreezePlan,
  MachinePlan,
  NetworkTrouble,
  Scenario,
  TroublePlan,
} from '../../../src/testing/simulator/scenario.ts'
import { ERROR_IN_200, twinRoutes } from '../../../src/testing/simulator/twin-routes.ts'
import { startTwin, type Twin } from '../../../src/testing/twin/twin.ts'
import { openRealEngine, type RealOrder, type RealOrders, type RealReport } from './real-process.ts'

export interface RealWorld extends AsyncDisposable {
  readonly twins: ReadonlyMap<string, Twin>
  /** Submits and looks; does not work. */
  readonly holdfast: Holdfast
  readonly kills: number
  readonly freezes: number
  /**
   * Lives through everything planned, until nothing moves any more without a person.
   * @throws Error where a process ends that nobody has ended.
   */
  live(): Promise<void>
}

/** Told of a child process by itself. */
const STANDS = 'stands'
const PROGRAM = fileURLToPath(new URL('real-process.ts', import.meta.url))

interface Machine {
  readonly plan: MachinePlan
  child: ChildProcess
  crossings: number
  onCrossing: (() => void) | undefined
  frozen: boolean
}

export async function openRealWorld(scenario: Scenario, storePath: string): Promise<RealWorld> {
  const twins = new Map<string, Twin>()
  for (const { name, latencyMs } of scenario.apis) {
    const random = seededRandom(`${scenario.seed}:${name}`)
    twins.set(name, await startTwin({ clock: systemClock, random, routes: twinRoutes(), latency: latencyMs[1] }))
  }
  const urls = Object.fromEntries([...twins].map(([name, twin]) => [name, twin.url]))
  const orders = { scenario, storePath, urls }
  const [first] = scenario.machines
  if (!first) throw new Error('A scenario has a machine')
  const holdfast = await openRealEngine({ ...orders, machine: first })
  const machines = new Map<string, Machine>()
  const counts = { kills: 0, freezes: 0 }
  const broken = Promise.withResolvers<never>()
  let closing = false

  function killAll(): void {
    for (const { child } of machines.values()) child.kill('SIGKILL')
  }
  // Where a test runs out of time, nothing else cleans up.
  process.once('exit', killAll)

  function start(plan: MachinePlan): Machine {
    const machine: Machine = {
      plan,
      child: startProcess({ ...orders, machine: plan }),
      crossings: 0,
      onCrossing: undefined,
      frozen: false,
    }
    machine.child.once('exit', (code) => {
      if (code !== null && !closing)
        broken.reject(new Error(`The process on ${plan.name} ended by itself, with ${code}`))
    })
    machine.child.on('message', (report: RealReport) => {
      if (report === 'standing_still') {
        counts.freezes++
        machine.child.emit(STANDS)
      }
      if (report !== 'crossing') return
      machine.crossings++
      machine.onCrossing?.()
    })
    machines.set(plan.name, machine)
    return machine
  }

  async function crash({ machine: name, crossings, downMs }: CrashPlan): Promise<void> {
    const machine = machines.get(name)
    if (!machine || machine.child.signalCode !== null) return
    await crossed(machine, crossings)
    const { child, plan } = machine
    if (closing || machines.get(name) !== machine || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    counts.kills++
    await ended
    await systemClock.sleep(downMs)
    start(plan)
  }

  async function freeze({ machine: name, lastsMs }: FreezePlan): Promise<void> {
    const machine = machines.get(name)
    if (!machine?.child.connected || machine.frozen) return
    const { child } = machine
    machine.frozen = true
    // It may be dying at this moment, which is no error.
    child.send('stand_still' satisfies RealOrder, () => undefined)
    // Woken before it stands, it would stand for ever.
    await Promise.race([once(child, STANDS), once(child, 'exit')])
    await systemClock.sleep(lastsMs)
    child.kill('SIGCONT')
    machine.frozen = false
  }

  async function suffer(trouble: TroublePlan): Promise<void> {
    await systemClock.sleep(trouble.atMs)
    if (trouble.kind === 'crash') return crash(trouble)
    if (trouble.kind === 'freeze') return freeze(trouble)
    if (trouble.kind !== 'network' && trouble.kind !== 'api') return
    const twin = twins.get(trouble.api)
    if (!twin) return
    const period = await begin(twin, trouble)
    await systemClock.sleep(trouble.lastsMs)
    await period.end()
  }

  async function handIn(): Promise<void> {
    const submissions = scenario.submissions.map(async ({ atMs, pipeline, records }) => {
      await systemClock.sleep(atMs)
      await holdfast.submitMany(
        pipeline,
        records.map((record) => ({ input: inputOf(record), options: optionsOf(record) })),
      )
    })
    await Promise.all(submissions)
  }

  async function lived(): Promise<void> {
    const ready = scenario.machines.map((plan) => once(start(plan).child, 'message'))
    await Promise.all(ready)
    await Promise.all([handIn(), ...scenario.troubles.map(suffer)])
    await holdfast.drain()
  }

  async function close(): Promise<void> {
    closing = true
    process.off('exit', killAll)
    for (const { child } of machines.values()) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      child.kill('SIGKILL')
      await ended
    }
    await holdfast.close()
    for (const twin of twins.values()) await twin.close()
  }

  return {
    twins,
    holdfast,
    get kills() {
      return counts.kills
    },
    get freezes() {
      return counts.freezes
    },
    live: () => Promise.race([lived(), broken.promise]),
    [Symbol.asyncDispose]: close,
  }
}

function startProcess(orders: RealOrders): ChildProcess {
  return fork(PROGRAM, [JSON.stringify(orders)], {
    execArgv: [],
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: `${orders.storePath}-compiled` },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
}

/** So many things more have gone in or out; or it has nothing left to do, which is a moment as good as any. */
function crossed(machine: Machine, crossings: number): Promise<void> {
  const enough = machine.crossings + crossings
  return new Promise((resolve) => {
    const patience = systemClock.setTimer(LONGEST_WAIT_MS, resolve)
    machine.onCrossing = () => {
      if (machine.crossings < enough) return
      patience.cancel()
      resolve()
    }
  })
}

const LONGEST_WAIT_MS = 300

interface Period {
  end(): unknown
}

function begin(twin: Twin, trouble: NetworkTrouble | ApiTrouble): Promise<Period> | Period {
  if (trouble.what === 'outage' || trouble.what === 'refused' || trouble.what === 'flapping') return twin.outage()
  if (trouble.what === 'unavailable') return twin.outage({ mode: 'unavailable' })
  if (trouble.what === 'brown_out') return twin.brownOut({ share: trouble.share })
  const active = twin.disturb({ fault: FAULTS[trouble.what], probability: trouble.share })
  return { end: () => active[Symbol.dispose]() }
}

type RequestTrouble = Exclude<
  (NetworkTrouble | ApiTrouble)['what'],
  'outage' | 'refused' | 'flapping' | 'unavailable' | 'brown_out'
>

const FAULTS: Readonly<Record<RequestTrouble, FaultInput>> = {
  lost_request: 'hang',
  lost_answer: 'executed_then_hang',
  delayed: { kind: 'delay', delay: '200ms' },
  // What the network does twice is nobody's fault here, and would count as an effect done twice.
  duplicated: { kind: 'delay', delay: '50ms' },
  reset_before_reading: 'reset_before_reading',
  reset_before_executing: 'reset_before_executing',
  reset_after_executing: 'executed_then_reset',
  cut_in_the_answer: 'truncated_body',
  server_error: { kind: 'status', status: 500 },
  executed_then_error: { kind: 'executed_then_status', status: 502 },
  error_in_200: { kind: 'status', status: 200, body: ERROR_IN_200 },
  html: 'html_ok',
  malformed: 'malformed_json',
  empty: 'empty_body',
  hang: 'executed_then_hang',
  unauthorized: { kind: 'status', status: 503 },
  throttled: { kind: 'status', status: 429, headers: { 'retry-after': '0.1' } },
}

function optionsOf({ key, tenant, batch, labels }: Scenario['submissions'][number]['records'][number]) {
  return {
    ...(key !== undefined && { key }),
    ...(tenant !== undefined && { tenant }),
    ...(batch !== undefined && { batch }),
    ...(labels && { labels }),
  }
}
