import { describe, expect, it } from 'vitest'
import type { BreakerSettings } from '../../config/settings.ts'
import {
  admission,
  advanceBreaker,
  type BreakerCall,
  type BreakerEvent,
  type BreakerState,
  CLOSED_BREAKER,
  parentMayTrip,
  reduceBreaker,
} from './breaker.ts'

const SETTINGS: BreakerSettings = {
  failureRate: 0.5,
  windowCalls: 20,
  windowMs: 60_000,
  minimumCalls: 10,
  consecutiveFailures: 5,
  openMs: 30_000,
  maxOpenMs: 300_000,
  probes: 2,
  probeLeaseMs: 90_000,
  rampShares: [0.1, 0.5],
  rampStepMs: 5_000,
}

function run(state: BreakerState, events: readonly BreakerEvent[], settings = SETTINGS): BreakerState {
  return events.reduce((current, event) => reduceBreaker(current, event, settings), state)
}
const ok = (atMs: number, probeId?: string): BreakerEvent => ({ type: 'succeeded', atMs, probeId })
const bad = (atMs: number, probeId?: string): BreakerEvent => ({ type: 'failed', atMs, probeId, code: 'http_503' })
const neutral = (atMs: number, probeId?: string): BreakerEvent => ({ type: 'neutral', atMs, probeId })
const probe = (atMs: number, probeId: string): BreakerEvent => ({ type: 'probe_started', atMs, probeId })
const admit = (state: BreakerState, nowMs: number, settings = SETTINGS) => admission(state, nowMs, settings).admit

const fiveFailures = (fromMs: number) => [0, 1, 2, 3, 4].map((index) => bad(fromMs + index))
/** Opened at 1,004 for 30 s. */
const OPEN = run(CLOSED_BREAKER, fiveFailures(1_000))
const OPEN_UNTIL = 31_004
/** Closed again at 31,020, by two probes. */
const RAMPING = run(OPEN, [probe(31_004, 'a'), ok(31_010, 'a'), probe(31_011, 'b'), ok(31_020, 'b')])

describe('tripping (R063, R064, D12)', () => {
  it('R065: five failures in a row open it', () => {
    expect(run(CLOSED_BREAKER, fiveFailures(1_000).slice(1)).phase).toBe('closed')
    expect(OPEN).toMatchObject({
      phase: 'open',
      openUntilMs: OPEN_UNTIL,
      cooldownMs: 30_000,
      reason: '5 calls in a row failed, last with http_503',
    })
  })

  it('D12: five in a row count without time limit, for an endpoint that is polled once a quarter of an hour', () => {
    expect(
      run(
        CLOSED_BREAKER,
        [1, 2, 3, 4, 5].map((poll) => bad(poll * 900_000)),
      ).phase,
    ).toBe('open')
  })

  it('a success in between starts the row again', () => {
    const events = [...fiveFailures(0).slice(1), ok(5), ...fiveFailures(6).slice(1)]
    expect(run(CLOSED_BREAKER, events).phase).toBe('closed')
  })

  it('R063: half of the last calls failing open it, from ten calls on', () => {
    const alternating = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? ok(index) : bad(index)))
    expect(run(CLOSED_BREAKER, alternating.slice(0, 9)).phase).toBe('closed')
    const tripped = run(CLOSED_BREAKER, alternating.slice(0, 10))
    expect(tripped).toMatchObject({ phase: 'open', reason: '5 of 10 calls failed, last with http_503' })
  })

  it('R063: only the last 20 calls count', () => {
    const good = Array.from({ length: 40 }, (_, index) => ok(index))
    const twoOfThree = Array.from({ length: 15 }, (_, index) => (index % 3 === 2 ? ok(100 + index) : bad(100 + index)))
    // After 15 of them: 10 failures among the last 20.
    expect(run(CLOSED_BREAKER, [...good, ...twoOfThree.slice(0, 13)]).phase).toBe('closed')
    const tripped = run(CLOSED_BREAKER, [...good, ...twoOfThree])
    expect(tripped.calls.length).toBeLessThanOrEqual(20)
    expect(tripped).toMatchObject({ phase: 'open', reason: '10 of 20 calls failed, last with http_503' })
  })

  it('a window slower than its calls: an idle hour forgets the failure rate of before', () => {
    const almost = Array.from({ length: 18 }, (_, index) => (index % 2 === 0 ? bad(index) : ok(index))).slice(0, 9)
    const hourLater = 3_600_000
    expect(run(CLOSED_BREAKER, [...almost, ok(20), bad(30)]).phase).toBe('open')
    expect(run(CLOSED_BREAKER, [...almost, ok(20), bad(hourLater)]).phase).toBe('closed')
  })

  it('D12: calls that say nothing about health change nothing', () => {
    expect(reduceBreaker(CLOSED_BREAKER, neutral(1), SETTINGS)).toBe(CLOSED_BREAKER)
    expect(run(CLOSED_BREAKER, [...fiveFailures(0).slice(1), neutral(6), neutral(7)]).consecutiveFailures).toBe(4)
  })

  it('a success never opens it, whatever the rate', () => {
    const strict = { ...SETTINGS, consecutiveFailures: 100, minimumCalls: 10 }
    const nine = Array.from({ length: 9 }, (_, index) => bad(index))
    const ten = run(CLOSED_BREAKER, [...nine, ok(9)], strict)
    expect(ten.phase).toBe('closed')
    expect(reduceBreaker(ten, bad(10), strict)).toMatchObject({
      phase: 'open',
      reason: expect.stringMatching(/^10 of 11/),
    })
  })
})

