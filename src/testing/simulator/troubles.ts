/** Lets the planned troubles happen at their times, and end. */

import type { ClockTrouble, CrashPlan, FreezePlan, RestartPlan, TroublePlan, WakeUpTrouble } from './scenario.ts'
import type { Machine, World } from './world.ts'

/** Everything is planned at once; the world's clock does the rest. */
export function planTroubles(world: World): void {
  for (const trouble of world.scenario.troubles) {
    world.clock.setTimer(trouble.atMs, () => begin(world, trouble))
  }
}

/** Nothing goes wrong from now on: what still stands frozen wakes, what is down starts. */
export async function endTroubles(world: World): Promise<void> {
  world.wakeUps.onLost = undefined
  world.storeTroubles.clear()
  world.apis.calm()
  for (const machine of world.machines.values()) {
    machine.process?.gate.spare()
    if (machine.process?.gate.state === 'frozen') wake(world, machine)
    await machine.start()
  }
}

function begin(world: World, trouble: TroublePlan): void {
  world.record({ kind: 'trouble', what: 'began', trouble })
  switch (trouble.kind) {
    case 'network':
    case 'api':
      during(world, trouble, trouble.lastsMs, world.apis.disturb(trouble))
      break
    case 'store':
      world.storeTroubles.add(trouble)
      during(world, trouble, trouble.lastsMs, () => void world.storeTroubles.delete(trouble))
      break
    case 'lost_wake_ups':
      loseWakeUps(world, trouble)
      break
    case 'clock_jump':
      jump(world, trouble)
      break
    case 'crash':
      crash(world, trouble)
      break
    case 'freeze':
      freeze(world, trouble)
      break
    case 'rolling_restart':
      restart(world, trouble).catch((error: unknown) => world.failures.push(error))
  }
}

function loseWakeUps(world: World, trouble: WakeUpTrouble): void {
  world.wakeUps.onLost = () => world.record({ kind: 'trouble', what: 'fired', trouble })
  during(world, trouble, trouble.lastsMs, () => {
    world.wakeUps.onLost = undefined
  })
}

function jump(world: World, trouble: ClockTrouble): void {
  for (const machine of world.machines.values()) {
    if (trouble.machine === undefined || trouble.machine === machine.plan.name) machine.time.aheadMs += trouble.byMs
  }
  world.record({ kind: 'trouble', what: 'fired', trouble })
}

function during(world: World, trouble: TroublePlan, lastsMs: number, end: () => void): void {
  world.clock.setTimer(lastsMs, () => {
    end()
    world.record({ kind: 'trouble', what: 'ended', trouble })
  })
}

function crash(world: World, trouble: CrashPlan): void {
  const machine = world.machines.get(trouble.machine)
  const process = machine?.process
  if (!machine || !process) return
  process.gate.dieAfter(trouble.crossings)
  machine.onceEnded((how) => {
    if (how !== 'crashed') return
    world.record({ kind: 'trouble', what: 'fired', trouble })
    world.clock.setTimer(trouble.downMs, () => void start(world, machine))
  })
}

function freeze(world: World, trouble: FreezePlan): void {
  const machine = world.machines.get(trouble.machine)
  const process = machine?.process
  if (!machine || process?.gate.state !== 'running') return
  process.gate.freeze()
  world.record({ kind: 'process_frozen', process: process.name })
  world.record({ kind: 'trouble', what: 'fired', trouble })
  world.clock.setTimer(trouble.lastsMs, () => {
    if (machine.process === process) wake(world, machine)
  })
}

function wake(world: World, { process }: Machine): void {
  if (process?.gate.state !== 'frozen') return
  world.record({ kind: 'process_woken', process: process.name })
  process.gate.wake()
}

/** One after the other, as a careful deployment does. */
async function restart(world: World, trouble: RestartPlan): Promise<void> {
  if (trouble.config) world.reconfigure(trouble.config)
  for (const machine of world.machines.values()) {
    const process = machine.process
    if (!process) continue
    const ended = new Promise<unknown>((resolve) => machine.onceEnded(resolve))
    process.stop(trouble.graceMs).catch((error: unknown) => world.failures.push(error))
    await ended
    world.record({ kind: 'trouble', what: 'fired', trouble })
    await world.clock.sleep(trouble.downMs)
    await start(world, machine)
  }
}

async function start(world: World, machine: Machine): Promise<void> {
  await machine.start().catch((error: unknown) => world.failures.push(error))
}
