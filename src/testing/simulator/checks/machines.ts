/** Machines and the processes on them: who runs, by which clock, and under which settings. */
import { resolveConfig } from '../../../config/resolve.ts'
import type { WrittenIntegration } from '../../../config/schema.ts'
import type { BreakerSettings, IntegrationSettings } from '../../../config/settings.ts'
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from '../../../engine/defaults.ts'
import { createVirtualClock } from '../../virtual-clock.ts'
import type { Fact } from '../fact.ts'
import type { MachinePlan, Scenario, TroublePlan } from '../scenario.ts'

export interface Machines {
  observe(fact: Fact): void
  isRunning(process: string): boolean
  running(): Iterable<string>
  /** What the wall clock of a process shows at a true time. */
  wallMs(process: string, atMs: number): number
  /** True time at which the wall clock of a process shows this; as its clock goes now. */
  trueMs(process: string, wallMs: number): number
  /** True time, and all by which the clock of a process was ever set ahead: what waits for a time of that clock has waited so long. */
  waitedMs(process: string, atMs: number): number
  /** How far the clocks of two machines have ever been apart. */
  readonly spreadMs: number
  settings(process: string): EngineSettings
  integration(process: string, api: string): IntegrationSettings | undefined
  plan(process: string): MachinePlan | undefined
}

/** When simulated worlds begin. */
const START_MS = createVirtualClock().wallMs()

export function followMachines(scenario: Scenario): Machines {
  const plans = new Map(scenario.machines.map((machine) => [machine.name, machine]))
  const aheadMs = new Map(scenario.machines.map(({ name, skewMs }) => [name, skewMs]))
  const jumpedAheadMs = new Map<string, number>()
  const settings = new Map(
    scenario.machines.map((machine) => [machine.name, { ...DEFAULT_ENGINE_SETTINGS, ...machine.settings }]),
  )
  const running = new Map<string, Integrations>()
  const jumped = new Set<TroublePlan>()
  const written = new Map<string, WrittenIntegration>(scenario.apis.map(({ name, integration }) => [name, integration]))
  let config = resolve(scenario, written)
  let widestMs = spread(aheadMs)

  function onTrouble(trouble: TroublePlan): void {
    if (jumped.has(trouble)) return
    if (trouble.kind === 'clock_jump') {
      for (const machine of trouble.machine === undefined ? aheadMs.keys() : [trouble.machine]) {
        aheadMs.set(machine, (aheadMs.get(machine) ?? 0) + trouble.byMs)
        jumpedAheadMs.set(machine, (jumpedAheadMs.get(machine) ?? 0) + Math.max(0, trouble.byMs))
      }
      // A jump that all make at once moves each of them by itself, too.
      widestMs = Math.max(widestMs, spread(aheadMs), Math.abs(trouble.byMs))
      jumped.add(trouble)
    }
    if (trouble.kind === 'rolling_restart' && trouble.config) {
      for (const [name, change] of Object.entries(trouble.config)) {
        const known = written.get(name)
        if (known) written.set(name, { ...known, ...change })
      }
      config = resolve(scenario, written)
      jumped.add(trouble)
    }
  }

  const offsetMs = (process: string): number => START_MS + (aheadMs.get(machineOf(process)) ?? 0)
  return {
    observe(fact) {
      if (fact.kind === 'process_started') running.set(fact.process, config)
      else if (fact.kind === 'process_ended') running.delete(fact.process)
      else if (fact.kind === 'trouble') onTrouble(fact.trouble)
    },
    isRunning: (process) => running.has(process),
    running: () => running.keys(),
    wallMs: (process, atMs) => atMs + offsetMs(process),
    trueMs: (process, wallMs) => wallMs - offsetMs(process),
    waitedMs: (process, atMs) => atMs + (jumpedAheadMs.get(machineOf(process)) ?? 0),
    get spreadMs() {
      return widestMs
    },
    settings: (process) => settings.get(machineOf(process)) ?? DEFAULT_ENGINE_SETTINGS,
    integration: (process, api) => (running.get(process) ?? config).get(api),
    plan: (process) => plans.get(machineOf(process)),
  }
}

/** `m1#3` runs on `m1`. */
export function machineOf(process: string): string {
  return process.slice(0, process.lastIndexOf('#'))
}

/** The breakers a call passes, each with its settings: the whole API, the endpoint, the tenant at the endpoint. */
export function breakersOf(
  integration: IntegrationSettings,
  endpoint: string,
  tenant: string,
): readonly { readonly key: string; readonly settings: BreakerSettings }[] {
  const settings = integration.endpoints[endpoint]?.breaker ?? integration.defaults.breaker
  const ofEndpoint = `${integration.name}:${endpoint}`
  return [
    { key: integration.name, settings: integration.defaults.breaker },
    { key: ofEndpoint, settings },
    { key: `${ofEndpoint}@${tenant}`, settings },
  ]
}

type Integrations = ReadonlyMap<string, IntegrationSettings>

/** Several checks follow the same machines: what the same words mean is worked out once. */
const resolved = new WeakMap<Scenario, Map<string, Integrations>>()

function resolve(scenario: Scenario, written: ReadonlyMap<string, WrittenIntegration>): Integrations {
  const known = resolved.get(scenario) ?? new Map<string, Integrations>()
  resolved.set(scenario, known)
  const words = JSON.stringify([...written])
  const integrations = known.get(words) ?? resolveAnew(written)
  known.set(words, integrations)
  return integrations
}

function resolveAnew(written: ReadonlyMap<string, WrittenIntegration>): Integrations {
  const { integrations } = resolveConfig({ integrations: Object.fromEntries(written) }, { env: {}, baseDirectory: '/' })
  return new Map(integrations.map((integration) => [integration.name, integration]))
}

function spread(values: ReadonlyMap<string, number>): number {
  const all = [0, ...values.values()]
  return Math.max(...all) - Math.min(...all)
}
