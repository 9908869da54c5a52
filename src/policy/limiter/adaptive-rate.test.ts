import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AdaptiveRate, adaptiveRoom, adaptRate, newAdaptiveRate, takeAdaptive } from './adaptive-rate.ts'

/** A token bucket that tells nothing; calls as often as allowed, and waits a second after a 429. */
function run(perSecond: number, bucket: number, untilMs: number) {
  let state: AdaptiveRate = newAdaptiveRate(0)
  let tokens = bucket
  let filledMs = 0
  let closedUntilMs = 0
  const counts = { good: 0, throttled: 0 }
  for (let nowMs = 0; nowMs < untilMs; nowMs += 1) {
    tokens = Math.min(bucket, tokens + ((nowMs - filledMs) / 1000) * perSecond)
    filledMs = nowMs
    if (nowMs < closedUntilMs || adaptiveRoom(state, nowMs).room < 1) continue
    state = takeAdaptive(state, nowMs)
    const isGood = tokens >= 1
    if (isGood) tokens -= 1
    counts[isGood ? 'good' : 'throttled'] += 1
    if (!isGood) closedUntilMs = nowMs + 1000
    const type = isGood ? 'succeeded' : 'throttled'
    state = adaptRate(state, { type, startedAtMs: nowMs, atMs: nowMs, atFullUse: true })
  }
  return counts
}

describe('a rate that adapts (R050)', () => {
  test.each([
    [5, 10],
    [20, 40],
    [100, 100],
  ])('a bucket of %i calls per second and %i at once: nearly all of it, and rarely a 429', (perSecond, bucket) => {
    const { good, throttled } = run(perSecond, bucket, 600_000)
    expect(throttled / (good + throttled)).toBeLessThan(0.01)
    expect(good).toBeGreaterThan(perSecond * 600 * 0.95)
  })

  test('until an API throttles, nothing is held back', () => {
    const state = adaptRate(newAdaptiveRate(0), { type: 'succeeded', startedAtMs: 0, atMs: 5, atFullUse: true })
    expect(adaptiveRoom(state, 5).room).toBe(Number.POSITIVE_INFINITY)
  })

  test('a call may always start some time, and never more at once than a tenth of a second is worth', () => {
    const event = fc.record({
      type: fc.constantFrom('succeeded' as const, 'throttled' as const),
      startedAtMs: fc.integer({ min: 0, max: 100_000 }),
      atMs: fc.integer({ min: 0, max: 100_000 }),
      atFullUse: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), fc.integer({ min: 0, max: 200_000 }), (events, nowMs) => {
        const state = takeAdaptive(events.reduce(adaptRate, newAdaptiveRate(0)), nowMs)
        if (state.perSecond === undefined) return
        const { room, nextAtMs } = adaptiveRoom(state, nowMs)
        expect(room).toBeLessThanOrEqual(Math.max(1, state.perSecond / 10))
        expect(nextAtMs - nowMs).toBeLessThanOrEqual(400_000)
        expect(adaptiveRoom(state, nextAtMs + 200_000).room).toBeGreaterThan(0)
      }),
    )
  })
})
