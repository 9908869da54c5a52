/** How processes hear that another one has made work due: late, coalesced, and sometimes not at all. */
import type { Clock } from '../../core/clock.ts'
import { type Random, randomBetween } from '../../core/random.ts'

export interface WakeUps {
  watch(process: string, listener: () => void): Disposable
  /** Hints at work to all processes but this one. */
  wakeOthers(than: string): void
  forget(process: string): void
  /** While it is set, hints get lost; called for each of them. */
  onLost: (() => void) | undefined
}

/** As long as the real store's watcher may take. */
const DELAY_MS = [1, 200] as const

export function createWakeUps(clock: Clock, random: Random): WakeUps {
  const listeners = new Map<string, Set<() => void>>()
  /** One hint on its way to each process is enough, as with the real watcher. */
  const told = new Set<string>()

  const wakeUps: WakeUps = {
    onLost: undefined,
    watch(process, listener) {
      const waiting = listeners.get(process) ?? new Set()
      listeners.set(process, waiting.add(listener))
      return { [Symbol.dispose]: () => waiting.delete(listener) }
    },
    wakeOthers(than) {
      if (wakeUps.onLost) {
        wakeUps.onLost()
        return
      }
      for (const [process, waiting] of listeners) {
        if (process === than || told.has(process) || waiting.size === 0) continue
        told.add(process)
        clock.setTimer(randomBetween(random, ...DELAY_MS), () => {
          told.delete(process)
          for (const listener of waiting) listener()
        })
      }
    },
    forget: (process) => void listeners.delete(process),
  }
  return wakeUps
}
