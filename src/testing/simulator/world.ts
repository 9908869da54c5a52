/** A simulated world: one true time, one store, one network with its vendors, and machines on which processes come and go. */
import { resolveConfig } from '../../config/resolve.ts'
import type { WrittenIntegration } from '../../config/schema.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import { type Random, seededRandom } from '../../core/random.ts'
import type { AnyPipeline } from '../../engine/pipelines/pipeline.ts'
import { openSharedStore } from '../../ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import { createApis, type SimulatedApis } from './apis.ts'
import { buildPipelines } from './build-pipelines.ts'
import type { WorldView } from './checks/check.ts'
import type { Fact, FactBody } from './fact.ts'
import { createMachine, type Machine, type OnEnd } from './machine.ts'
import { type InsideProcess, type SimulatedProcess, startProcess } from './process.ts'
import type { MachineTime } from './process-clock.ts'
import type { MachinePlan, Scenario, StoreTrouble } from './scenario.ts'
import { createSpectator, type Spectator } from './spectator.ts'
import { createWakeUps, type WakeUps } from './wake-ups.ts'

export type { Machine } from './machine.ts'

export interface World extends AsyncDisposable {
  readonly scenario: Scenario
  readonly clock: VirtualClock
  readonly apis: SimulatedApis
  readonly machines: ReadonlyMap<string, Machine>
  readonly wakeUps: WakeUps
  readonly storeTroubles: Set<StoreTrouble>
  /** What the world itself could not do, or what a process threw where nothing should be thrown. */
  readonly failures: unknown[]
  /** Opens the store and starts all machines. */
  start(): Promise<void>
  record(fact: FactBody): void
  /** Changes what processes started from now on are told about an integration. */
  reconfigure(changes: Readonly<Record<string, Partial<WrittenIntegration>>>): void
  view(): WorldView
}

export function createWorld(scenario: Scenario, observe: (fact: Fact) => void): World {
  return new SimulatedWorld(scenario, observe)
}

class SimulatedWorld implements World {
  readonly scenario: Scenario
  readonly clock = createVirtualClock({ alone: true })
  readonly apis: SimulatedApis
  readonly machines = new Map<string, Machine>()
  readonly wakeUps: WakeUps
  readonly storeTroubles = new Set<StoreTrouble>()
  readonly failures: unknown[] = []
  readonly #observe: (fact: Fact) => void
  readonly #config: Map<string, WrittenIntegration>
  /** Resolved; dropped when the configuration changes. */
  #resolved: readonly IntegrationSettings[] | undefined
  readonly #storeChance: Random
  readonly #store = openSharedStore()
  #spectator: Spectator | undefined
  #isOver = false
  #facts = 0
  #calls = 0

  constructor(scenario: Scenario, observe: (fact: Fact) => void) {
    this.scenario = scenario
    this.#observe = observe
    this.#config = new Map(scenario.apis.map(({ name, integration }) => [name, integration]))
    this.#storeChance = this.#random('store')
    this.wakeUps = createWakeUps(this.clock, this.#random('wake-ups'))
    this.apis = createApis({
      scenario,
      clock: this.clock,
      random: (purpose) => this.#random(purpose),
      record: (fact) => this.record(fact),
    })
  }

  async start(): Promise<void> {
    const { scenario, clock } = this
    this.#spectator = createSpectator({
      scenario,
      clock,
      random: this.#random('spectator'),
      ledger: this.#store.connect(clock),
      transport: this.apis.transport(clock, (arrival) => arrival()),
      integrations: this.#integrations(),
    })
    for (const plan of scenario.machines) {
      const machine = createMachine(plan, (name, time, onEnd) => this.#startProcess(plan, name, time, onEnd))
      this.machines.set(plan.name, machine)
      await machine.start()
    }
  }

  // Handed on by themselves, so bound.
  readonly record = (body: FactBody): void => {
    // The end of the world is not part of its story.
    if (this.#isOver) return
    this.#facts += 1
    this.#observe({ no: this.#facts, atMs: this.clock.monotonicMs(), ...body } as Fact)
  }

  reconfigure(changes: Readonly<Record<string, Partial<WrittenIntegration>>>): void {
    this.#resolved = undefined
    for (const [name, change] of Object.entries(changes)) {
      const known = this.#config.get(name)
      if (known) this.#config.set(name, { ...known, ...change })
    }
  }

  readonly view = (): WorldView => {
    if (!this.#spectator) throw new Error('The world has not been started')
    const { ledger, hf } = this.#spectator
    const { scenario, clock, apis } = this
    return { scenario, nowMs: clock.monotonicMs(), ledger, spectator: hf, effects: apis.effects() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    for (const machine of this.machines.values()) machine.process?.gate.die()
    if (this.#spectator) await this.clock.runUntil(this.#spectator.hf.close())
    this.#store[Symbol.dispose]()
  }

  /** Seeded by its purpose, so that more or less chance in one place changes nothing elsewhere. */
  #random(purpose: string): Random {
    return seededRandom(`${this.scenario.seed}:${purpose}`)
  }

  #integrations(): readonly IntegrationSettings[] {
    const integrations = Object.fromEntries(this.#config)
    this.#resolved ??= resolveConfig({ integrations }, { env: {}, baseDirectory: '/' }).integrations
    return this.#resolved
  }

  #startProcess(plan: MachinePlan, name: string, time: MachineTime, onEnd: OnEnd): Promise<SimulatedProcess> {
    const { clock, apis, wakeUps } = this
    return startProcess(name, plan, {
      seed: this.scenario.seed,
      clock,
      time,
      connect: this.#store.connect,
      network: apis.transport,
      apiOf: apis.nameOf,
      integrations: this.#integrations(),
      pipelines: (process) => this.#pipelinesOf(process),
      record: (fact) => this.record(fact),
      nextCall: () => {
        this.#calls += 1
        return this.#calls
      },
      storeTrouble: () => this.#storeTroubleOf(plan.name),
      watch: (listener) => wakeUps.watch(name, listener),
      wakeOthers: (where) => wakeUps.wakeOthers(name, where),
      onEnd: (how) => {
        wakeUps.forget(name)
        onEnd(how)
      },
    })
  }

  #pipelinesOf({ clock, gate, name }: InsideProcess): readonly AnyPipeline[] {
    return buildPipelines(this.scenario, {
      clock,
      random: this.#random(`code ${name}`),
      act: (itemId, api, key) => {
        if (gate.leave()) this.apis.act(api, key, itemId)
      },
      has: (api, key) => this.apis.has(api, key),
      note: (itemId, what) => {
        if (gate.state !== 'dead') this.record({ kind: 'code', process: name, itemId, what })
      },
    })
  }

  #storeTroubleOf(machine: string): StoreTrouble | undefined {
    for (const trouble of this.storeTroubles) {
      if (trouble.machine !== machine || this.#storeChance.next() >= trouble.share) continue
      this.record({ kind: 'trouble', what: 'fired', trouble })
      return trouble
    }
    return undefined
  }
}