describe('open (R066, R069)', () => {
  it('refuses until the cooldown ends, then lets one probe start', () => {
    expect(admission(OPEN, OPEN_UNTIL - 1, SETTINGS)).toEqual({
      admit: 'none',
      share: 0,
      retryAtMs: OPEN_UNTIL,
      reason: 'open: 5 calls in a row failed, last with http_503',
    })
    expect(admit(OPEN, OPEN_UNTIL)).toBe('probe')
  })

  it('a probe that starts too early is no probe', () => {
    expect(reduceBreaker(OPEN, probe(OPEN_UNTIL - 1, 'early'), SETTINGS)).toBe(OPEN)
  })

  it('results of calls sent before it opened neither prolong nor end it', () => {
    expect(run(OPEN, [bad(2_000), ok(2_001), ok(2_002), neutral(2_003)])).toBe(OPEN)
  })
})

describe('half open (R067, R068, D13)', () => {
  const halfOpen = reduceBreaker(OPEN, probe(31_004, 'a'), SETTINGS)

  it('one probe at a time', () => {
    expect(halfOpen).toMatchObject({ phase: 'half_open', probes: [{ id: 'a', untilMs: 121_004 }] })
    expect(admit(halfOpen, 31_005)).toBe('none')
    expect(reduceBreaker(halfOpen, probe(31_006, 'b'), SETTINGS)).toBe(halfOpen)
  })

  it('those who wait ask again soon, and at the latest when the lease ends', () => {
    expect(admission(halfOpen, 31_005, SETTINGS).retryAtMs).toBe(32_005)
    expect(admission(halfOpen, 120_900, SETTINGS).retryAtMs).toBe(121_004)
  })

  it.each([1, 2, 3])('C9: closes after %i good probes in a row', (probes) => {
    const settings = { ...SETTINGS, probes }
    let state = OPEN
    for (let index = 0; index < probes; index++) {
      expect(state.phase).not.toBe('ramping')
      state = run(state, [probe(31_004 + index * 10, `p${index}`), ok(31_009 + index * 10, `p${index}`)], settings)
    }
    expect(state.phase).toBe('ramping')
  })

  it('one bad probe reopens it, for twice as long, up to five minutes', () => {
    let state = OPEN
    const cooldowns: number[] = []
    for (let round = 0; round < 6; round++) {
      const id = `p${round}`
      state = run(state, [probe(state.openUntilMs, id), bad(state.openUntilMs + 10, id)])
      cooldowns.push(state.openUntilMs - state.changedAtMs)
    }
    expect(cooldowns).toEqual([60_000, 120_000, 240_000, 300_000, 300_000, 300_000])
    expect(state.reason).toBe('a probe failed with http_503; open for another 5m')
  })

  it('a largest cooldown below the first means no growth, not less', () => {
    const settings = { ...SETTINGS, maxOpenMs: 1_000 }
    expect(run(halfOpen, [bad(31_010, 'a')], settings).cooldownMs).toBe(30_000)
  })

  it('a bad probe after a good one starts the count again', () => {
    const state = run(halfOpen, [ok(31_010, 'a'), probe(31_011, 'b'), bad(31_012, 'b')])
    expect(state).toMatchObject({ phase: 'open', probeSuccesses: 0 })
    const again = run(state, [probe(state.openUntilMs, 'c'), ok(state.openUntilMs + 1, 'c')])
    expect(again).toMatchObject({ phase: 'half_open', probeSuccesses: 1 })
  })

  it('two workers that each started a probe before they knew of one another free only their own', () => {
    const merged: BreakerState = { ...halfOpen, probes: [...halfOpen.probes, { id: 'b', untilMs: 121_005 }] }
    const state = reduceBreaker(merged, ok(31_010, 'a'), SETTINGS)
    expect(state.probes.map(({ id }) => id)).toEqual(['b'])
    expect(reduceBreaker(state, ok(31_011, 'b'), SETTINGS).phase).toBe('ramping')
  })
})

