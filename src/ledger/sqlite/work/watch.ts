/** Notices, by a counter that SQLite keeps in shared memory, that another connection has committed something. */
import type { Clock, Timer } from '../../../core/clock.ts'
import type { Where } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Watcher {
  watch(listener: (where: Where) => void): Disposable
  stop(): void
}

/** A counter that moves with each commit of another connection. */
export function prepareVersion(database: Database): () => number | undefined {
  const selectVersion = prepare<{ data_version: number }>(database, 'PRAGMA data_version')
  return () => selectVersion.get()?.data_version
}

/** Reading the counter costs some microseconds: `everyMs` is how late a hint may come, and whoever cannot wait polls by itself. */
export function createWatcher(readVersion: () => number | undefined, clock: Clock, everyMs: number): Watcher {
  const listeners = new Set<(where: Where) => void>()
  let timer: Timer | undefined
  let lastVersion: number | undefined

  function look(): void {
    timer = clock.setTimer(everyMs, look)
    const version = readVersion()
    const changed = version !== lastVersion
    lastVersion = version
    if (changed) for (const listener of listeners) listener(undefined)
  }

  function stop(): void {
    timer?.cancel()
    timer = undefined
  }

  return {
    watch(callback) {
      // Its own function each time, so that the same callback may watch twice.
      const listener = (where: Where): void => callback(where)
      listeners.add(listener)
      if (!timer) {
        lastVersion = readVersion()
        timer = clock.setTimer(everyMs, look)
      }
      return {
        [Symbol.dispose]: () => {
          listeners.delete(listener)
          if (listeners.size === 0) stop()
        },
      }
    },
    stop: () => {
      listeners.clear()
      stop()
    },
  }
}
