import type { Clock, Timer } from '../../core/clock.ts'
import type { ProcessGate } from './process-gate.ts'

/** The clock of one machine: true time, and how far its wall clock is off. */
export interface MachineTime {
  aheadMs: number
}

export interface ProcessClock extends Clock {
  /** The process is gone: its timers are too. */
  stop(): void
}

/** Time as one process sees it: nothing reaches it while it is frozen, and its wall clock is its machine's. */
export function createProcessClock(trueClock: Clock, time: MachineTime, gate: ProcessGate): ProcessClock {
  const timers = new Set<Timer>()

  function setTimer(delayMs: number, callback: () => void): Timer {
    let cancelled = false
    const timer = trueClock.setTimer(delayMs, () => {
      timers.delete(timer)
      gate.enter(() => {
        if (!cancelled) callback()
      })
    })
    timers.add(timer)
    return {
      cancel() {
        cancelled = true
        timers.delete(timer)
        timer.cancel()
      },
    }
  }

  function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const abort = (): void => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = setTimer(delayMs, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  return {
    wallMs: () => Math.floor(trueClock.wallMs() + time.aheadMs),
    monotonicMs: () => trueClock.monotonicMs(),
    setTimer,
    sleep,
    nextTurn: (callback) => trueClock.nextTurn(() => gate.enter(callback)),
    stop() {
      for (const timer of timers) timer.cancel()
      timers.clear()
    },
  }
}