describe('ramping (C10, D13)', () => {
  it('C10: lets traffic back in waves: 10 %, 50 %, all', () => {
    const shareAt = (nowMs: number) => admission(RAMPING, nowMs, SETTINGS)
    expect(shareAt(31_020)).toMatchObject({ admit: 'share', share: 0.1, reason: 'letting traffic back in waves: 10 %' })
    expect(shareAt(36_019)).toMatchObject({ admit: 'share', share: 0.1 })
    expect(shareAt(36_020)).toMatchObject({ admit: 'share', share: 0.5 })
    expect(shareAt(41_020)).toMatchObject({ admit: 'all', share: 1 })
  })

  it('is closed, by time alone, after the last wave', () => {
    expect(advanceBreaker(RAMPING, 41_019, SETTINGS)).toBe(RAMPING)
    expect(advanceBreaker(RAMPING, 99_000, SETTINGS)).toMatchObject({ phase: 'closed', changedAtMs: 41_020 })
    expect(reduceBreaker(RAMPING, ok(41_020), SETTINGS).phase).toBe('closed')
  })

  it('forgets the failures of before: one more does not open it', () => {
    expect(run(RAMPING, fiveFailures(31_100).slice(1)).phase).toBe('ramping')
  })

  it('a trip during the ramp reopens it for twice as long', () => {
    expect(run(RAMPING, fiveFailures(31_100))).toMatchObject({ phase: 'open', cooldownMs: 60_000, openUntilMs: 91_104 })
  })

  it('D13: the cooldown stays grown until it was closed for that long, then it is the first again', () => {
    expect(run(RAMPING, fiveFailures(31_020 + 59_995))).toMatchObject({ phase: 'open', cooldownMs: 60_000 })
    expect(run(RAMPING, fiveFailures(31_020 + 59_996))).toMatchObject({ phase: 'open', cooldownMs: 30_000 })
  })

  it('a ramp may take longer than the cooldown: a trip on its last step still counts as coming back soon', () => {
    const settings = { ...SETTINGS, rampStepMs: 100_000 }
    expect(run(RAMPING, fiveFailures(31_020 + 190_000), settings)).toMatchObject({ phase: 'open', cooldownMs: 60_000 })
  })

  it('without waves it closes at once', () => {
    const settings = { ...SETTINGS, rampShares: [], probes: 1 }
    expect(run(OPEN, [probe(31_004, 'a'), ok(31_010, 'a')], settings).phase).toBe('closed')
  })

  it('a ramp ends where its share first is whole, and says so: no change is to come (simulator, seed 7)', () => {
    const settings = { ...SETTINGS, rampShares: [0.5, 1] }
    expect(advanceBreaker(RAMPING, 36_019, settings)).toBe(RAMPING)
    expect(advanceBreaker(RAMPING, 36_020, settings)).toMatchObject({ phase: 'closed', changedAtMs: 36_020 })
    const atOnce = run(OPEN, [probe(31_004, 'a'), ok(31_010, 'a')], { ...SETTINGS, rampShares: [1], probes: 1 })
    expect(atOnce).toMatchObject({ phase: 'closed', changedAtMs: 31_010 })
  })

  it('calls sent before it closed say nothing about the time since', () => {
    const late = [1, 2, 3, 4, 5, 6].map(
      (index): BreakerEvent => ({
        type: 'failed',
        atMs: 31_020 + index,
        startedAtMs: 900 + index,
        code: 'timeout_total',
      }),
    )
    expect(run(RAMPING, late)).toBe(RAMPING)
    const fresh = late.map((event): BreakerEvent => ({ ...event, startedAtMs: 31_020 }) as BreakerEvent)
    expect(run(RAMPING, fresh).phase).toBe('open')
  })
})

