import { describe, expect, it } from 'vitest'
import { type BreakerEvent, type BreakerState, CLOSED_BREAKER, reduceBreaker } from '../../policy/breaker/breaker.ts'
import { testEndpoint } from '../test-kit.ts'
import { askBreakers, type Breaker, mergeBreakers, probeIdOf } from './breaker-board.ts'

const SETTINGS = testEndpoint('GET /people').breaker

const OPEN: BreakerState = { ...CLOSED_BREAKER, phase: 'open', openUntilMs: 30_000, cooldownMs: 30_000, reason: 'down' }
const RAMPING: BreakerState = { ...CLOSED_BREAKER, phase: 'ramping', rampFromMs: 0 }

function breaker(key: string, state: BreakerState, inFlight = 0): Breaker {
  const rules = { scope: 'endpoint' as const, settings: SETTINGS }
  return { key, state, rules, inFlight, usedAtMs: 0, revision: 0, sharedSignature: '' }
}

const ask = (nowMs: number, ...states: BreakerState[]) =>
  askBreakers(
    states.map((state, index) => breaker(`breaker-${index}`, state)),
    nowMs,
    10,
  )

describe('D15: a call needs the breakers of all scopes', () => {
  it('one that is open refuses, wherever it stands', () => {
    expect(ask(10, CLOSED_BREAKER, CLOSED_BREAKER)).toEqual({ refused: undefined, probe: false })
    for (const states of [
      [OPEN, CLOSED_BREAKER],
      [CLOSED_BREAKER, OPEN],
      [RAMPING, OPEN],
    ]) {
      expect(ask(10, ...states).refused).toMatchObject({ by: 'breaker', untilMs: 30_000 })
    }
  })

  it('of several refusals the longest counts: asking again before it ends would be in vain', () => {
    const openLonger = { ...OPEN, openUntilMs: 60_000 }
    expect(ask(10, OPEN, openLonger, OPEN).refused).toMatchObject({
      untilMs: 60_000,
      reason: expect.stringContaining('breaker-1'),
    })
  })

  it('where one wants a probe and none refuses, the call is a probe', () => {
    expect(ask(30_000, CLOSED_BREAKER, OPEN, RAMPING)).toEqual({ refused: undefined, probe: true })
    expect(ask(30_000, OPEN, { ...OPEN, openUntilMs: 60_000 }).refused).toMatchObject({ untilMs: 60_000 })
  })

  it('a ramp lets through its share of the concurrency, and at least one', () => {
    const full = askBreakers([breaker('ramp', RAMPING, 1)], 1_000, 10)
    expect(full.refused).toMatchObject({ untilMs: 1_500, reason: expect.stringContaining('10 %') })
    expect(askBreakers([breaker('ramp', RAMPING, 4)], 6_000, 10).refused).toBeUndefined()
    expect(askBreakers([breaker('ramp', RAMPING, 0)], 1_000, 1).refused).toBeUndefined()
  })
})

describe('D13: one probe at a time, over all processes', () => {
  const mine = probeIdOf('here', 'a')
  const apply = (state: BreakerState, event: BreakerEvent) => reduceBreaker(state, event, SETTINGS)
  const probing = apply(OPEN, { type: 'probe_started', atMs: 30_000, probeId: mine })
  /** Another process had heard of an older opening, whose call failed a moment later. */
  const openedElsewhere: BreakerState = { ...OPEN, changedAtMs: 30_005, openUntilMs: 30_006, cooldownMs: 60_000 }

  it("seed 563: another process's word that it is open does not make a process forget its own probe", () => {
    const merged = mergeBreakers(probing, openedElsewhere, 'here')
    expect(merged).toMatchObject({ phase: 'open', openUntilMs: 30_006, probes: [{ id: mine }] })
    expect(ask(31_000, merged).refused?.reason).toContain('a probe is under way')
    expect(apply(merged, { type: 'probe_started', atMs: 31_000, probeId: probeIdOf('here', 'b') })).toBe(merged)
  })

  it('the others learn of it, and wait for it too', () => {
    const told = mergeBreakers(probing, openedElsewhere, 'here')
    expect(ask(31_000, mergeBreakers(openedElsewhere, told, 'there')).refused?.reason).toContain('under way')
  })

  it('it ends with its answer, whatever that is, or with its lease', () => {
    const merged = mergeBreakers(probing, openedElsewhere, 'here')
    for (const end of [
      { type: 'succeeded' as const },
      { type: 'neutral' as const },
      { type: 'failed' as const, code: 'http_503' },
    ]) {
      const freed = apply(merged, { ...end, atMs: 31_000, probeId: mine })
      expect(freed).toMatchObject({ phase: 'open', probes: [], openUntilMs: 30_006 })
      expect(ask(31_000, freed)).toEqual({ refused: undefined, probe: true })
    }
    expect(ask(30_000 + SETTINGS.probeLeaseMs, merged)).toEqual({ refused: undefined, probe: true })
  })

  it('the word of another process on its own probes is the last one', () => {
    const theirs = apply(OPEN, { type: 'probe_started', atMs: 30_001, probeId: probeIdOf('there', 'c') })
    const both = mergeBreakers(probing, theirs, 'here')
    expect(both.probes.map(({ id }) => id)).toEqual([mine, probeIdOf('there', 'c')])
    const theirsEnded = apply(theirs, { type: 'neutral', atMs: 30_500, probeId: probeIdOf('there', 'c') })
    expect(mergeBreakers(both, theirsEnded, 'here').probes.map(({ id }) => id)).toEqual([mine])
  })
})
