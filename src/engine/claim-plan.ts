/**
 * Which channels to claim from, and how much: the fairness of the engine, as a pure function. Lanes take turns one item at
 * a time, and within a lane its endpoints do, so that no lane and no tenant starves another (R058, R108, C21).
 */

export interface ClaimCandidate {
  readonly lane: string
  readonly endpoint: string
  /** The most calls this channel may start now: breaker, gate and limiter have been asked. */
  readonly limit: number
  /** The most calls of its lane at the same time. */
  readonly laneConcurrency: number
  /** Calls of its lane that this worker has under way. */
  readonly laneInFlight: number
  /** Items that share a call in this channel. Default 1. */
  readonly itemsPerCall?: number
  /** The most of any channel of its lane: the store counts items, not calls. Default 1. */
  readonly laneItemsPerCall?: number
  /** The turn in which it was given a place last. Default 0: never. */
  readonly lastTurn?: number
}

export interface PlannedClaim {
  readonly lane: string
  readonly endpoint: string
  /** Items. */
  readonly limit: number
  /** Items of the lane, over all workers. */
  readonly laneConcurrency: number
}

interface Turn {
  readonly candidate: ClaimCandidate
  taken: number
}

/**
 * Hands out `capacity` places, one for each call. `turn` rotates who comes first, so that with more lanes than places each gets its turn.
 */
export function planClaims(candidates: readonly ClaimCandidate[], capacity: number, turn: number): PlannedClaim[] {
  const lanes = groupByLane(candidates)
  if (lanes.length === 0 || capacity <= 0) return []
  const order = rotate(lanes, turn)
  let left = capacity
  let moved = true
  while (left > 0 && moved) {
    moved = false
    for (const lane of order) {
      if (left === 0) break
      if (lane.free === 0 || !giveOne(lane)) continue
      lane.free -= 1
      left -= 1
      moved = true
    }
  }
  return order.flatMap((lane) => lane.turns.filter((entry) => entry.taken > 0).map(toPlanned))
}

interface LaneTurns {
  readonly turns: Turn[]
  free: number
  next: number
}

function groupByLane(candidates: readonly ClaimCandidate[]): LaneTurns[] {
  const lanes = new Map<string, LaneTurns>()
  for (const candidate of candidates) {
    if (candidate.limit <= 0) continue
    const lane = lanes.get(candidate.lane)
    if (lane) lane.turns.push({ candidate, taken: 0 })
    else {
      const free = Math.max(0, candidate.laneConcurrency - candidate.laneInFlight)
      lanes.set(candidate.lane, { turns: [{ candidate, taken: 0 }], free, next: 0 })
    }
  }
  // Places often come free one by one: whoever had one last waits for the others of its lane.
  for (const { turns } of lanes.values()) {
    if (turns.length > 1) turns.sort((a, b) => (a.candidate.lastTurn ?? 0) - (b.candidate.lastTurn ?? 0))
  }
  return [...lanes.values()]
}

function giveOne(lane: LaneTurns): boolean {
  for (let tried = 0; tried < lane.turns.length; tried++) {
    const entry = lane.turns[(lane.next + tried) % lane.turns.length]
    if (!entry || entry.taken >= entry.candidate.limit) continue
    entry.taken += 1
    lane.next = (lane.next + tried + 1) % lane.turns.length
    return true
  }
  return false
}

function rotate<Entry>(list: readonly Entry[], by: number): Entry[] {
  const start = by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

function toPlanned({ candidate, taken }: Turn): PlannedClaim {
  return {
    lane: candidate.lane,
    endpoint: candidate.endpoint,
    limit: taken * (candidate.itemsPerCall ?? 1),
    laneConcurrency: candidate.laneConcurrency * (candidate.laneItemsPerCall ?? 1),
  }
}
