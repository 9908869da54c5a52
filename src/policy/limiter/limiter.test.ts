import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RateSettings } from '../../config/settings.ts'
import { EMPTY_RATE, type RateState, rateAvailable, rateTake } from './limiter.ts'

const anyRate = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 51, max: 2_000 })),
  perMs: fc.integer({ min: 10, max: 100_000 }),
})
/** How far to the next demand, as a share of the window; how many it wants; whether it waits until there is room. */
const anyDemand = fc.array(
  fc.record({
    share: fc.oneof(fc.double({ min: 0, max: 0.05, noNaN: true }), fc.double({ min: 0, max: 1.5, noNaN: true })),
    patient: fc.boolean(),
    wanted: fc.integer({ min: 1, max: 400 }),
  }),
  { minLength: 1, maxLength: 150 },
)

interface Start {
  readonly atMs: number
  readonly count: number
}

function runDemand(
  rate: RateSettings,
  demand: readonly { share: number; wanted: number; patient: boolean }[],
): Start[] {
  const starts: Start[] = []
  let state = EMPTY_RATE
  let nowMs = 1_000_000
  for (const { share, wanted, patient } of demand) {
    nowMs += Math.round(share * rate.perMs)
    if (patient) nowMs = rateAvailable(state, nowMs, rate).nextAtMs
    const count = Math.min(wanted, rateAvailable(state, nowMs, rate).available)
    if (count === 0) continue
    state = rateTake(state, nowMs, count, rate)
    starts.push({ atMs: nowMs, count })
  }
  return starts
}

/** The most starts in any window of `perMs`: a fullest window can always be moved to begin at a start. */
function fullestWindow(starts: readonly Start[], perMs: number): number {
  let fullest = 0
  for (const first of starts) {
    let count = 0
    for (const start of starts) if (start.atMs >= first.atMs && start.atMs < first.atMs + perMs) count += start.count
    fullest = Math.max(fullest, count)
  }
  return fullest
}

describe('limiter', () => {
  it('lets the limit through, then says when the first start leaves the window', () => {
    const rate = { limit: 2, perMs: 1_000 }
    let state = rateTake(EMPTY_RATE, 100, 1, rate)
    expect(rateAvailable(state, 400, rate)).toEqual({ available: 1, nextAtMs: 400 })
    state = rateTake(state, 400, 1, rate)
    expect(rateAvailable(state, 400, rate)).toEqual({ available: 0, nextAtMs: 1_100 })
    expect(rateAvailable(state, 1_099, rate).available).toBe(0)
    expect(rateAvailable(state, 1_100, rate)).toEqual({ available: 1, nextAtMs: 1_100 })
    expect(rateAvailable(state, 1_400, rate).available).toBe(2)
  })

  it('no two bursts meet at the border of a window, as with fixed windows', () => {
    const rate = { limit: 100, perMs: 10_000 }
    const state = rateTake(EMPTY_RATE, 9_999, 100, rate)
    expect(rateAvailable(state, 10_001, rate).available).toBe(0)
  })

  it('never more than the limit in any window, wherever it is laid', () => {
    fc.assert(
      fc.property(anyRate, anyDemand, (rate, demand) => {
        expect(fullestWindow(runDemand(rate, demand), rate.perMs)).toBeLessThanOrEqual(rate.limit)
      }),
    )
  })

  it('greedy demand gets at least 90 % of the limit', () => {
    fc.assert(
      fc.property(anyRate, fc.integer({ min: 1, max: 20 }), (rate, stepsPerGroup) => {
        const stepMs = Math.max(1, rate.perMs / 50 / stepsPerGroup)
        const perStep = Math.max(1, Math.ceil((rate.limit * stepMs) / rate.perMs))
        const windows = 12
        let state = EMPTY_RATE
        let started = 0
        for (let nowMs = 0; nowMs < rate.perMs * windows; nowMs += stepMs) {
          const count = Math.min(perStep, rateAvailable(state, nowMs, rate).available)
          if (count === 0) continue
          state = rateTake(state, nowMs, count, rate)
          started += count
        }
        expect(started).toBeGreaterThanOrEqual(rate.limit * windows * 0.9)
      }),
      { numRuns: 60 },
    )
  })

  it('whoever comes back at nextAtMs finds room', () => {
    fc.assert(
      fc.property(anyRate, anyDemand, (rate, demand) => {
        let state = EMPTY_RATE
        let nowMs = 0
        for (const { share, wanted } of demand) {
          nowMs += Math.round(share * rate.perMs)
          const { available, nextAtMs } = rateAvailable(state, nowMs, rate)
          if (available === 0) nowMs = nextAtMs
          const room = rateAvailable(state, nowMs, rate).available
          expect(room).toBeGreaterThan(0)
          state = rateTake(state, nowMs, Math.min(room, wanted), rate)
        }
      }),
    )
  })

  it('R051: a daily quota of 250,000 is kept in a few dozen numbers', () => {
    const quota = { limit: 250_000, perMs: 86_400_000 }
    let state: RateState = EMPTY_RATE
    for (let nowMs = 0; nowMs < quota.perMs * 2; nowMs += 20_000) {
      const count = Math.min(60, rateAvailable(state, nowMs, quota).available)
      if (count > 0) state = rateTake(state, nowMs, count, quota)
      expect(state.starts.length).toBeLessThanOrEqual(51)
    }
  })

  it('a state that went through JSON goes on as before', () => {
    const rate = { limit: 3, perMs: 1_000 }
    const state = rateTake(EMPTY_RATE, 5, 3, rate)
    expect(rateAvailable(JSON.parse(JSON.stringify(state)), 900, rate)).toEqual(rateAvailable(state, 900, rate))
  })

  it('a clock set back by an hour stalls nothing', () => {
    const rate = { limit: 1, perMs: 1_000 }
    const state = rateTake(EMPTY_RATE, 3_600_000, 1, rate)
    expect(rateAvailable(state, 0, rate).available).toBe(1)
    expect(rateTake(state, 0, 1, rate).starts).toEqual([[0, 1]])
  })

  it('small limits are exact: starts close together leave the window one by one', () => {
    const rate = { limit: 2, perMs: 1_000 }
    const state = rateTake(rateTake(EMPTY_RATE, 100, 1, rate), 105, 1, rate)
    expect(rateAvailable(state, 1_100, rate).available).toBe(1)
  })

  it('large limits are grouped on the safe side: a group leaves the window with its latest start', () => {
    const rate = { limit: 60, perMs: 1_000 }
    const state = rateTake(rateTake(EMPTY_RATE, 100, 30, rate), 110, 30, rate)
    expect(state.starts).toHaveLength(1)
    expect(rateAvailable(state, 1_109, rate)).toEqual({ available: 0, nextAtMs: 1_110 })
    expect(rateAvailable(state, 1_110, rate).available).toBe(60)
  })

  it('a start told late counts with the ones after it', () => {
    const rate = { limit: 2, perMs: 1_000 }
    const state = rateTake(rateTake(EMPTY_RATE, 500, 1, rate), 480, 1, rate)
    expect(rateAvailable(state, 1_490, rate).available).toBe(0)
    expect(rateAvailable(state, 1_500, rate).available).toBe(2)
  })

  it('a limit of nothing lets nothing through, and says to ask again', () => {
    expect(rateAvailable(EMPTY_RATE, 7, { limit: 0, perMs: 1_000 })).toEqual({ available: 0, nextAtMs: 1_007 })
  })
})
