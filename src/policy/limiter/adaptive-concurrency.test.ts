import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AdaptiveConcurrency,
  type AdaptiveEvent,
  adaptConcurrency,
  adaptiveLimit,
  newAdaptiveConcurrency,
} from './adaptive-concurrency.ts'

const BOUNDS = { min: 2, max: 40 }

function replay(events: readonly AdaptiveEvent[], state: AdaptiveConcurrency = newAdaptiveConcurrency(BOUNDS)) {
  return events.reduce((known, event) => adaptConcurrency(known, event, BOUNDS), state)
}

const good = (atMs: number, inFlight = 40, tookMs = 50): AdaptiveEvent => ({
  type: 'succeeded',
  startedAtMs: atMs - tookMs,
  atMs,
  inFlight,
})

const event: fc.Arbitrary<AdaptiveEvent> = fc.record({
  type: fc.constantFrom('succeeded', 'throttled', 'timed_out'),
  startedAtMs: fc.integer({ min: 0, max: 100_000 }),
  atMs: fc.integer({ min: 0, max: 100_000 }),
  inFlight: fc.integer({ min: 1, max: 100 }),
})

describe('concurrency that adapts (R050)', () => {
  test('never outside its bounds, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const limit = adaptiveLimit(replay(events), BOUNDS)
        expect(Number.isInteger(limit)).toBe(true)
        expect(limit).toBeGreaterThanOrEqual(BOUNDS.min)
        expect(limit).toBeLessThanOrEqual(BOUNDS.max)
      }),
    )
  })

  test('a good answer never makes it smaller, a throttled one never larger', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), fc.integer({ min: 1, max: 100 }), (events, inFlight) => {
        const state = { ...replay(events), usualMs: 0, recentMs: 0 }
        expect(replay([good(200_000, inFlight)], state).limit).toBeGreaterThanOrEqual(state.limit)
        const throttled = replay([{ ...good(200_000, inFlight), type: 'throttled' }], state)
        expect(throttled.limit).toBeLessThanOrEqual(state.limit)
      }),
    )
  })

  test('one more for each round of good answers at full use', () => {
    let state = newAdaptiveConcurrency(BOUNDS)
    expect(adaptiveLimit(state, BOUNDS)).toBe(4)
    state = replay(
      [1, 2, 3, 4, 5].map((atMs) => good(atMs)),
      state,
    )
    expect(adaptiveLimit(state, BOUNDS)).toBe(5)
    const idle = replay(
      Array.from({ length: 100 }, (_, index) => good(index, 2)),
      state,
    )
    expect(idle.limit).toBe(state.limit)
  })

  test('calls that were throttled together count once', () => {
    const large = { ...newAdaptiveConcurrency(BOUNDS), limit: 20 }
    const together = Array.from(
      { length: 10 },
      (_, index): AdaptiveEvent => ({
        type: index % 2 === 0 ? 'throttled' : 'timed_out',
        startedAtMs: 1000,
        atMs: 1050 + index,
        inFlight: 20 - index,
      }),
    )
    expect(replay(together, large).limit).toBeCloseTo(14)
    const again: AdaptiveEvent = { type: 'throttled', startedAtMs: 1100, atMs: 1150, inFlight: 14 }
    expect(replay([...together, again], large).limit).toBeCloseTo(9.8)
  })

  test('answers that take ever longer make it smaller before anything fails', () => {
    const usual = replay(Array.from({ length: 200 }, (_, index) => good(index * 10)))
    const slow = replay(
      Array.from({ length: 50 }, (_, index) => good(3000 + index * 100, 40, 400)),
      usual,
    )
    expect(slow.limit).toBeLessThan(usual.limit / 2)
  })

  test('an API that is slower for good is got used to', () => {
    let state = replay(Array.from({ length: 20 }, (_, index) => good(index * 10)))
    state = replay(
      Array.from({ length: 2000 }, (_, index) => good(3000 + index * 100, 40, 200)),
      state,
    )
    expect(adaptiveLimit(state, BOUNDS)).toBe(BOUNDS.max)
  })
})