describe('hands-on control', () => {
  it('a reset closes it from any phase, and forgets the grown cooldown', () => {
    for (const state of [OPEN, reduceBreaker(OPEN, probe(31_004, 'a'), SETTINGS), RAMPING]) {
      const reset = reduceBreaker(state, { type: 'reset', atMs: 31_100 }, SETTINGS)
      expect(reset).toMatchObject({ phase: 'closed', calls: [], reason: 'reset by hand', changedAtMs: 31_100 })
      expect(admit(reset, 31_100)).toBe('all')
      expect(run(reset, fiveFailures(31_200)).cooldownMs).toBe(30_000)
    }
  })
})

describe('time that misbehaves', () => {
  it('a trip before the time of a reset, by another clock, is as long as any first one', () => {
    const reset = reduceBreaker(OPEN, { type: 'reset', atMs: 40_000 }, SETTINGS)
    expect(run(reset, fiveFailures(39_000))).toMatchObject({ phase: 'open', cooldownMs: 30_000 })
  })

  it('calls sent before a reset do not undo it', () => {
    const reset = reduceBreaker(OPEN, { type: 'reset', atMs: 40_000 }, SETTINGS)
    const late = fiveFailures(40_001).map((event) => ({ ...event, startedAtMs: 39_000 }) as BreakerEvent)
    expect(run(reset, late)).toBe(reset)
  })

  it('results out of order are counted as they come', () => {
    expect(run(CLOSED_BREAKER, [bad(50), bad(10), bad(40), bad(20), bad(30)]).phase).toBe('open')
  })

  it('a clock set back a day lets a probe through within two cooldowns', () => {
    const opened = run(CLOSED_BREAKER, fiveFailures(86_400_000))
    expect(admit(opened, 0)).toBe('probe')
    // Set back by less than a cooldown: the wait is longer by that much.
    expect(admit(opened, 86_400_000 - 20_000)).toBe('none')
    expect(reduceBreaker(opened, probe(5, 'a'), SETTINGS).phase).toBe('half_open')
  })

  it('a lease from before the clock was set back does not block for a day', () => {
    const leased = run(CLOSED_BREAKER, [...fiveFailures(86_400_000), probe(86_440_000, 'a')])
    expect(leased.phase).toBe('half_open')
    expect(admit(leased, 0)).toBe('probe')
  })

  it('a ramp from before the clock was set back does not throttle for a day', () => {
    expect(admit(RAMPING, 31_020 - 5_000)).toBe('share')
    expect(admit(RAMPING, 31_020 - 86_400_000)).toBe('all')
  })

  it('a ramp that a clock set back ends has ended now, not at its time (simulator, seed 7)', () => {
    expect(advanceBreaker(RAMPING, 1_000, SETTINGS)).toMatchObject({ phase: 'closed', changedAtMs: 1_000 })
  })

  it('failures from before the clock was set back do not count in the window', () => {
    const ahead = Array.from({ length: 9 }, (_, index) => (index % 2 === 0 ? bad(86_400_000 + index) : ok(86_400_000)))
    expect(run(CLOSED_BREAKER, [...ahead, ok(1), bad(2)]).phase).toBe('closed')
  })

  it('a call is not taken for an old one where the clock was set back behind the closing', () => {
    const events = fiveFailures(100).map((event) => ({ ...event, startedAtMs: 99 }) as BreakerEvent)
    expect(run(RAMPING, events).phase).toBe('open')
  })
})

