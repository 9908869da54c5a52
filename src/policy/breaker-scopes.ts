/**
 * Breakers in three scopes (D15): the API as a whole, one endpoint of it, and one tenant's traffic to that endpoint. A call
 * needs all three. How to use them together:
 *
 * 1. Before sending, ask {@link combinedAdmission}. For `probe`, send `probe_started` before the call.
 * 2. Every event goes to all three scopes, through {@link reduceScopedBreaker}, with `tenant` and `endpoint`: each takes what
 *    concerns it. A probe is a probe where the scope is half open, and an ordinary call where it is closed.
 *    Only `reset` goes to one scope: the one that was asked for.
 *
 * A scope that is shared trips only on evidence that its children cannot be the cause, so that one customer's bad destination
 * does not open the endpoint for all, nor one broken endpoint the API as a whole (R072).
 */
import type { BreakerSettings } from '../config/settings.ts'
import {
  admission,
  type BreakerAdmission,
  type BreakerCall,
  type BreakerEvent,
  type BreakerState,
  parentMayTrip,
  reduceBreaker,
} from './breaker.ts'
import { failingGroups, type MayTrip } from './breaker-window.ts'

export const BREAKER_SCOPES = ['global', 'endpoint', 'tenant'] as const
export type BreakerScope = (typeof BREAKER_SCOPES)[number]
export type ScopedBreakers = Readonly<Record<BreakerScope, BreakerState>>

/** `hubspot`, `hubspot:POST /contacts`, `hubspot:POST /contacts@acme`. */
export function breakerKeys(integration: string, endpoint: string, tenant: string): Record<BreakerScope, string> {
  const endpointKey = `${integration}:${endpoint}`
  return { global: integration, endpoint: endpointKey, tenant: `${endpointKey}@${tenant}` }
}

const MAY_TRIP: Record<BreakerScope, MayTrip | undefined> = {
  global: (calls) => parentMayTrip(calls) && severalEndpointsFail(calls),
  endpoint: parentMayTrip,
  tenant: undefined,
}

/** {@link reduceBreaker} for the breaker of one scope. */
export function reduceScopedBreaker(
  scope: BreakerScope,
  state: BreakerState,
  event: BreakerEvent,
  settings: BreakerSettings,
): BreakerState {
  return reduceBreaker(state, event, settings, MAY_TRIP[scope])
}

export type CombinedAdmission = BreakerAdmission & {
  /** The scope that decided; `undefined` where nothing limits. */
  readonly scope: BreakerScope | undefined
}

const ADMIT_ALL: CombinedAdmission = Object.freeze({
  admit: 'all',
  share: 1,
  retryAtMs: 0,
  reason: '',
  scope: undefined,
})
const STRICTNESS: Record<BreakerAdmission['admit'], number> = { all: 0, share: 1, probe: 2, none: 3 }

/** What all three scopes together let through: the strictest answer; of several refusals, the one that lasts longest. */
export function combinedAdmission(
  breakers: ScopedBreakers,
  nowMs: number,
  settings: BreakerSettings,
): CombinedAdmission {
  let strictest = ADMIT_ALL
  for (const scope of BREAKER_SCOPES) {
    const answer = admission(breakers[scope], nowMs, settings)
    if (isStricter(answer, strictest)) strictest = { ...answer, scope }
  }
  return strictest
}

function isStricter(answer: BreakerAdmission, than: BreakerAdmission): boolean {
  const difference = STRICTNESS[answer.admit] - STRICTNESS[than.admit]
  if (difference !== 0) return difference > 0
  return answer.admit === 'share' ? answer.share < than.share : answer.retryAtMs > than.retryAtMs
}

/** Callers that do not tell the endpoint have one group, of which nothing can be said. */
function severalEndpointsFail(calls: readonly BreakerCall[]): boolean {
  if (calls.every((call) => call.endpoint === undefined)) return true
  return failingGroups(calls, (call) => call.endpoint).failing >= 2
}
