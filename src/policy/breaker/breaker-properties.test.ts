/**
 * The breaker as a model: any history of events, however disordered, keeps these promises. Histories are made of steps in time
 * (mostly forward, sometimes back) and of whatever may come next, the impossible included.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BreakerSettings } from '../../config/settings.ts'
import { admission, type BreakerEvent, type BreakerState, CLOSED_BREAKER, reduceBreaker } from './breaker.ts'

const anySettings: fc.Arbitrary<BreakerSettings> = fc
  .record({
    failureRate: fc.constantFrom(0.2, 0.5, 1),
    windowCalls: fc.integer({ min: 3, max: 25 }),
    windowMs: fc.constantFrom(1_000, 60_000),
    minimumCalls: fc.integer({ min: 2, max: 12 }),
    consecutiveFailures: fc.integer({ min: 2, max: 8 }),
    openMs: fc.constantFrom(1_000, 30_000),
    growth: fc.constantFrom(1, 3, 10),
    probes: fc.integer({ min: 1, max: 3 }),
    probeLeaseMs: fc.constantFrom(500, 90_000),
    rampShares: fc.constantFrom([], [0.1, 0.5], [0.2], [1], [0.5, 1]),
    rampStepMs: fc.constantFrom(0, 5_000),
  })
  .map(({ growth, ...settings }) => ({ ...settings, maxOpenMs: settings.openMs * growth }))

const anyStep = fc.record({
  afterMs: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 400 }) },
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 40_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_000_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 0 }) },
    { weight: 1, arbitrary: fc.integer({ min: -90_000_000, max: 0 }) },
  ),
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant('failed' as const) },
    { weight: 3, arbitrary: fc.constant('succeeded' as const) },
    { weight: 1, arbitrary: fc.constant('neutral' as const) },
    { weight: 4, arbitrary: fc.constant('probe_started' as const) },
    { weight: 1, arbitrary: fc.constant('reset' as const) },
  ),
  probe: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
  lateMs: fc.option(fc.integer({ min: 0, max: 200_000 }), { nil: undefined }),
})
const anyHistory = fc.array(anyStep, { maxLength: 120 })
type Step = typeof anyStep extends fc.Arbitrary<infer Value> ? Value : never

function eventOf({ what, probe, lateMs }: Step, atMs: number): BreakerEvent {
  const probeId = probe === undefined ? undefined : `p${probe}`
  const startedAtMs = lateMs === undefined ? undefined : atMs - lateMs
  switch (what) {
    case 'reset':
      return { type: 'reset', atMs }
    case 'probe_started':
      return { type: 'probe_started', atMs, probeId: probeId ?? 'p9' }
    case 'failed':
      return { type: 'failed', atMs, probeId, startedAtMs, code: 'http_503' }
    default:
      return { type: what, atMs, probeId, startedAtMs }
  }
}

const START_MS = 100_000_000
/** Histories rarely come so far by chance. */
const RAMPING: BreakerState = { ...CLOSED_BREAKER, phase: 'ramping', rampFromMs: START_MS, changedAtMs: START_MS }

/** Plays a history and shows every step: the state before, the event, the state after. */
function play(
  history: readonly Step[],
  settings: BreakerSettings,
  look: (before: BreakerState, event: BreakerEvent, after: BreakerState) => void = () => {},
  from: BreakerState = CLOSED_BREAKER,
): { readonly state: BreakerState; readonly nowMs: number } {
  let state = from
  let nowMs = START_MS
  for (const step of history) {
    nowMs += step.afterMs
    const event = eventOf(step, nowMs)
    const after = reduceBreaker(state, event, settings)
    look(state, event, after)
    state = after
  }
  return { state, nowMs }
}

