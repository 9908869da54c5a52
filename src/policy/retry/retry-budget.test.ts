import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RetryBudgetSettings } from '../../config/settings.ts'
import { earn, newRetryBudget, type RetryBudgetState, refund, spend } from './retry-budget.ts'

const SETTINGS: RetryBudgetSettings = { ratio: 0.2, minimumPerSecond: 1, burst: 50 }

const anySettings = fc.record({
  ratio: fc.double({ min: 0, max: 2, noNaN: true }),
  minimumPerSecond: fc.double({ min: 0, max: 20, noNaN: true }),
  burst: fc.integer({ min: 1, max: 100 }),
})
const anyTraffic = fc.array(
  fc.record({ what: fc.constantFrom('first', 'retry'), afterMs: fc.integer({ min: -2_000, max: 5_000 }) }),
  { maxLength: 300 },
)

function spendAll(state: RetryBudgetState, nowMs: number, settings: RetryBudgetSettings): number {
  let spent = 0
  for (let answer = spend(state, nowMs, settings); answer.allowed; answer = spend(answer.state, nowMs, settings))
    spent++
  return spent
}

describe('retry budget (trap 2, C29)', () => {
  it('starts full: a quiet lane can retry at once', () => {
    expect(spendAll(newRetryBudget(0, SETTINGS), 0, SETTINGS)).toBe(50)
  })

  it('five first tries earn one retry', () => {
    let state: RetryBudgetState = { tokens: 0, updatedAtMs: 0 }
    for (let call = 0; call < 4; call++) state = earn(state, 0, SETTINGS)
    expect(spend(state, 0, SETTINGS).allowed).toBe(false)
    state = earn(state, 0, SETTINGS)
    expect(spend(state, 0, SETTINGS).allowed).toBe(true)
  })

  it('ten tenths are one token, whatever floating point says', () => {
    const settings = { ...SETTINGS, ratio: 0.1, minimumPerSecond: 0 }
    let state: RetryBudgetState = { tokens: 0, updatedAtMs: 0 }
    for (let call = 0; call < 10; call++) state = earn(state, 0, settings)
    const answer = spend(state, 0, settings)
    expect(answer.allowed).toBe(true)
    expect(answer.state.tokens).toBeGreaterThanOrEqual(0)
  })

  it('says when there is one again, and keeps its word', () => {
    const empty = { tokens: 0.25, updatedAtMs: 1_000 }
    const refused = spend(empty, 1_000, SETTINGS)
    expect(refused).toMatchObject({ allowed: false, availableAtMs: 1_750 })
    expect(spend(refused.state, 1_749, SETTINGS).allowed).toBe(false)
    expect(spend(refused.state, 1_750, SETTINGS).allowed).toBe(true)
  })

  it('without a minimum rate it says to ask again later, never "never"', () => {
    const refused = spend({ tokens: 0, updatedAtMs: 0 }, 0, { ...SETTINGS, minimumPerSecond: 0 })
    expect(refused.availableAtMs).toBe(10_000)
  })

  it('the refused caller, coming back when told, is always let through', () => {
    fc.assert(
      fc.property(anySettings, fc.double({ min: 0, max: 0.999, noNaN: true }), (settings, tokens) => {
        fc.pre(settings.minimumPerSecond > 0.001)
        const refused = spend({ tokens, updatedAtMs: 0 }, 0, settings)
        expect(refused.allowed).toBe(false)
        expect(spend(refused.state, refused.availableAtMs, settings).allowed).toBe(true)
      }),
    )
  })

  it('C29: never below 0, never above burst, and no more retries than the ratio, the minimum rate and the burst give', () => {
    fc.assert(
      fc.property(anySettings, anyTraffic, (settings, traffic) => {
        let state = newRetryBudget(0, settings)
        let nowMs = 0
        let latestMs = 0
        let firsts = 0
        let retries = 0
        for (const { what, afterMs } of traffic) {
          nowMs = Math.max(latestMs - 2_000, nowMs + afterMs)
          latestMs = Math.max(latestMs, nowMs)
          if (what === 'first') {
            firsts++
            state = earn(state, nowMs, settings)
          } else {
            const answer = spend(state, nowMs, settings)
            if (answer.allowed) retries++
            state = answer.state
          }
          expect(state.tokens).toBeGreaterThanOrEqual(0)
          expect(state.tokens).toBeLessThanOrEqual(settings.burst)
        }
        const most = settings.ratio * firsts + (settings.minimumPerSecond * latestMs) / 1_000 + settings.burst
        expect(retries).toBeLessThanOrEqual(most + 1e-6)
      }),
    )
  })

  it('the same second is not earned twice by events that come out of order', () => {
    let state: RetryBudgetState = { tokens: 0, updatedAtMs: 10_000 }
    for (let event = 0; event < 10; event++) state = spend(state, event % 2 ? 10_400 : 10_000, SETTINGS).state
    expect(state.tokens).toBeCloseTo(0.4)
  })

  it('a clock set back by an hour stalls nothing', () => {
    const atOneHour = { tokens: 0, updatedAtMs: 3_600_000 }
    const back = spend(atOneHour, 0, SETTINGS)
    expect(back.allowed).toBe(false)
    expect(spend(back.state, 1_000, SETTINGS).allowed).toBe(true)
  })

  it('C29: a healthy API gets its retries: one that succeeds gives its token back', () => {
    const settings: RetryBudgetSettings = { ratio: 0.2, minimumPerSecond: 0, burst: 3 }
    let state = newRetryBudget(0, settings)
    for (let retry = 0; retry < 100; retry++) {
      const spent = spend(state, 0, settings)
      expect(spent.allowed).toBe(true)
      state = refund(spent.state, 0, settings)
    }
    expect(state.tokens).toBe(3)
    expect(refund(state, 0, settings).tokens).toBe(3)
  })
})
