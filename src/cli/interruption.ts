/** Ctrl-C: said at once, work under way may end, a second one ends everything. Nothing is lost either way. */
import type { Clock } from '../core/clock.ts'
import { EXIT } from './exit-codes.ts'
import type { Host } from './host.ts'

export interface Interruption extends Disposable {
  /** Aborts at the first Ctrl-C. */
  readonly signal: AbortSignal
}

/** How long calls under way may take to end before they are given back. */
export const GRACE_MS = 5000

const HOUR_MS = 3_600_000

export function listenForInterrupt(host: Host, message: string): Interruption {
  const controller = new AbortController()
  const listening = host.onInterrupt(() => {
    if (controller.signal.aborted) host.exit(EXIT.interrupted)
    host.stderr.write(`\n${message} (Ctrl-C again: at once)\n`)
    controller.abort()
  })
  return { signal: controller.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() }
}

/** Waits for Ctrl-C. A sleep, unlike a listener, holds the process open. */
export async function untilInterrupted(clock: Clock, signal: AbortSignal): Promise<void> {
  await unlessInterrupted(signal, async () => {
    for (;;) await clock.sleep(HOUR_MS, signal)
  })
}

/** What `work` gives, or `undefined` where Ctrl-C ended it: that is no error. */
export async function unlessInterrupted<Result>(
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}
