/**
 * The only source of time. Nothing below the entry points reads the machine's clock or sets a timer by itself, so that
 * the engine that serves production also runs on virtual time (design.md, rule 8).
 */
export interface Clock {
  /** Wall-clock time in whole milliseconds since the epoch. May jump. Use it for anything that is stored or shown. */
  wallMs(): number
  /** Monotonic time in milliseconds (fractions allowed) from an arbitrary origin. Use it to measure elapsed time. */
  monotonicMs(): number
  /** Resolves after `delayMs`; rejects with `signal.reason` as soon as `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /**
   * Calls `callback` once after `delayMs`. Such a timer does not hold the process open.
   */
  setTimer(delayMs: number, callback: () => void): Timer
  /** Calls `callback` after the current turn of the event loop: where group commits are flushed. */
  nextTurn(callback: () => void): void
}

export interface Timer {
  /** Idempotent. After it returns, the callback does not run. */
  cancel(): void
}
