import type { Clock, Timer } from '../../core/clock.ts'
import { type Duration, durationMs } from '../../core/duration.ts'

/** How an API is away: nobody listens, or everything gets a 503, no answer, or a reset. */
export type OutageMode = 'refused' | 'unavailable' | 'hang' | 'reset'

export interface Period {
  /** Counted from now. Default at once. */
  readonly startsIn?: Duration
  /** Default until it is ended by hand. */
  readonly lasts?: Duration
}

export interface OutageOptions extends Period {
  /** Default `refused`. */
  readonly mode?: OutageMode
  /** Called for each request that it hurts; not for connections that the system itself refuses. */
  readonly onFired?: () => void
}

/** Up, but hardly. */
export interface BrownOutOptions extends Period {
  /** Share of requests refused with `status`, from 0 to 1. Default 0.3. */
  readonly share?: number
  /** Default 503. */
  readonly status?: number
  /** Added to every answer. Default none. */
  readonly latency?: Duration
  /** Called for each request that is refused. */
  readonly onFired?: () => void
}

export interface ActivePeriod {
  readonly active: boolean
  /** Ends it now, or takes it back where it has not begun. Resolves when the server is as it was before. */
  end(): Promise<void>
}

/** Periods that begin and end by the clock. */
export interface Schedule {
  plan(period: Period, begin: () => Promise<void>, end: () => Promise<void>): Promise<ActivePeriod>
  /** Ends everything, begun or not. */
  clear(): Promise<void>
}

export function createSchedule(clock: Clock, onTrouble: (error: unknown) => void): Schedule {
  const ends = new Set<() => Promise<void>>()

  /** By `sleep`, which holds the process open: while nobody listens, nothing else does. */
  function later(delay: Duration, action: () => Promise<void>): Timer {
    const cancelled = new AbortController()
    clock
      .sleep(durationMs(delay), cancelled.signal)
      .then(action)
      .catch((error: unknown) => {
        if (error !== cancelled.signal.reason) onTrouble(error)
      })
    return { cancel: () => cancelled.abort() }
  }

  async function plan(period: Period, begin: () => Promise<void>, finish: () => Promise<void>): Promise<ActivePeriod> {
    let active = false
    let timer: Timer | undefined

    async function start(): Promise<void> {
      active = true
      if (period.lasts !== undefined) timer = later(period.lasts, end)
      await begin()
    }
    async function end(): Promise<void> {
      timer?.cancel()
      if (!ends.delete(end) || !active) return
      active = false
      await finish()
    }

    ends.add(end)
    if (period.startsIn === undefined) await start()
    else timer = later(period.startsIn, start)
    return {
      get active() {
        return active
      },
      end,
    }
  }

  return {
    plan,
    async clear() {
      for (const end of [...ends]) await end()
    },
  }
}
