import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isForgotten, learnLimit, type PacedLimit, type PaceFacts, paceOf } from './rate-limit-pace.ts'
import type { RateLimitState } from './rate-limits.ts'

const NOW_MS = 1_000_000_000

const told = (state: Partial<RateLimitState>): RateLimitState => ({
  name: 'requests',
  unit: 'calls',
  scope: 'lane',
  remaining: 50,
  source: 'x-ratelimit-remaining',
  ...state,
})
const known = (state: Partial<RateLimitState>): PacedLimit =>
  learnLimit(undefined, told(state), { startedAtMs: NOW_MS, nowMs: NOW_MS })
const facts = (changes: Partial<PaceFacts> = {}): PaceFacts => ({
  nowMs: NOW_MS,
  inFlight: 0,
  users: 1,
  lastStartMs: NOW_MS,
  slowBelow: { share: 0.1, calls: 10 },
  concurrency: 5,
  ...changes,
})

describe('R050: what is left has to last', () => {
  test('while plenty is left, calls go freely, but never more at once than are left', () => {
    const limit = known({ remaining: 50, limit: 100, resetAtMs: NOW_MS + 10_000 })
    expect(paceOf(limit, facts())).toMatchObject({ kind: 'free', room: 50 })
    expect(paceOf(limit, facts({ inFlight: 20 }))).toMatchObject({ kind: 'free', room: 30 })
    expect(paceOf(limit, facts({ users: 5, inFlight: 4 }))).toMatchObject({ room: 6 })
    expect(paceOf(limit, facts({ inFlight: 60 })).room).toBe(0)
  })

  test('fewer than 10, and nothing else told: half a second between two calls', () => {
    expect(paceOf(known({ remaining: 10 }), facts())).toMatchObject({ kind: 'free' })
    expect(paceOf(known({ remaining: 9 }), facts())).toMatchObject({ kind: 'slow', room: 0, nextAtMs: NOW_MS + 500 })
    expect(paceOf(known({ remaining: 9 }), facts({ lastStartMs: NOW_MS - 500 }))).toMatchObject({ room: 1 })
  })

  test('they are spread until the reset, among all processes', () => {
    const limit = known({ remaining: 5, limit: 100, resetAtMs: NOW_MS + 10_000 })
    expect(paceOf(limit, facts())).toMatchObject({ kind: 'slow', nextAtMs: NOW_MS + 2000 })
    expect(paceOf(limit, facts({ users: 2 }))).toMatchObject({ kind: 'slow', nextAtMs: NOW_MS + 4000 })
  })

  test('from when on is configurable', () => {
    const limit = known({ remaining: 40, limit: 100, resetAtMs: NOW_MS + 10_000 })
    expect(paceOf(limit, facts()).kind).toBe('free')
    expect(paceOf(limit, facts({ slowBelow: { share: 0.45, calls: 0 } })).kind).toBe('slow')
    expect(paceOf(known({ remaining: 1 }), facts({ slowBelow: { share: 0, calls: 0 } })).kind).toBe('free')
  })

  test('R049: nothing left: until it renews; then one call finds out, and the others wait for its answer', () => {
    const limit = known({ remaining: 0, limit: 100, resetAtMs: NOW_MS + 10_000 })
    expect(paceOf(limit, facts())).toMatchObject({ kind: 'spent', nextAtMs: NOW_MS + 10_000 })
    const later = { nowMs: NOW_MS + 10_000 }
    expect(paceOf(limit, facts(later)).room).toBe(1)
    expect(paceOf(limit, facts({ ...later, inFlight: 1 })).room).toBe(0)
  })

  test('an API whose answers stop telling holds nothing up', () => {
    const limit = known({ remaining: 0, limit: 100, resetAtMs: NOW_MS + 10_000 })
    expect(isForgotten(limit, NOW_MS + 10_000)).toBe(false)
    expect(isForgotten(limit, NOW_MS + 15_001)).toBe(true)
    expect(isForgotten(known({ remaining: 0 }), NOW_MS + 60_001)).toBe(true)
  })

  test('a leaky bucket gives back meanwhile', () => {
    const limit = known({ remaining: 0, limit: 40, restorePerSecond: 2 })
    expect(paceOf(limit, facts())).toMatchObject({ kind: 'spent', nextAtMs: NOW_MS + 500 })
    expect(paceOf(limit, facts({ nowMs: NOW_MS + 500, lastStartMs: 0 }))).toMatchObject({ kind: 'slow', room: 1 })
    expect(paceOf(limit, facts({ nowMs: NOW_MS + 20_000 }))).toMatchObject({ kind: 'free', room: 40 })
  })

  test('points: what a call takes is told, or seen', () => {
    expect(paceOf(known({ unit: 'points', remaining: 100, limit: 1000, cost: 30 }), facts()).room).toBe(0)
    const first = known({ unit: 'points', remaining: 5000, limit: 6000 })
    const times = { startedAtMs: NOW_MS + 1, nowMs: NOW_MS + 2 }
    const second = learnLimit(first, told({ unit: 'points', remaining: 4000, limit: 6000 }), times)
    expect(second.costPerCall).toBeGreaterThan(100)
  })

  test('a window that slides is never taken in bursts', () => {
    const before = known({ remaining: 1, limit: 100, resetAtMs: NOW_MS + 10_000 })
    const moved = told({ remaining: 5, limit: 100, resetAtMs: NOW_MS + 13_000 })
    const limit = learnLimit(before, moved, { startedAtMs: NOW_MS + 9000, nowMs: NOW_MS + 9500 })
    expect(limit.slides).toBe(true)
    expect(paceOf(limit, facts({ nowMs: NOW_MS + 9500, lastStartMs: NOW_MS + 9500 }))).toMatchObject({
      kind: 'slow',
      room: 0,
    })
    const renewed = told({ remaining: 99, limit: 100, resetAtMs: NOW_MS + 23_000 })
    expect(learnLimit(limit, renewed, { startedAtMs: NOW_MS + 13_000, nowMs: NOW_MS + 13_100 }).slides).toBe(false)
  })
})

