/**
 * Time that moves only when told to: a simulated week passes in seconds, and the same program gives the same run every
 * time (design.md, rule 8).
 */
import { nextTick } from 'node:process'
import { setImmediate as nextEventLoopTurn } from 'node:timers'
import type { Clock, Timer } from '../core/clock.ts'
import { configurationError, type HoldfastError } from '../core/errors.ts'
import { createTimerQueue } from './timer-queue.ts'

/** 2026-01-01T00:00:00Z: fixed, so that runs without a `startMs` are equal too. */
const DEFAULT_START_MS = Date.UTC(2026, 0, 1)
/** More timers than this without time moving on is a loop of zero delays. */
const MOST_TIMERS_PER_INSTANT = 100_000
const DEFAULT_IDLE_LIMIT_MS = 7 * 86_400_000

/**
 * A clock for tests and simulations. Timers run one by one, in the order of their time and, at the same time, in the order
 * they were set. After each, everything it woke up runs to its end (promise chains, `nextTurn` callbacks) before the
 * next timer does. What a timer's callback throws, the advance that ran it throws.
 *
 * **Mixing in real I/O** (sockets, files): the clock lets one turn of the real event loop pass after each timer, so
 * I/O goes on, but it cannot know when I/O is done: a long `advance` would let virtual timeouts fire before a real
 * answer had time to arrive. So wait for an event of the I/O itself (the answer, or `twin.until(...)`) or for the timer
 * that the program sets next (`whenPending`), then advance by that one delay, then wait again. `runUntil` is for programs
 * without real I/O.
 */
export interface VirtualClock extends Clock {
  /** Moves both clocks on by `delayMs` and runs everything that falls due on the way, timers set on the way included. */
  advance(delayMs: number): Promise<void>
  /** Moves on until the wall clock shows `wallMs`; does nothing but settle where that is past. */
  advanceTo(wallMs: number): Promise<void>
  /**
   * Moves on from timer to timer until none is left.
   * @throws HoldfastError `virtual_clock_never_idle` when timers are still being set after `limitMs` (default 7 days).
   */
  runUntilIdle(limitMs?: number): Promise<void>
  /**
   * Moves on from timer to timer until `work` is done, and hands over its result or its error.
   * @throws HoldfastError `virtual_clock_stuck` when no timer is left although `work` is not done.
   */
  runUntil<Value>(work: Promise<Value>): Promise<Value>
  /** Lets everything run that is due without time moving on, except timers. */
  settle(): Promise<void>
  /** Timers and sleeps that wait. */
  pending(): number
  /** Resolves as soon as at least so many timers and sleeps wait. Default 1. Time does not move. */
  whenPending(count?: number): Promise<void>
  /** When the next timer is due, in wall-clock milliseconds; `undefined` where none waits. */
  nextDueMs(): number | undefined
  /** The wall clock jumps, as after a time correction; monotonic time and timers do not notice. */
  jump(wallMs: number): void
}

export interface VirtualClockOptions {
  /** What the wall clock shows at first. Default 2026-01-01T00:00:00Z. */
  readonly startMs?: number
  /**
   * Nothing but this clock and promises moves the program, as in a simulation without real I/O: no turn of the real event loop
   * is taken after each timer, which costs more than most of what timers do. Real I/O goes on only when the clock stands still.
   * Default false.
   */
  readonly alone?: boolean
}

