import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ClaimCandidate, planClaims } from './claim-plan.ts'

const candidate = fc.record({
  lane: fc.constantFrom('a', 'b', 'c', 'd'),
  endpoint: fc.constantFrom('GET /x', 'POST /y', 'PUT /z'),
  limit: fc.nat(20),
  laneConcurrency: fc.constant(10),
  laneInFlight: fc.constant(3),
})

function uniqueChannels(list: ClaimCandidate[]): ClaimCandidate[] {
  return [...new Map(list.map((entry) => [`${entry.lane} ${entry.endpoint}`, entry])).values()]
}

function total(plan: { limit: number }[]): number {
  return plan.reduce((sum, entry) => sum + entry.limit, 0)
}

describe('planClaims', () => {
  test('R058: a flooding lane takes only its share while others wait', () => {
    const flood = { lane: 'flood', endpoint: 'x', limit: 1000, laneConcurrency: 1000, laneInFlight: 0 }
    const quiet = { lane: 'quiet', endpoint: 'x', limit: 3, laneConcurrency: 1000, laneInFlight: 0 }
    const plan = planClaims([flood, quiet], 10, 0)
    expect(Object.fromEntries(plan.map((entry) => [entry.lane, entry.limit]))).toEqual({ flood: 7, quiet: 3 })
  })

  test('R108: of the endpoints of a lane, the one that had its turn longest ago is first', () => {
    const lane = { lane: 'crm', limit: 10, laneConcurrency: 1, laneInFlight: 0 }
    const plan = planClaims(
      [
        { ...lane, endpoint: 'a', lastTurn: 7 },
        { ...lane, endpoint: 'b', lastTurn: 6 },
      ],
      1,
      0,
    )
    expect(plan.map((entry) => entry.endpoint)).toEqual(['b'])
  })

  test('places are for calls; the store is asked for as many items as they carry', () => {
    const lane = { lane: 'crm', limit: 10, laneConcurrency: 3, laneInFlight: 1, laneItemsPerCall: 100 }
    const plan = planClaims(
      [
        { ...lane, endpoint: 'batch', itemsPerCall: 100 },
        { ...lane, endpoint: 'one' },
      ],
      10,
      0,
    )
    expect(plan).toEqual([
      { lane: 'crm', endpoint: 'batch', limit: 100, laneConcurrency: 300 },
      { lane: 'crm', endpoint: 'one', limit: 1, laneConcurrency: 300 },
    ])
  })

  test('R058: with more lanes than places, turns go round', () => {
    const lanes = Array.from({ length: 5 }, (_, index) => ({
      lane: `lane${index}`,
      endpoint: 'x',
      limit: 1,
      laneConcurrency: 1,
      laneInFlight: 0,
    }))
    const served = new Set([0, 1, 2, 3, 4].flatMap((turn) => planClaims(lanes, 1, turn).map((entry) => entry.lane)))
    expect(served.size).toBe(5)
  })

  test('never above capacity, channel limit or free lane places; leaves nothing on the table', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 12 }), fc.nat(60), fc.nat(9), (list, capacity, turn) => {
        const channels = uniqueChannels(list)
        const plan = planClaims(channels, capacity, turn)
        expect(total(plan)).toBeLessThanOrEqual(capacity)
        let possible = 0
        for (const lane of new Set(channels.map((entry) => entry.lane))) {
          const wanted = total(channels.filter((entry) => entry.lane === lane))
          possible += Math.min(wanted, 7)
          expect(total(plan.filter((entry) => entry.lane === lane))).toBeLessThanOrEqual(7)
        }
        for (const entry of plan) {
          const source = channels.find((other) => other.lane === entry.lane && other.endpoint === entry.endpoint)
          expect(entry.limit).toBeLessThanOrEqual(source?.limit ?? 0)
        }
        expect(total(plan)).toBe(Math.min(capacity, possible))
      }),
    )
  })
})
