import { describe, expect, it } from 'vitest'
import type { BreakerSettings } from '../../config/settings.ts'
import { type BreakerEvent, type BreakerState, CLOSED_BREAKER } from './breaker.ts'
import { type BreakerScope, breakerKeys, reduceScopedBreaker } from './breaker-scopes.ts'

const BREAKER_SCOPES: readonly BreakerScope[] = ['global', 'endpoint', 'tenant']
type ScopedBreakers = Readonly<Record<BreakerScope, BreakerState>>

const SETTINGS: BreakerSettings = {
  failureRate: 0.5,
  windowCalls: 20,
  windowMs: 60_000,
  minimumCalls: 10,
  consecutiveFailures: 5,
  openMs: 30_000,
  maxOpenMs: 300_000,
  probes: 1,
  probeLeaseMs: 90_000,
  rampShares: [0.1, 0.5],
  rampStepMs: 5_000,
}

const ALL_CLOSED: ScopedBreakers = { global: CLOSED_BREAKER, endpoint: CLOSED_BREAKER, tenant: CLOSED_BREAKER }
const failed = (atMs: number, tenant: string, endpoint = 'POST /contacts'): BreakerEvent => ({
  type: 'failed',
  atMs,
  tenant,
  endpoint,
  code: 'http_503',
})

function applyToAll(breakers: ScopedBreakers, event: BreakerEvent): ScopedBreakers {
  const next: Record<BreakerScope, BreakerState> = { ...breakers }
  for (const scope of BREAKER_SCOPES) next[scope] = reduceScopedBreaker(scope, breakers[scope], event, SETTINGS)
  return next
}

describe('breakers in scopes (D15)', () => {
  it('names them as the screens do', () => {
    expect(breakerKeys('hubspot', 'POST /contacts', 'acme')).toEqual({
      global: 'hubspot',
      endpoint: 'hubspot:POST /contacts',
      tenant: 'hubspot:POST /contacts@acme',
    })
  })

  it("R074: one customer's bad destination opens its own breaker, not the endpoint's", () => {
    let endpoint = CLOSED_BREAKER
    let tenant = CLOSED_BREAKER
    for (let index = 0; index < 40; index++) {
      const event = failed(index, 'acme')
      tenant = reduceScopedBreaker('tenant', tenant, event, SETTINGS)
      endpoint = reduceScopedBreaker('endpoint', endpoint, event, SETTINGS)
      for (const other of ['beta', 'gamma']) {
        endpoint = reduceScopedBreaker(
          'endpoint',
          endpoint,
          { type: 'succeeded', atMs: index, tenant: other },
          SETTINGS,
        )
      }
      if (index === 20) {
        // Even a burst from that customer alone, with the others' calls still among the last 20.
        for (let more = 0; more < 8; more++) endpoint = reduceScopedBreaker('endpoint', endpoint, event, SETTINGS)
      }
    }
    expect(tenant.phase).toBe('open')
    expect(endpoint.phase).toBe('closed')
  })

  it('three failing tenants open the endpoint', () => {
    let endpoint = CLOSED_BREAKER
    for (let index = 0; index < 6; index++) {
      endpoint = reduceScopedBreaker('endpoint', endpoint, failed(index, `tenant ${index % 3}`), SETTINGS)
    }
    expect(endpoint.phase).toBe('open')
  })

  it('R072, R073: one broken endpoint does not open the API as a whole, two do', () => {
    let one = CLOSED_BREAKER
    let two = CLOSED_BREAKER
    for (let index = 0; index < 10; index++) {
      one = reduceScopedBreaker('global', one, failed(index, 'acme', 'POST /bulk'), SETTINGS)
      two = reduceScopedBreaker('global', two, failed(index, 'acme', index % 2 ? 'POST /bulk' : 'GET /rest'), SETTINGS)
    }
    expect(one.phase).toBe('closed')
    expect(two.phase).toBe('open')
  })

  it('one failing tenant of three does not open the API as a whole, at however many endpoints it fails', () => {
    let global = CLOSED_BREAKER
    for (const tenant of ['beta', 'gamma']) {
      global = reduceScopedBreaker(
        'global',
        global,
        { type: 'succeeded', atMs: 0, tenant, endpoint: 'GET /rest' },
        SETTINGS,
      )
    }
    for (let index = 0; index < 10; index++) {
      const endpoint = index % 2 ? 'POST /bulk' : 'POST /contacts'
      global = reduceScopedBreaker('global', global, failed(index, 'acme', endpoint), SETTINGS)
    }
    expect(global.phase).toBe('closed')
  })

  it('with callers that do not tell the endpoint, tenants alone decide', () => {
    let global = CLOSED_BREAKER
    for (let index = 0; index < 5; index++) {
      const event: BreakerEvent = { type: 'failed', atMs: index, tenant: 'acme', code: 'http_503' }
      global = reduceScopedBreaker('global', global, event, SETTINGS)
    }
    expect(global.phase).toBe('open')
  })

  it('one probe serves all scopes that need one, and is an ordinary call to the others', () => {
    const open: BreakerState = { ...CLOSED_BREAKER, phase: 'open', openUntilMs: 30_000, cooldownMs: 30_000 }
    let breakers: ScopedBreakers = { ...ALL_CLOSED, endpoint: open, tenant: open }
    breakers = applyToAll(breakers, { type: 'probe_started', atMs: 30_000, probeId: 'a' })
    expect(phasesOf(breakers)).toEqual(['closed', 'half_open', 'half_open'])
    breakers = applyToAll(breakers, { type: 'succeeded', atMs: 30_010, probeId: 'a', tenant: 'acme' })
    expect(phasesOf(breakers)).toEqual(['closed', 'ramping', 'ramping'])
    expect(breakers.global.calls).toHaveLength(1)
  })
})

const phasesOf = (breakers: ScopedBreakers) => BREAKER_SCOPES.map((scope) => breakers[scope].phase)
