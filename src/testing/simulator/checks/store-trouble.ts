/** Which machines could not rely on the store, or stood still, and for how long they have been well again. */
import type { Fact } from '../fact.ts'
import { machineOf } from './machines.ts'

export interface StoreTroubles {
  observe(fact: Fact): void
  /** For how long nothing has troubled the machine. */
  wellForMs(machine: string, atMs: number): number
}

export function followStoreTrouble(): StoreTroubles {
  /** Troubles that last, by machine: of the store, or a process that stands still. */
  const active = new Map<string, Set<unknown>>()
  const endedAtMs = new Map<string, number>()

  function begin(machine: string, what: unknown): void {
    active.set(machine, (active.get(machine) ?? new Set()).add(what))
  }

  function end(machine: string, what: unknown, atMs: number): void {
    active.get(machine)?.delete(what)
    endedAtMs.set(machine, atMs)
  }

  return {
    observe(fact) {
      if (fact.kind === 'trouble' && fact.trouble.kind === 'store') {
        if (fact.what === 'began') begin(fact.trouble.machine, fact.trouble)
        if (fact.what === 'ended') end(fact.trouble.machine, fact.trouble, fact.atMs)
      } else if (fact.kind === 'process_frozen') begin(machineOf(fact.process), fact.process)
      else if (fact.kind === 'process_woken' || fact.kind === 'process_ended' || fact.kind === 'process_started') {
        end(machineOf(fact.process), fact.process, fact.atMs)
      } else if (fact.kind === 'quiet') {
        for (const machine of active.keys()) endedAtMs.set(machine, fact.atMs)
        active.clear()
      }
    },
    wellForMs(machine, atMs) {
      return active.get(machine)?.size ? 0 : atMs - (endedAtMs.get(machine) ?? 0)
    },
  }
}
