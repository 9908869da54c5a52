import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { afterTurn, type ClaimCandidate, planClaims } from './claim-plan.ts'

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

function quietLane(lane: string): ClaimCandidate {
  return { lane, endpoint: 'x', limit: 1000, laneConcurrency: 1000, laneInFlight: 0 }
}

function lanesOf(count: number): ClaimCandidate[] {
  return Array.from({ length: count }, (_, index) => quietLane(`lane${index}`))
}

describe('planClaims', () => {
  test('R058: a flooding lane takes only its share while others wait', () => {
    const flood = { lane: 'flood', endpoint: 'x', limit: 1000, laneConcurrency: 1000, laneInFlight: 0 }
    const quiet = { lane: 'quiet', endpoint: 'x', limit: 3, laneConcurrency: 1000, laneInFlight: 0 }
    const plan = planClaims([flood, quiet], 10)
    expect(Object.fromEntries(plan.map((entry) => [entry.lane, entry.limit]))).toEqual({ flood: 7, quiet: 3 })
  })

  test('places are for calls; the store is asked for as many items as they carry', () => {
    const lane = { lane: 'crm', limit: 10, laneConcurrency: 3, laneInFlight: 1, laneItemsPerCall: 100 }
    const plan = planClaims(
      [
        { ...lane, endpoint: 'batch', itemsPerCall: 100 },
        { ...lane, endpoint: 'one' },
      ],
      10,
    )
    expect(plan).toEqual([
      { lane: 'crm', endpoint: 'batch', limit: 100, laneConcurrency: 300 },
      { lane: 'crm', endpoint: 'one', limit: 1, laneConcurrency: 300 },
    ])
  })

  test('R058: with many more lanes than places, nobody is served twice before all were served once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60 }), (laneCount, capacity) => {
        let lanes = lanesOf(laneCount)
        const served = new Map(lanes.map(({ lane }) => [lane, 0]))
        for (let turn = 0; turn < 12; turn++) {
          const plan = planClaims(lanes, capacity)
          for (const { lane, limit } of plan) served.set(lane, (served.get(lane) ?? 0) + limit)
          lanes = afterTurn(lanes, plan)
          expect(Math.max(...served.values()) - Math.min(...served.values())).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('C21: endpoints of a lane with one place take turns too', () => {
    let channels = ['GET /x', 'POST /y', 'PUT /z'].map((endpoint) => ({
      ...quietLane('a'),
      endpoint,
      laneConcurrency: 1,
    }))
    const served: string[] = []
    for (let turn = 0; turn < 6; turn++) {
      const plan = planClaims(channels, 10)
      served.push(...plan.map(({ endpoint }) => endpoint))
      channels = afterTurn(channels, plan)
    }
    expect(served).toEqual(['GET /x', 'POST /y', 'PUT /z', 'GET /x', 'POST /y', 'PUT /z'])
  })

  test('who could not be served keeps its turn', () => {
    const others = lanesOf(4).slice(1)
    const plan = planClaims(others, 2)
    expect(afterTurn(lanesOf(4), plan).map(({ lane }) => lane)).toEqual(['lane0', 'lane3', 'lane1', 'lane2'])
  })

  test('never above capacity, channel limit or free lane places; leaves nothing on the table', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 12 }), fc.nat(60), (list, capacity) => {
        const channels = uniqueChannels(list)
        const plan = planClaims(channels, capacity)
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
