/** Which settings rule a channel: the steps behind a lane and an endpoint, and what health calls it. */
import type { HealthChannel } from '../../client/health/health.ts'
import { isBatched } from '../batches/batch-members.ts'
import type { Catalog, StepPlan } from '../pipelines/catalog.ts'

export interface KnownChannel {
  readonly plan: StepPlan
  readonly channel: HealthChannel | undefined
  readonly lingerMs: number
  readonly itemsPerCall: number
  readonly laneItemsPerCall: number
  /** Nothing of it would have to be looked for, or kept from being done again, if its worker were lost. */
  readonly isRepeatable: boolean
}

/** Which settings rule a channel. Lanes carry the tenant in their name, so each is resolved once and remembered. */
export function createHealthLookup(catalog: Catalog): (lane: string, endpoint: string) => KnownChannel | undefined {
  const remembered = new Map<string, KnownChannel | undefined>()
  const plans = [...catalog.pipelines.keys()].flatMap((name) => catalog.plansOf(name))

  function plansOfLane(lane: string, endpoint: string): readonly StepPlan[] {
    const ofLane = plans.filter((plan) => isLaneOf(plan, lane))
    if (ofLane.some((plan) => plan.endpointName === endpoint)) return ofLane
    const single = catalog.planOfChannel(lane, endpoint)
    return single ? [...ofLane, single] : ofLane
  }

  return (lane, endpoint) => {
    const key = channelKey(lane, endpoint)
    if (remembered.has(key)) return remembered.get(key)
    const known = knownChannel(plansOfLane(lane, endpoint), lane, endpoint)
    if (remembered.size > REMEMBERED_CHANNELS) remembered.clear()
    remembered.set(key, known)
    return known
  }
}

const REMEMBERED_CHANNELS = 10_000

/** Steps of several pipelines may share a channel; then the largest batch of them rules how many items make a call. */
function knownChannel(ofLane: readonly StepPlan[], lane: string, endpoint: string): KnownChannel | undefined {
  const ofChannel = ofLane.filter((plan) => plan.endpointName === endpoint)
  const [plan] = ofChannel
  if (!plan) return undefined
  const lingers = ofChannel.map((other) => (isBatched(other) ? other.batch.lingerMs : 0))
  return {
    plan,
    channel: healthChannelOf(plan, lane, endpoint),
    lingerMs: Math.min(...lingers),
    itemsPerCall: mostPerCall(ofChannel),
    laneItemsPerCall: mostPerCall(ofLane),
    isRepeatable: ofChannel.every((other) => other.repeatable),
  }
}

function mostPerCall(plans: readonly StepPlan[]): number {
  return Math.max(...plans.map((plan) => (isBatched(plan) ? plan.batch.size : 1)))
}

function isLaneOf(plan: StepPlan, lane: string): boolean {
  const shared = plan.laneFor('default')
  return lane === shared || lane.startsWith(`${shared}/`)
}

function healthChannelOf(plan: StepPlan, lane: string, endpoint: string): HealthChannel | undefined {
  if (plan.kind !== 'request') return undefined
  const shared = plan.laneFor('default')
  return {
    integration: plan.integration,
    endpoint,
    breaker: plan.endpoint.breaker,
    lane,
    tenant: lane === shared ? 'default' : lane.slice(shared.length + 1),
  }
}

export function channelKey(lane: string, endpoint: string): string {
  return `${lane} ${endpoint}`
}
