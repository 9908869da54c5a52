/** Refuses early what would not be served well: too much at once, too fast, or while the process cannot keep up. */
import type { GatewaySettings } from '../config/gateway-settings.ts'
import type { RateSettings } from '../config/settings.ts'
import type { Clock } from '../core/clock.ts'
import { HoldfastError } from '../core/errors.ts'
import { overloaded } from './problems.ts'

export interface AdmissionParts {
  readonly settings: Pick<GatewaySettings, 'maxInFlight' | 'rate'>
  readonly clock: Clock
  /** How late the event loop is. */
  readonly loopDelayMs: () => number
}

export interface Admission {
  /** @throws HoldfastError `overloaded`, `rate_limited`, `draining`; else to be disposed when the request has ended. */
  enter(caller: string): Disposable
  readonly inFlight: number
  /** From now on nobody is let in. */
  close(): void
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>
}

/** Above this even an answer that needs no work comes late: more requests would only wait for each other. */
const LATEST_LOOP_MS = 1000
const REMEMBERED_CALLERS = 10_000

export function createAdmission({ settings, clock, loopDelayMs }: AdmissionParts): Admission {
  const buckets = createBuckets(settings.rate, clock)
  let waiting: (() => void)[] = []
  let inFlight = 0
  let isClosed = false

  function leave(): void {
    inFlight -= 1
    if (inFlight > 0) return
    for (const resolve of waiting) resolve()
    waiting = []
  }

  return {
    enter(caller) {
      if (isClosed) throw draining()
      const waitMs = buckets.take(caller)
      if (waitMs > 0) throw overloaded('This caller sends more than its rate', waitMs, 'rate_limited')
      if (inFlight >= settings.maxInFlight) {
        throw overloaded(`${inFlight} requests are under way, as many as are allowed`, 1000)
      }
      if (loopDelayMs() > LATEST_LOOP_MS) throw overloaded('The gateway cannot keep up', 2000)
      inFlight += 1
      let left = false
      return {
        [Symbol.dispose]() {
          if (!left) leave()
          left = true
        },
      }
    },
    get inFlight() {
      return inFlight
    },
    close() {
      isClosed = true
    },
    idle: () => (inFlight === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  }
}

function draining(): HoldfastError {
  return new HoldfastError({
    code: 'draining',
    class: 'transient',
    message: 'The gateway is stopping',
    hint: 'Send it again, on another connection: nothing of it was stored.',
  })
}

/** Token buckets, as full as one period. A caller that is forgotten starts full again. */
function createBuckets(rate: RateSettings | undefined, clock: Clock) {
  const known = new Map<string, { tokens: number; atMs: number }>()
  return {
    /** Milliseconds to wait; 0: it may go on. */
    take(caller: string): number {
      if (!rate) return 0
      const perMs = rate.limit / rate.perMs
      const nowMs = clock.monotonicMs()
      const bucket = known.get(caller) ?? { tokens: rate.limit, atMs: nowMs }
      bucket.tokens = Math.min(rate.limit, bucket.tokens + (nowMs - bucket.atMs) * perMs)
      bucket.atMs = nowMs
      if (known.size >= REMEMBERED_CALLERS && !known.has(caller)) known.clear()
      known.set(caller, bucket)
      if (bucket.tokens < 1) return (1 - bucket.tokens) / perMs
      bucket.tokens -= 1
      return 0
    },
  }
}
