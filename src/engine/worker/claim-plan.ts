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
 * Hands out `capacity` places, one for each call, to candidates in the order of their turns. In the plan, lanes stand in the
 * order in which they got their last place.
 */
export function planClaims(candidates: readonly ClaimCandidate[], capacity: number): PlannedClaim[] {
  const [only, ...others] = candidates
  if (only && others.length === 0) return planAlone(only, capacity)
  const lanes = groupByLane(candidates)
  const served = new Set<LaneTurns>()
  let left = capacity
  let moved = true
  while (left > 0 && moved) {
    moved = false
    for (const lane of lanes) {
      if (left <= 0) break
      if (lane.free === 0 || !giveOne(lane)) continue
      lane.free -= 1
      left -= 1
      moved = true
      served.delete(lane)
      served.add(lane)
    }
  }
  return [...served].flatMap((lane) => lane.turns.filter((entry) => entry.taken > 0).map(toPlanned))
}

/**
 * Whose turn comes next: lanes that were served go to the back, and there the endpoints that were served behind the others. So
 * whoever waits longest is first, also with many more lanes than places, or more endpoints than their lane has places.
 */
export function afterTurn<Channel extends { readonly lane: string; readonly endpoint: string }>(
  channels: readonly Channel[],
  planned: readonly PlannedClaim[],
): Channel[] {
  const served = new Map<string, { readonly endpoints: Set<string>; readonly channels: Channel[] }>()
  for (const { lane, endpoint } of planned) {
    const known = served.get(lane)
    if (known) known.endpoints.add(endpoint)
    else served.set(lane, { endpoints: new Set([endpoint]), channels: [] })
  }
  const waiting = channels.filter((channel) => {
    const lane = served.get(channel.lane)
    lane?.channels.push(channel)
    return lane === undefined
  })
  const atTheBack = [...served.values()].flatMap((lane) => {
    const wasServed = (channel: Channel): boolean => lane.endpoints.has(channel.endpoint)
    return [...lane.channels.filter((channel) => !wasServed(channel)), ...lane.channels.filter(wasServed)]
  })
  return [...waiting, ...atTheBack]
}

/** Nobody to take turns with. */
function planAlone(candidate: ClaimCandidate, capacity: number): PlannedClaim[] {
  const taken = Math.min(capacity, candidate.limit, candidate.laneConcurrency - candidate.laneInFlight)
  return taken > 0 ? [toPlanned({ candidate, taken })] : []
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

function toPlanned({ candidate, taken }: Turn): PlannedClaim {
  return {
    lane: candidate.lane,
    endpoint: candidate.endpoint,
    limit: taken * (candidate.itemsPerCall ?? 1),
    laneConcurrency: candidate.laneConcurrency * (candidate.laneItemsPerCall ?? 1),
  }
}
