import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RateSettings } from '../../config/settings.ts'
import { countStarts, EMPTY_RATE, mergeStarts, type RateState, rateAvailable, rateTake } from './limiter.ts'
import {
  countedRate,
  deliveryMs,
  exchangeSlots,
  leaveSlots,
  NOBODY_HOLDS,
  type SharedLimit,
  slotsElsewhere,
} from './limiter-slots.ts'

const LEASE_MS = 1500

/** A process as the client keeps it: what it holds, and what it started there. */
interface Process {
  readonly id: string
  starts: RateState
  lastMs: number
  alive: boolean
}

/** All processes on one record; exchanges are whole, as compare-and-swap makes them. */
function world(settings: RateSettings) {
  const rate = countedRate(settings)
  const processes: Process[] = []
  const began: number[] = []
  let shared: SharedLimit = NOBODY_HOLDS
  let nowMs = 1_000_000

  function exchange(process: Process, wanted: number): void {
    const { id, starts, lastMs } = process
    const known = shared.holders[id] !== undefined
    shared = exchangeSlots(
      shared,
      { holder: id, starts, wanted, lastMs, nowMs, untilMs: nowMs + LEASE_MS, exchange: 1 },
      rate,
    )
    // What was made free meanwhile is counted there.
    process.starts = shared.holders[id]?.starts ?? EMPTY_RATE
    if (!known) expect(countStarts(process.starts)).toBeLessThanOrEqual(shared.holders[id]?.slots ?? 0)
  }
  function room(process: Process): number {
    const held = shared.holders[process.id]
    if (!held || nowMs >= held.untilMs) return 0
    return rateAvailable(process.starts, nowMs, { limit: held.slots, perMs: rate.perMs }).available
  }
  function start(process: Process, most: number): number {
    const count = Math.min(most, room(process))
    if (count === 0) return 0
    process.starts = rateTake(process.starts, nowMs, count, rate)
    process.lastMs = nowMs
    for (let index = 0; index < count; index++) began.push(nowMs)
    return count
  }
  return {
    rate,
    began,
    processes,
    exchange,
    room,
    start,
    shared: () => shared,
    nowMs: () => nowMs,
    elapse: (delayMs: number) => {
      nowMs += delayMs
    },
    add(): Process {
      const process: Process = { id: `process-${processes.length}`, starts: EMPTY_RATE, lastMs: 0, alive: true }
      processes.push(process)
      return process
    },
    leave(process: Process): void {
      shared = leaveSlots(shared, { holder: process.id, starts: process.starts, nowMs }, rate)
      process.starts = EMPTY_RATE
    },
  }
}

function fullestWindow(startsMs: readonly number[], perMs: number): number {
  let fullest = 0
  let first = 0
  for (const [index, atMs] of startsMs.entries()) {
    while ((startsMs[first] as number) <= atMs - perMs) first += 1
    fullest = Math.max(fullest, index - first + 1)
  }
  return fullest
}

const anyRate = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 400 })),
  perMs: fc.oneof(fc.integer({ min: 200, max: 3000 }), fc.integer({ min: 3000, max: 60_000 })),
})
const anyStep = fc.record({
  /** Which process, of those there are. */
  who: fc.nat({ max: 5 }),
  what: fc.constantFrom('exchange', 'exchange', 'start', 'start', 'start', 'leave', 'die', 'add'),
  many: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 500 })),
  share: fc.oneof(
    fc.constant(0),
    fc.double({ min: 0, max: 0.1, noNaN: true }),
    fc.double({ min: 0, max: 1.2, noNaN: true }),
  ),
})

