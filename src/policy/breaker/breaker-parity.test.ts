/**
 * D16: where a single process, one probe and no growth leave nothing to differ in, our breaker refuses and lets through exactly
 * the calls that opossum and cockatiel do. Both run on virtual time; each test compares call by call.
 */
import { createRequire } from 'node:module'
import { type CircuitBreakerPolicy, ConsecutiveBreaker, CountBreaker, circuitBreaker, handleAll } from 'cockatiel'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BreakerSettings } from '../../config/settings.ts'
import { admission, CLOSED_BREAKER, reduceBreaker } from './breaker.ts'

interface Opossum {
  fire(): Promise<unknown>
  shutdown(): void
}
/** opossum has no types. */
const OpossumBreaker: new (action: () => Promise<unknown>, options: object) => Opossum = createRequire(import.meta.url)(
  'opossum',
)

const NEVER = Number.MAX_SAFE_INTEGER
const OPEN_MS = 1_000
/** Theirs: more than the threshold fails; ours: at least. The smallest step above makes them the same. */
const MORE_THAN_HALF = 0.5 + 1e-9

const PLAIN: BreakerSettings = {
  failureRate: 2,
  windowCalls: 1_000,
  windowMs: NEVER,
  minimumCalls: 1,
  consecutiveFailures: NEVER,
  openMs: OPEN_MS,
  maxOpenMs: OPEN_MS,
  probes: 1,
  probeLeaseMs: NEVER,
  rampShares: [],
  rampStepMs: 0,
}

interface Step {
  readonly afterMs: number
  readonly fails: boolean
}
type Seen = 'refused' | 'failed' | 'succeeded'

const anySteps = (longestGapMs: number) =>
  fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: longestGapMs }), fails: fc.boolean() }), { maxLength: 80 })

function ours(steps: readonly Step[], settings: BreakerSettings): Seen[] {
  let state = CLOSED_BREAKER
  let nowMs = 0
  return steps.map(({ afterMs, fails }, index) => {
    nowMs += afterMs
    const { admit } = admission(state, nowMs, settings)
    if (admit === 'none') return 'refused'
    const probeId = admit === 'probe' ? `p${index}` : undefined
    if (probeId) state = reduceBreaker(state, { type: 'probe_started', atMs: nowMs, probeId }, settings)
    const end = fails ? ({ type: 'failed', code: 'http_503' } as const) : ({ type: 'succeeded' } as const)
    state = reduceBreaker(state, { ...end, atMs: nowMs, probeId }, settings)
    return fails ? 'failed' : 'succeeded'
  })
}

async function theirs(
  steps: readonly Step[],
  call: (action: () => Promise<unknown>) => Promise<unknown>,
): Promise<Seen[]> {
  const seen: Seen[] = []
  for (const { afterMs, fails } of steps) {
    await vi.advanceTimersByTimeAsync(afterMs)
    let called = false
    const action = async () => {
      called = true
      if (fails) throw new Error('http_503')
    }
    const failed = await call(action).then(
      () => false,
      () => true,
    )
    seen.push(called ? (failed ? 'failed' : 'succeeded') : 'refused')
  }
  return seen
}

async function viaCockatiel(steps: readonly Step[], policy: CircuitBreakerPolicy): Promise<Seen[]> {
  return theirs(steps, (action) => policy.execute(action))
}

async function viaOpossum(steps: readonly Step[], options: object): Promise<Seen[]> {
  let next: () => Promise<unknown> = async () => {}
  const breaker = new OpossumBreaker(() => next(), {
    timeout: false,
    resetTimeout: OPEN_MS,
    rollingCountTimeout: 3_600_000,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    ...options,
  })
  try {
    return await theirs(steps, (action) => {
      next = action
      return breaker.fire()
    })
  } finally {
    breaker.shutdown()
  }
}

const fail = (afterMs = 1): Step => ({ afterMs, fails: true })
const succeed = (afterMs = 1): Step => ({ afterMs, fails: false })

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('R078, D16: parity with cockatiel', () => {
  const consecutive = () => circuitBreaker(handleAll, { halfOpenAfter: OPEN_MS, breaker: new ConsecutiveBreaker(5) })
  const settings = { ...PLAIN, consecutiveFailures: 5 }

  it('trips on five in a row, refuses, probes, reopens on failure, closes on success', async () => {
    const steps = [
      fail(),
      fail(),
      fail(),
      fail(),
      fail(),
      succeed(),
      succeed(998),
      fail(1),
      fail(999),
      succeed(1),
      fail(),
    ]
    const seen = await viaCockatiel(steps, consecutive())
    expect(seen.slice(5)).toEqual(['refused', 'refused', 'failed', 'refused', 'succeeded', 'failed'])
    expect(ours(steps, settings)).toEqual(seen)
  })

  it('R065: any sequence with the consecutive rule', async () => {
    await fc.assert(
      fc.asyncProperty(anySteps(700), async (steps) => {
        expect(ours(steps, settings)).toEqual(await viaCockatiel(steps, consecutive()))
      }),
    )
  })

  it('R063: any sequence with the ratio rule, up to the first recovery', async () => {
    // After a recovery theirs counts the probe itself into the new window.
    const ratio = { ...PLAIN, failureRate: MORE_THAN_HALF, windowCalls: 20, minimumCalls: 10 }
    await fc.assert(
      fc.asyncProperty(anySteps(100), async (steps) => {
        const breaker = new CountBreaker({ threshold: 0.5, size: 20, minimumNumberOfCalls: 10 })
        const seen = await viaCockatiel(steps, circuitBreaker(handleAll, { halfOpenAfter: OPEN_MS, breaker }))
        const until = firstRecovery(seen)
        expect(ours(steps, ratio).slice(0, until)).toEqual(seen.slice(0, until))
      }),
    )
  })
})

describe('R078, D16: parity with opossum', () => {
  const settings = { ...PLAIN, failureRate: MORE_THAN_HALF, minimumCalls: 10 }
  const options = { errorThresholdPercentage: 50, volumeThreshold: 10 }

  it('trips on the ratio, refuses, probes, reopens on failure, closes on success', async () => {
    const six = Array.from({ length: 6 }, () => fail())
    const steps = [
      succeed(),
      succeed(),
      succeed(),
      succeed(),
      ...six,
      succeed(),
      succeed(998),
      fail(1),
      fail(999),
      succeed(1),
      succeed(),
    ]
    const seen = await viaOpossum(steps, options)
    expect(seen.slice(10)).toEqual(['refused', 'refused', 'failed', 'refused', 'succeeded', 'succeeded'])
    expect(ours(steps, settings)).toEqual(seen)
  })

  it('R063: any sequence, up to the first recovery', async () => {
    // After a recovery theirs still holds the failures of before in its window, and ours does not.
    await fc.assert(
      fc.asyncProperty(anySteps(100), async (steps) => {
        const seen = await viaOpossum(steps, options)
        const until = firstRecovery(seen)
        expect(ours(steps, settings).slice(0, until)).toEqual(seen.slice(0, until))
      }),
    )
  })
})

/** The index after the first call that succeeded after a refusal: the probe that closed it. */
function firstRecovery(seen: readonly Seen[]): number {
  const refused = seen.indexOf('refused')
  if (refused < 0) return seen.length
  const recovered = seen.indexOf('succeeded', refused)
  return recovered < 0 ? seen.length : recovered + 1
}
