/**
 * Breakers in three scopes (D15): the API as a whole, one endpoint of it, and one tenant's traffic to that endpoint. A call
 * needs all three. How to use them together:
 *
 * 1. Before sending, ask each for its `admission`; the strictest counts. For `probe`, send `probe_started` before the call.
 * 2. Every event goes to all three scopes, through {@link reduceScopedBreaker}, with `tenant` and `endpoint`: each takes what
 *    concerns it. A probe is a probe where the scope is half open, and an ordinary call where it is closed.
 *    Only `reset` goes to one scope: the one that was asked for.
 *
 * A scope that is shared trips only on evidence that its children cannot be the cause, so that one customer's bad destination
 * does not open the endpoint for all, nor one broken endpoint the API as a whole (R072).
 */
import type { BreakerSettings } from '../../config/settings.ts'
import { type BreakerCall, type BreakerEvent, type BreakerState, parentMayTrip, reduceBreaker } from './breaker.ts'
import { failingGroups, type MayTrip } from './breaker-window.ts'

export type BreakerScope = 'global' | 'endpoint' | 'tenant'

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

/** Callers that do not tell the endpoint have one group, of which nothing can be said. */
function severalEndpointsFail(calls: readonly BreakerCall[]): boolean {
  if (calls.every((call) => call.endpoint === undefined)) return true
  return failingGroups(calls, (call) => call.endpoint).failing >= 2
}