describe('a limit shared by several processes', () => {
  it('R053: never more than the limit in any window, whoever exchanges, starts, leaves or dies, and when', () => {
    fc.assert(
      fc.property(anyRate, fc.array(anyStep, { minLength: 10, maxLength: 200 }), (settings, steps) => {
        const all = world(settings)
        for (let index = 0; index < 3; index++) all.add()
        for (const { who, what, many, share } of steps) {
          all.elapse(Math.round(share * settings.perMs))
          const process = all.processes[who % all.processes.length] as Process
          if (what === 'add') all.add()
          if (!process.alive) continue
          if (what === 'exchange') all.exchange(process, Math.min(settings.limit, many))
          if (what === 'start') all.start(process, many)
          if (what === 'leave') all.leave(process)
          if (what === 'die') process.alive = false
          const held = Object.values(all.shared().holders).reduce((sum, { slots }) => sum + slots, 0)
          expect(held).toBeLessThanOrEqual(settings.limit)
        }
        expect(fullestWindow(all.began, settings.perMs)).toBeLessThanOrEqual(settings.limit)
      }),
      { numRuns: 400 },
    )
  })

  it('whatever happened before: whoever goes on alone has the whole limit again a lease and a window later', () => {
    fc.assert(
      fc.property(anyRate, fc.array(anyStep, { maxLength: 60 }), (settings, steps) => {
        const all = world(settings)
        for (let index = 0; index < 4; index++) all.add()
        for (const { who, what, many, share } of steps) {
          all.elapse(Math.round(share * settings.perMs))
          const process = all.processes[who % all.processes.length] as Process
          if (what === 'exchange') all.exchange(process, Math.min(settings.limit, many))
          if (what === 'start') all.start(process, many)
        }
        const survivor = all.add()
        all.exchange(survivor, settings.limit)
        all.elapse(LEASE_MS + all.rate.perMs + 2 * deliveryMs(all.rate))
        all.exchange(survivor, settings.limit)
        expect(all.room(survivor)).toBe(settings.limit)
      }),
    )
  })

  it('all who want it get it: nobody starves, and nobody has more than one start more than another', () => {
    fc.assert(
      fc.property(
        fc.record({ limit: fc.integer({ min: 1, max: 30 }), perMs: fc.integer({ min: 4000, max: 20_000 }) }),
        fc.integer({ min: 2, max: 6 }),
        (settings, count) => {
          const all = world(settings)
          for (let index = 0; index < count; index++) all.add()
          const starts = new Map<string, number>()
          const windows = 8 + 2 * count
          const stepMs = 250
          for (let turn = 0; turn * stepMs < windows * all.rate.perMs; turn++) {
            for (const process of all.processes) {
              all.exchange(process, settings.limit)
              const begun = all.start(process, settings.limit)
              // The first takes the first window: who comes later has its turn from the second.
              if (turn * stepMs > 2 * all.rate.perMs) starts.set(process.id, (starts.get(process.id) ?? 0) + begun)
            }
            all.elapse(stepMs)
          }
          const totals = all.processes.map(({ id }) => starts.get(id) ?? 0)
          const total = totals.reduce((sum, one) => sum + one, 0)
          expect(total).toBeGreaterThanOrEqual(settings.limit * (windows - 3) * 0.85)
          expect(Math.min(...totals)).toBeGreaterThanOrEqual(Math.floor((total / count) * 0.5))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('one who wants little gets all of it; the others share the rest', () => {
    const all = world({ limit: 100, perMs: 10_000 })
    const [modest, greedy, other] = [all.add(), all.add(), all.add()]
    for (let round = 0; round < 3; round++) {
      all.exchange(modest, 10)
      all.exchange(greedy, 100)
      all.exchange(other, 100)
    }
    expect(Object.values(all.shared().holders).map(({ slots }) => slots)).toEqual([10, 45, 45])
  })

  it('a slot that goes to another takes its start along', () => {
    const all = world({ limit: 2, perMs: 5000 })
    const [first, second] = [all.add(), all.add()]
    all.exchange(first, 2)
    expect(all.start(first, 2)).toBe(2)
    all.exchange(second, 2)
    all.exchange(first, 2)
    all.exchange(second, 2)
    expect(all.shared().holders[second.id]).toMatchObject({ slots: 1, starts: { starts: [[1_000_000, 1]] } })
    expect([all.room(first), all.room(second)]).toEqual([0, 0])
    expect(slotsElsewhere(all.shared(), second.id, all.nowMs(), all.rate).held).toBe(1_000_000 + all.rate.perMs)
    for (let waitedMs = 0; waitedMs < all.rate.perMs; waitedMs += 400) {
      all.elapse(400)
      all.exchange(first, 2)
      all.exchange(second, 2)
    }
    expect([all.room(first), all.room(second)]).toEqual([1, 1])
  })

  it('what a process that died may have started counts as started at the end of its lease, and nothing else does', () => {
    const all = world({ limit: 3, perMs: 10_000 })
    const [dead, survivor] = [all.add(), all.add()]
    all.exchange(dead, 2)
    all.start(dead, 1)
    all.exchange(dead, 2)
    const lastMs = all.nowMs() + LEASE_MS + deliveryMs(all.rate)
    all.elapse(LEASE_MS + 1000)
    all.exchange(survivor, 3)
    // One slot was never held; one was surely used up; one may have been used until the last moment.
    expect(all.shared().holders[survivor.id]).toMatchObject({
      slots: 3,
      starts: {
        starts: [
          [1_000_000, 1],
          [lastMs, 1],
        ],
      },
    })
    expect(all.room(survivor)).toBe(1)
  })

  it('what was started beyond the lease, while the store was away, stays counted (simulator, seed 7410)', () => {
    const rate = { limit: 2, perMs: 20_000 }
    const nowMs = 1_000_000
    const beyondLease = { starts: [[nowMs - 1000, 1]] as const }
    const about = { holder: 'back', wanted: 2, lastMs: 0, nowMs, untilMs: nowMs + 1000, exchange: 9 }
    const shared = exchangeSlots(NOBODY_HOLDS, { ...about, starts: beyondLease, beyondLease }, rate)
    expect(shared.holders['back']).toMatchObject({ slots: 2, starts: beyondLease })
    // What began before its end is counted with those who took the slots.
    expect(exchangeSlots(NOBODY_HOLDS, { ...about, starts: beyondLease }, rate).holders['back']?.starts).toEqual(
      EMPTY_RATE,
    )
  })

  it('a lower limit takes effect as each gives what is too much', () => {
    const all = world({ limit: 10, perMs: 10_000 })
    const only = all.add()
    all.exchange(only, 10)
    const lower = exchangeSlots(
      all.shared(),
      {
        holder: only.id,
        starts: EMPTY_RATE,
        wanted: 10,
        lastMs: 0,
        nowMs: all.nowMs(),
        untilMs: all.nowMs() + 1,
        exchange: 1,
      },
      { ...all.rate, limit: 4 },
    )
    expect(lower.holders[only.id]?.slots).toBe(4)
  })

  it('a call has a twelfth of the window to arrive, within limits', () => {
    expect([10_000, 1000, 300, 86_400_000].map((perMs) => deliveryMs({ limit: 1, perMs }))).toEqual([
      834, 100, 60, 1000,
    ])
  })

  it('R051: a daily quota of four processes is kept in a few hundred numbers', () => {
    const all = world({ limit: 250_000, perMs: 86_400_000 })
    const processes = [all.add(), all.add(), all.add(), all.add()]
    for (let turn = 0; turn < 2000; turn++) {
      for (const process of processes) {
        all.exchange(process, 100_000)
        all.start(process, 90)
      }
      all.elapse(60_000)
    }
    expect(JSON.stringify(all.shared()).length).toBeLessThan(8000)
    expect(mergeStarts(EMPTY_RATE, EMPTY_RATE, all.rate)).toEqual(EMPTY_RATE)
  })
})
