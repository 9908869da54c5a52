/** A machine of a simulated world: a wall clock, and one process at a time. */

import type { SimulatedProcess } from './process.ts'
import type { MachineTime } from './process-clock.ts'
import type { MachinePlan } from './scenario.ts'

export type HowEnded = 'crashed' | 'stopped'
export type OnEnd = (how: HowEnded) => void

export interface Machine {
  readonly plan: MachinePlan
  readonly time: MachineTime
  /** Undefined while it is down. */
  readonly process: SimulatedProcess | undefined
  /** Starts a process where none runs. */
  start(): Promise<void>
  /** Calls back once, as soon as the process that runs now has ended. */
  onceEnded(callback: OnEnd): void
}

export type StartProcess = (name: string, time: MachineTime, onEnd: OnEnd) => Promise<SimulatedProcess>

export function createMachine(plan: MachinePlan, startProcess: StartProcess): Machine {
  const time: MachineTime = { aheadMs: plan.skewMs }
  let process: SimulatedProcess | undefined
  let starts = 0
  let starting: Promise<void> | undefined
  let waiting: OnEnd[] = []

  async function startNext(): Promise<void> {
    starts += 1
    process = await startProcess(`${plan.name}#${starts}`, time, (how) => {
      process = undefined
      const called = waiting
      waiting = []
      for (const callback of called) callback(how)
    })
  }

  return {
    plan,
    time,
    get process() {
      return process
    },
    start() {
      if (process) return Promise.resolve()
      // After a crash in the middle of a rolling restart, both want it to run again.
      starting ??= startNext().finally(() => {
        starting = undefined
      })
      return starting
    },
    onceEnded: (callback) => void waiting.push(callback),
  }
}
