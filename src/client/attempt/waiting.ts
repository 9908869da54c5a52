/** How callers who wait in the process wait: for a place, a gate, a backoff, always within a deadline and a signal. */
import type { Clock } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { HeldBy } from '../../core/events.ts'
import type { Certainty } from '../../core/failure.ts'
import { type Random, randomBetween } from '../../core/random.ts'
import type { AttemptResult } from '../call/call.ts'
import type { HealthRegistry } from '../health/health-registry.ts'

export type Held = Extract<AttemptResult, { kind: 'held' }>

export interface Patience {
  readonly health: HealthRegistry
  readonly clock: Clock
  readonly random: Random
  readonly lane: string
  readonly signal: AbortSignal | undefined
  /** On the monotonic clock. */
  readonly deadlineMs: number
}

/** An open breaker answers at once (R069); only the last moments before a probe, or a wave of a ramp, are waited for. */
const LONGEST_BREAKER_WAIT_MS = 2000
/** All who wait for one gate wake at one time: spread them over this share of the wait, and at most this long (D11). */
const SPREAD_SHARE = 0.1
const MAX_SPREAD_MS = 250

/** True: worth another try now. False: it does not end in time. Rejects with the signal's reason. */
export async function waitWhileHeld(held: Held, patience: Patience, wokenBefore: boolean): Promise<boolean> {
  const leftMs = patience.deadlineMs - patience.clock.monotonicMs()
  if (leftMs <= 0) return false
  if (held.by === 'concurrency') return waitForPlace(patience, leftMs, wokenBefore)
  const waitMs = Math.max(1, held.untilMs - patience.clock.wallMs())
  const hopeless = held.by === 'suspended' || held.by === 'credentials' || held.by === 'quota'
  const limitMs = held.by === 'breaker' || hopeless ? Math.min(leftMs, LONGEST_BREAKER_WAIT_MS) : leftMs
  if (waitMs >= limitMs) return false
  const spreadMs = randomBetween(patience.random, 0, Math.min(waitMs * SPREAD_SHARE, MAX_SPREAD_MS))
  await patience.clock.sleep(Math.min(waitMs + spreadMs, leftMs), patience.signal)
  return true
}

function waitForPlace({ health, clock, lane, signal }: Patience, leftMs: number, first: boolean): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const leave = health.whenFree(lane, () => end(true), first)
    const timer = clock.setTimer(leftMs, () => end(false))
    signal?.addEventListener('abort', abort, { once: true })

    function stop(): void {
      leave()
      timer.cancel()
      signal?.removeEventListener('abort', abort)
    }
    function end(isFree: boolean): void {
      stop()
      resolve(isFree)
    }
    function abort(): void {
      stop()
      reject(signal?.reason)
    }
  })
}

const HELD: Record<HeldBy, { readonly code: string; readonly hint: string }> = {
  gate: { code: 'gate_closed', hint: 'The API asked for a pause. Try again after it, or submit the work durably.' },
  breaker: {
    code: 'breaker_open',
    hint: 'The API is failing. Work submitted durably waits by itself until it is back.',
  },
  rate: { code: 'rate_limit_reached', hint: 'The configured rate is used up. Spread the calls, or raise the limit.' },
  concurrency: { code: 'concurrency_limit_reached', hint: 'Raise `limits.concurrency`, or make fewer calls at once.' },
  quota: { code: 'quota_spent', hint: 'The configured quota is used up until the time named.' },
  retry_budget: { code: 'retry_budget_spent', hint: 'Too many calls fail at present: retries would add to the load.' },
  suspended: { code: 'lane_suspended', hint: 'An operator suspended it: `holdfast integrations resume NAME`.' },
  credentials: {
    code: 'credential_unusable',
    hint: '`holdfast credentials` shows how it is. Work submitted durably waits by itself.',
  },
}

/** The caller gets this where nothing was sent at all. */
export function heldError(held: Held, lane: string): HoldfastError {
  const { code, hint } = HELD[held.by]
  return new HoldfastError({
    code,
    class: 'held',
    message: `Lane ${lane}: ${held.reason}`,
    hint,
    details: { lane, by: held.by, untilMs: held.untilMs },
  })
}

export function cancelledError(certainty: Certainty, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'cancelled',
    class: 'cancelled',
    certainty,
    message: 'The caller cancelled the call',
    userMessage: 'This was cancelled.',
    cause,
  })
}

/** Combined only where there are two: it is not cheap. */
export function eitherSignal(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  if (one && other) return AbortSignal.any([one, other])
  return one ?? other
}