describe('bugs that others had (peers.md, C8)', () => {
  it('opossum #119: half open lets one call through, not the flood', () => {
    const halfOpen = reduceBreaker(OPEN, probe(OPEN_UNTIL, 'a'), SETTINGS)
    for (let call = 0; call < 100; call++) expect(admit(halfOpen, OPEN_UNTIL + call)).toBe('none')
  })

  it('opossum #119, #276: a failing probe reopens it though the rate and the volume are low by then', () => {
    const good = Array.from({ length: 20 }, (_, index) => ok(index))
    const failing = Array.from({ length: 10 }, (_, index) => (index % 3 === 2 ? ok(100 + index) : bad(100 + index)))
    const opened = run(CLOSED_BREAKER, [...good, ...failing, bad(200), bad(201), bad(202), bad(203), bad(204)])
    const longAfter = opened.openUntilMs + 3_600_000
    const state = run(opened, [probe(longAfter, 'a'), bad(longAfter + 1, 'a')])
    expect(state).toMatchObject({ phase: 'open', openUntilMs: longAfter + 1 + 60_000 })
  })

  it('opossum #385: failures that arrive together with the one that opened it do not stop it from half opening', () => {
    const state = run(CLOSED_BREAKER, [...fiveFailures(1_000), bad(1_004), bad(1_004), bad(1_005)])
    expect(state.openUntilMs).toBe(OPEN_UNTIL)
    expect(admit(state, OPEN_UNTIL)).toBe('probe')
  })

  it('opossum #388, resilience4j #935: a probe that ends in an error that does not count frees its place', () => {
    const state = run(OPEN, [probe(31_004, 'a'), neutral(31_005, 'a')])
    expect(state).toMatchObject({ phase: 'half_open', probes: [], probeSuccesses: 0 })
    expect(admit(state, 31_005)).toBe('probe')
    expect(run(state, [probe(31_006, 'b'), ok(31_007, 'b'), probe(31_008, 'c'), ok(31_009, 'c')]).phase).toBe('ramping')
  })

  it('resilience4j #903, #935: a probe that is never reported back is forgotten when its lease ends', () => {
    const state = reduceBreaker(OPEN, probe(31_004, 'lost'), SETTINGS)
    expect(admit(state, 121_003)).toBe('none')
    expect(admit(state, 121_004)).toBe('probe')
    const next = reduceBreaker(state, probe(121_004, 'b'), SETTINGS)
    expect(next.probes.map(({ id }) => id)).toEqual(['b'])
    // The lost one comes back after all: it has no say any more.
    expect(reduceBreaker(next, bad(121_005, 'lost'), SETTINGS)).toBe(next)
    expect(reduceBreaker(next, ok(121_005, 'lost'), SETTINGS)).toBe(next)
  })

  it('resilience4j #343: while half open, calls beside the probe neither start nor decide', () => {
    const state = reduceBreaker(OPEN, probe(31_004, 'a'), SETTINGS)
    expect(run(state, [bad(31_005), bad(31_006), ok(31_007), ok(31_008)])).toBe(state)
  })

  it('resilience4j #1432: calls let through while it was closed do not count as probes after it half opened', () => {
    const settings = { ...SETTINGS, probes: 1 }
    const state = reduceBreaker(OPEN, probe(31_004, 'a'), settings)
    const late: BreakerEvent = { type: 'succeeded', atMs: 31_005, startedAtMs: 990 }
    expect(reduceBreaker(state, late, settings).phase).toBe('half_open')
  })
})

describe('parentMayTrip (D15)', () => {
  const calls = (...tenants: [string | undefined, number, number][]): BreakerCall[] =>
    tenants.flatMap(([tenant, failed, good]) =>
      Array.from({ length: failed + good }, (_, index) => ({ atMs: index, failed: index < failed, tenant })),
    )

  it('one of three tenants failing is its own affair', () => {
    expect(parentMayTrip(calls(['acme', 12, 0], ['beta', 0, 4], ['gamma', 0, 4]))).toBe(false)
  })
  it('half of two is not more than half', () => {
    expect(parentMayTrip(calls(['acme', 10, 0], ['beta', 0, 10]))).toBe(false)
  })
  it('more than half of the active tenants', () => {
    expect(parentMayTrip(calls(['acme', 5, 0], ['beta', 5, 0], ['gamma', 0, 10]))).toBe(true)
  })
  it('three tenants, among however many', () => {
    const failing = calls(['a', 2, 0], ['b', 2, 0], ['c', 2, 0])
    const fine = calls(['d', 0, 1], ['e', 0, 1], ['f', 0, 1], ['g', 0, 1], ['h', 0, 1], ['i', 0, 1], ['j', 0, 1])
    expect(parentMayTrip([...failing, ...fine])).toBe(true)
  })
  it('the only tenant there is', () => {
    expect(parentMayTrip(calls(['default', 5, 0]))).toBe(true)
    expect(parentMayTrip(calls([undefined, 5, 0]))).toBe(true)
  })
  it('a stray failure does not make a tenant failing', () => {
    expect(parentMayTrip(calls(['acme', 10, 0], ['beta', 1, 4], ['gamma', 1, 4]))).toBe(false)
  })
})
