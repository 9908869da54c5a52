/** Waits for what happens, and notices when nothing does. */
import type { Clock } from '../../src/core/clock.ts'

/** Without anything new done: then something hangs. */
const PATIENCE_MS = 180_000

export interface Watch {
  /** An effect at the twin. */
  moved(): void
  changed(): void
  onChange(listener: () => void): void
  until(predicate: () => boolean): Promise<void>
  /** Ends the trial with this error. */
  fail(error: unknown): void
  throwIfStuck(): void
  stop(): void
}

export function createWatch(clock: Clock, signal: AbortSignal | undefined): Watch {
  const failing = Promise.withResolvers<never>()
  failing.promise.catch(() => {})
  let failure: unknown
  let wasDoneMs = clock.monotonicMs()
  let listener = (): void => {}
  const waiting = new Set<() => void>()

  function fail(error: unknown): void {
    failure ??= error
    failing.reject(error)
  }
  function changed(): void {
    listener()
    for (const look of waiting) look()
  }
  function throwIfStuck(): void {
    if (failure !== undefined) throw failure
    signal?.throwIfAborted()
    const idleMs = clock.monotonicMs() - wasDoneMs
    if (idleMs > PATIENCE_MS) throw new Error(`Nothing was done for ${Math.round(idleMs / 1000)} s: something hangs`)
  }
  let timer = clock.setTimer(1000, tick)
  function tick(): void {
    try {
      throwIfStuck()
      timer = clock.setTimer(1000, tick)
    } catch (error) {
      fail(error)
    }
  }

  return {
    moved() {
      wasDoneMs = clock.monotonicMs()
      changed()
    },
    changed,
    onChange(other) {
      listener = other
    },
    async until(predicate) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const look = (): void => {
        if (predicate()) resolve()
      }
      waiting.add(look)
      look()
      await Promise.race([promise, failing.promise]).finally(() => waiting.delete(look))
    },
    fail,
    throwIfStuck,
    stop: () => timer.cancel(),
  }
}
