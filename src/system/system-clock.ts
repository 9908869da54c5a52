import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from '../core/clock.ts'

/** Node fires a timer of more than this at once, with only a warning; longer waits are made of several. */
const LONGEST_TIMEOUT_MS = 2_147_483_647

/** The machine's own clock: with `systemRandom` the only place of Holdfast that reads it. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep,
  setTimer: (delayMs, callback) => startTimer(delayMs, callback, false),
  nextTurn: (callback) => {
    setImmediate(callback)
  },
}

function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const timer = startTimer(delayMs, finish, true)

    function finish(): void {
      // A long-lived signal sees many sleeps: each takes its listener away again.
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    function abort(): void {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}

function startTimer(delayMs: number, callback: () => void, holdsProcessOpen: boolean): Timer {
  let leftMs = Math.max(0, delayMs)
  let handle: NodeJS.Timeout

  function arm(): void {
    const pieceMs = Math.min(leftMs, LONGEST_TIMEOUT_MS)
    leftMs -= pieceMs
    handle = setTimeout(() => (leftMs > 0 ? arm() : callback()), pieceMs)
    if (!holdsProcessOpen) handle.unref()
  }

  arm()
  return { cancel: () => clearTimeout(handle) }
}
