/** How processes hear that another one has made work due: late, coalesced, and sometimes not at all. */
import type { Clock } from '../../core/clock.ts'
import { type Random, randomBetween } from '../../core/random.ts'
import { together } from '../../ledger/hints.ts'
import type { Where } from '../../ledger/port.ts'

export interface WakeUps {
  watch(process: string, listener: (where: Where) => void): Disposable
  /** Hints at work to all processes but this one. */
  wakeOthers(than: string, where: Where): void
  forget(process: string): void
  /** While it is set, hints get lost; called for each of them. */
  onLost: (() => void) | undefined
}

/** As long as the real store's watcher may take. */
const DELAY_MS = [1, 200] as const

export function createWakeUps(clock: Clock, random: Random): WakeUps {
  const listeners = new Map<string, Set<(where: Where) => void>>()
  /** One hint on its way to each process is enough, as with the real watcher: it tells what came meanwhile too. */
  const told = new Map<string, { readonly where: Where }>()

  const wakeUps: WakeUps = {
    onLost: undefined,
    watch(process, listener) {
      const waiting = listeners.get(process) ?? new Set()
      listeners.set(process, waiting.add(listener))
      return { [Symbol.dispose]: () => waiting.delete(listener) }
    },
    wakeOthers(than, where) {
      if (wakeUps.onLost) {
        wakeUps.onLost()
        return
      }
      for (const [process, waiting] of listeners) {
        if (process === than || waiting.size === 0) continue
        const before = told.get(process)
        told.set(process, { where: before ? together(before.where, where) : where })
        if (before) continue
        clock.setTimer(randomBetween(random, ...DELAY_MS), () => {
          const all = told.get(process)?.where
          told.delete(process)
          for (const listener of waiting) listener(all)
        })
      }
    },
    forget: (process) => void listeners.delete(process),
  }
  return wakeUps
}
