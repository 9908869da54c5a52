/** Time that passes only where something sleeps, for tests of what waits on real files and servers. */
import { MessageChannel } from 'node:worker_threads'
import type { Clock } from '../../src/core/clock.ts'

/**
 * Every sleep is over at once, and time moves on by as much. The waiting that a lock needs is done by the store itself, in
 * real time, within each attempt.
 */
export function impatientClock(startMs = 1_767_225_600_000): Clock {
  let nowMs = 0
  const passing = async (delayMs: number): Promise<void> => {
    nowMs += delayMs
    await eventLoopTurn()
  }
  return {
    wallMs: () => startMs + nowMs,
    monotonicMs: () => nowMs,
    sleep: passing,
    setTimer(delayMs, callback) {
      let cancelled = false
      void passing(delayMs).then(() => {
        if (!cancelled) callback()
      })
      return {
        cancel: () => {
          cancelled = true
        },
      }
    },
    nextTurn: queueMicrotask,
  }
}

/** Through a message to ourselves: a turn of the real event loop without a timer. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.once('message', () => {
      port1.close()
      resolve()
    })
    port2.postMessage('next')
  })
}