describe('answers that overtake each other', () => {
  const limit = known({ remaining: 5, resetAtMs: NOW_MS + 10_000 })
  const early = { startedAtMs: NOW_MS - 50, nowMs: NOW_MS + 10 }

  test.each<[string, Partial<RateLimitState>, typeof early, number]>([
    ['one that began before the last word can only make it worse', { remaining: 9 }, early, 5],
    ['and does, where it is lower', { remaining: 3 }, early, 3],
    ['one that began after it is the truth', { remaining: 9 }, { startedAtMs: NOW_MS + 5, nowMs: NOW_MS + 10 }, 9],
    ['a later window counts at once', { remaining: 99, resetAtMs: NOW_MS + 20_000 }, early, 99],
    ['an earlier one no more', { remaining: 0, resetAtMs: NOW_MS - 5000 }, early, 5],
  ])('%s', (_, state, times, remaining) => {
    expect(learnLimit(limit, told({ resetAtMs: NOW_MS + 10_000, ...state }), times).state.remaining).toBe(remaining)
  })
})

const state: fc.Arbitrary<RateLimitState> = fc
  .record({
    unit: fc.constantFrom('calls' as const, 'points' as const),
    remaining: fc.nat(1000),
    limit: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
    resetInMs: fc.option(fc.integer({ min: 0, max: 86_400_000 }), { nil: undefined }),
    windowMs: fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined }),
    restorePerSecond: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    cost: fc.option(fc.nat(50), { nil: undefined }),
  })
  .map(({ limit, resetInMs, windowMs, restorePerSecond, cost, ...rest }) =>
    told({
      ...rest,
      ...(limit !== undefined && { limit }),
      ...(resetInMs !== undefined && { resetAtMs: NOW_MS + resetInMs }),
      ...(windowMs !== undefined && { windowMs }),
      ...(restorePerSecond !== undefined && { restorePerSecond }),
      ...(cost !== undefined && { cost }),
    }),
  )

test('R050: whatever is told, no more starts than is left, and nothing waits for ever', () => {
  const arbitrary = fc.record({
    inFlight: fc.nat(20),
    users: fc.integer({ min: 1, max: 9 }),
    sinceMs: fc.nat(100_000),
    laterMs: fc.nat(100_000_000),
  })
  fc.assert(
    fc.property(state, state, arbitrary, (first, second, { inFlight, users, sinceMs, laterMs }) => {
      const limit = learnLimit(known(first), second, { startedAtMs: NOW_MS, nowMs: NOW_MS })
      const pace = paceOf(limit, facts({ inFlight, users, lastStartMs: NOW_MS - sinceMs }))
      expect(pace.room).toBeLessThanOrEqual(Math.max(1, second.remaining))
      expect(pace.room).toBeGreaterThanOrEqual(0)
      expect(Number.isFinite(pace.nextAtMs)).toBe(true)
      expect(pace.nextAtMs).toBeGreaterThanOrEqual(NOW_MS)
      // A day later it is let in or forgotten, whatever it was.
      const nowMs = NOW_MS + 2 * 86_400_000 + laterMs
      const late = paceOf(limit, facts({ nowMs, lastStartMs: 0 }))
      expect(late.room > 0 || isForgotten(limit, nowMs)).toBe(true)
    }),
    { numRuns: 500 },
  )
})