export function createVirtualClock(options: VirtualClockOptions = {}): VirtualClock {
  const timers = createTimerQueue()
  const waiters = new Set<{ readonly count: number; readonly resolve: () => void }>()
  let turnsWaiting = 0
  let nowMs = 0
  let wallOffsetMs = options.startMs ?? DEFAULT_START_MS
  let moving = false

  const turns: (() => void)[] = []

  async function settle(): Promise<void> {
    if (options.alone) return settleAlone()
    do await eventLoopTurn()
    while (turnsWaiting > 0)
  }

  /** As the event loop does it: all promise chains run to their end, then the next callback of those that wait for a turn. */
  async function settleAlone(): Promise<void> {
    for (;;) {
      await promisesDone()
      const callback = turns.shift()
      if (!callback) return
      callback()
    }
  }

  /** Runs timers in order as long as `wanted` says so; it sees the time of the next one. */
  async function runTimers(wanted: (dueMs: number) => boolean): Promise<void> {
    if (moving) throw alreadyMoving()
    moving = true
    try {
      await settle()
      let timersAtInstant = 0
      for (let dueMs = timers.nextDueMs(); dueMs !== undefined && wanted(dueMs); dueMs = timers.nextDueMs()) {
        timersAtInstant = dueMs > nowMs ? 0 : timersAtInstant + 1
        if (timersAtInstant > MOST_TIMERS_PER_INSTANT) throw timeStandsStill()
        nowMs = Math.max(nowMs, dueMs)
        timers.takeNext()?.()
        await settle()
      }
    } finally {
      moving = false
    }
  }

  async function advance(delayMs: number): Promise<void> {
    const targetMs = nowMs + checkedDelay(delayMs)
    if (targetMs === Number.POSITIVE_INFINITY) throw neverEnds()
    await runTimers((dueMs) => dueMs <= targetMs)
    nowMs = Math.max(nowMs, targetMs)
  }

  async function runUntilIdle(limitMs = DEFAULT_IDLE_LIMIT_MS): Promise<void> {
    const lastMs = nowMs + limitMs
    await runTimers((dueMs) => {
      if (dueMs > lastMs && dueMs !== Number.POSITIVE_INFINITY) throw neverIdle(limitMs, timers.size())
      return dueMs <= lastMs
    })
  }

  async function runUntil<Value>(work: Promise<Value>): Promise<Value> {
    let done = false
    const finish = (): void => {
      done = true
    }
    work.then(finish, finish)
    await runTimers((dueMs) => !done && dueMs !== Number.POSITIVE_INFINITY)
    if (!done) throw stuck()
    return work
  }

  function setTimer(delayMs: number, callback: () => void): Timer {
    const timer = timers.add(nowMs + checkedDelay(delayMs), callback)
    for (const waiter of waiters) {
      if (timers.size() < waiter.count) continue
      waiters.delete(waiter)
      waiter.resolve()
    }
    return timer
  }

  return {
    wallMs: () => Math.floor(wallOffsetMs + nowMs),
    monotonicMs: () => nowMs,
    setTimer,
    sleep: (delayMs, signal) => sleepOn(setTimer, delayMs, signal),
    nextTurn: (callback) => {
      if (options.alone) {
        turns.push(callback)
        return
      }
      turnsWaiting++
      nextEventLoopTurn(() => {
        turnsWaiting--
        callback()
      })
    },
    advance,
    advanceTo: (wallMs) => advance(Math.max(0, wallMs - wallOffsetMs - nowMs)),
    runUntilIdle,
    runUntil,
    settle,
    pending: () => timers.size(),
    whenPending(count = 1) {
      if (timers.size() >= count) return Promise.resolve()
      return new Promise((resolve) => {
        waiters.add({ count, resolve })
      })
    },
    nextDueMs: () => {
      const dueMs = timers.nextDueMs()
      return dueMs === undefined ? undefined : wallOffsetMs + dueMs
    },
    jump: (wallMs) => {
      wallOffsetMs = wallMs - nowMs
    },
  }
}

function sleepOn(setTimer: Clock['setTimer'], delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const timer = setTimer(delayMs, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    function abort(): void {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** One turn drains all promise chains, however long, which no fixed number of awaits does. It reads no time. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    nextEventLoopTurn(resolve)
  })
}

/** Node runs what `nextTick` was given only when no promise has anything left to do. */
function promisesDone(): Promise<void> {
  return new Promise((resolve) => {
    nextTick(resolve)
  })
}

function checkedDelay(delayMs: number): number {
  if (Number.isNaN(delayMs)) {
    throw configurationError('invalid_delay', 'A delay is not a number', 'Look for arithmetic on an undefined value.')
  }
  return Math.max(0, delayMs)
}

function neverEnds(): HoldfastError {
  return configurationError(
    'invalid_delay',
    'The virtual clock cannot advance for ever',
    'Use runUntilIdle to run every timer there is.',
  )
}

function alreadyMoving(): HoldfastError {
  return configurationError(
    'virtual_clock_moving',
    'The virtual clock was told to move while it is moving',
    'Await each advance, runUntil or runUntilIdle before the next, and call none of them from a timer.',
  )
}

function timeStandsStill(): HoldfastError {
  return configurationError(
    'virtual_clock_loop',
    `More than ${MOST_TIMERS_PER_INSTANT} timers ran without time moving on`,
    'Look for a loop that sets a timer of 0 ms, or sleeps 0 ms, again and again.',
  )
}

function neverIdle(limitMs: number, pending: number): HoldfastError {
  return configurationError(
    'virtual_clock_never_idle',
    `After ${limitMs} ms of virtual time ${pending} timers still wait`,
    'Something sets timers for ever (a poller?): stop it first, or use advance or runUntil.',
  )
}

function stuck(): HoldfastError {
  return configurationError(
    'virtual_clock_stuck',
    'The work is not done, and no timer is left that could wake it',
    'It waits for real I/O, or for something that never happens: await the event itself, then advance.',
  )
}