describe('after any history (R062, D13, D16)', () => {
  it('it closes: enough time and good probes get there from everywhere', () => {
    fc.assert(
      fc.property(anySettings, anyHistory, (settings, history) => {
        let { state, nowMs } = play(history, settings)
        // A clock that goes on normally from here; tolerance for what was set back before.
        nowMs += settings.maxOpenMs * 2 + settings.probeLeaseMs * 2
        // After a set-back it may just now pass the time of a cooldown or a lease once more; that ends too.
        if (admission(state, nowMs, settings).admit === 'none') {
          nowMs += Math.max(settings.maxOpenMs, settings.probeLeaseMs) * 2
        }
        for (let probe = 0; probe < settings.probes && admission(state, nowMs, settings).admit !== 'all'; probe++) {
          if (admission(state, nowMs, settings).admit !== 'probe') break
          state = reduceBreaker(state, { type: 'probe_started', atMs: nowMs, probeId: `heal${probe}` }, settings)
          expect(state.phase).toBe('half_open')
          state = reduceBreaker(state, { type: 'succeeded', atMs: nowMs + 1, probeId: `heal${probe}` }, settings)
          nowMs += 2
        }
        nowMs += settings.rampShares.length * settings.rampStepMs * 2
        expect(admission(state, nowMs, settings).admit).toBe('all')
        expect(reduceBreaker(state, { type: 'succeeded', atMs: nowMs }, settings).phase).toBe('closed')
      }),
      { numRuns: 500 },
    )
  })

  it('R069: open lets nothing through before its time, unless the clock was set back by more than the cooldown', () => {
    fc.assert(
      fc.property(
        anySettings,
        anyHistory,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (settings, history, share) => {
          play(history, settings, (_before, _event, after) => {
            if (after.phase !== 'open') return
            const fromMs = after.changedAtMs - after.cooldownMs
            const nowMs = Math.min(Math.floor(fromMs + share * (after.openUntilMs - fromMs)), after.openUntilMs - 1)
            expect(admission(after, nowMs, settings)).toMatchObject({ admit: 'none', retryAtMs: after.openUntilMs })
            expect(reduceBreaker(after, { type: 'probe_started', atMs: nowMs, probeId: 'early' }, settings)).toBe(after)
          })
        },
      ),
    )
  })

  it('R067: at most one probe lease is alive', () => {
    fc.assert(
      fc.property(anySettings, anyHistory, (settings, history) => {
        play(history, settings, (_before, event, after) => {
          const alive = after.probes.filter(({ untilMs }) => untilMs > event.atMs)
          expect(alive.length).toBeLessThanOrEqual(1)
          if (after.phase !== 'half_open') expect(after.probes).toEqual([])
        })
      }),
    )
  })

  it('only the legal changes of phase happen, each for its own reason', () => {
    const legal: Record<string, readonly string[]> = {
      'closed>open': ['failed'],
      'ramping>open': ['failed'],
      'half_open>open': ['failed'],
      'open>half_open': ['probe_started'],
      'half_open>ramping': ['succeeded'],
      'half_open>closed': ['succeeded', 'reset'],
      'ramping>closed': ['succeeded', 'failed', 'neutral', 'probe_started', 'reset'],
      'open>closed': ['reset'],
    }
    fc.assert(
      fc.property(anySettings, anyHistory, (settings, history) => {
        play(history, settings, (before, event, after) => {
          if (before.phase === after.phase) return
          expect(legal[`${before.phase}>${after.phase}`] ?? []).toContain(event.type)
        })
      }),
      { numRuns: 300 },
    )
  })

  it('a change is never ahead of the event that brought it: one that is to come would outvote real ones (simulator, seed 7)', () => {
    const neverAhead = (before: BreakerState, event: BreakerEvent, after: BreakerState): void => {
      if (after.changedAtMs !== before.changedAtMs) expect(after.changedAtMs).toBeLessThanOrEqual(event.atMs)
    }
    fc.assert(
      fc.property(anySettings, anyHistory, fc.constantFrom(CLOSED_BREAKER, RAMPING), (settings, history, from) => {
        play(history, settings, neverAhead, from)
      }),
      { numRuns: 300 },
    )
  })

  it('cooldowns stay between openMs and maxOpenMs, grow only by doubling, and memory stays bounded', () => {
    fc.assert(
      fc.property(anySettings, anyHistory, (settings, history) => {
        play(history, settings, (before, _event, after) => {
          expect(after.calls.length).toBeLessThanOrEqual(settings.windowCalls)
          if (after.phase !== 'open' || before.phase === 'open') return
          expect(after.openUntilMs).toBe(after.changedAtMs + after.cooldownMs)
          expect(after.cooldownMs).toBeGreaterThanOrEqual(settings.openMs)
          expect(after.cooldownMs).toBeLessThanOrEqual(Math.max(settings.openMs, before.cooldownMs * 2))
          expect(after.cooldownMs).toBeLessThanOrEqual(settings.maxOpenMs)
        })
      }),
    )
  })

  it('the state is plain data: a copy that went through JSON behaves the same', () => {
    fc.assert(
      fc.property(anySettings, anyHistory, anyStep, (settings, history, step) => {
        const { state, nowMs } = play(history, settings)
        const copy = JSON.parse(JSON.stringify(state)) as BreakerState
        const event = eventOf(step, nowMs + step.afterMs)
        expect(JSON.stringify(reduceBreaker(copy, event, settings))).toBe(
          JSON.stringify(reduceBreaker(state, event, settings)),
        )
      }),
    )
  })

  it('nothing that was handed out is changed afterwards', () => {
    fc.assert(
      fc.property(anySettings, anyHistory, (settings, history) => {
        play(history, settings, (before, _event, after) => {
          Object.freeze(after)
          Object.freeze(after.calls)
          Object.freeze(after.probes)
          expect(Object.isFrozen(before) || before === CLOSED_BREAKER).toBe(true)
        })
      }),
    )
  })
})
