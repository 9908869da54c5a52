import { describe, expect, it } from 'vitest'
import type { BreakerSettings } from '../config/settings.ts'
import { type BreakerEvent, CLOSED_BREAKER, reduceBreaker } from './breaker.ts'
import {
  BREAKER_SCOPES,
  breakerKeys,
  combinedAdmission,
  reduceScopedBreaker,
  type ScopedBreakers,
} from './breaker-scopes.ts'

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
  const next = { ...breakers }
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

  it('R072: one broken endpoint does not open the API as a whole, two do', () => {
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
})

describe('combinedAdmission', () => {
  const open = reduceBreaker(
    { ...CLOSED_BREAKER, consecutiveFailures: 4 },
    { type: 'failed', atMs: 0, code: 'http_503' },
    SETTINGS,
  )
  const openLonger = { ...open, openUntilMs: 60_000 }
  const ramping = { ...CLOSED_BREAKER, phase: 'ramping' as const, rampFromMs: 0 }
  const rampingLater = { ...ramping, rampFromMs: 4_000 }

  it('a call needs all three', () => {
    expect(combinedAdmission(ALL_CLOSED, 10, SETTINGS)).toMatchObject({ admit: 'all', scope: undefined })
    for (const scope of BREAKER_SCOPES) {
      expect(combinedAdmission({ ...ALL_CLOSED, [scope]: open }, 10, SETTINGS)).toMatchObject({ admit: 'none', scope })
    }
  })

  it('of several refusals the longest counts', () => {
    expect(combinedAdmission({ global: open, endpoint: openLonger, tenant: open }, 10, SETTINGS)).toMatchObject({
      admit: 'none',
      scope: 'endpoint',
      retryAtMs: 60_000,
    })
  })

  it('a refusal is stricter than a probe, a probe than a share, a small share than a large one', () => {
    expect(combinedAdmission({ global: open, endpoint: openLonger, tenant: ramping }, 30_000, SETTINGS).admit).toBe(
      'none',
    )
    const probing = combinedAdmission({ global: rampingLater, endpoint: open, tenant: ramping }, 30_000, SETTINGS)
    expect(probing).toMatchObject({ admit: 'probe', scope: 'endpoint' })
    const sharing = combinedAdmission(
      { global: ramping, endpoint: CLOSED_BREAKER, tenant: rampingLater },
      6_000,
      SETTINGS,
    )
    expect(sharing).toMatchObject({ admit: 'share', share: 0.1, scope: 'tenant' })
  })

  it('one probe serves all scopes that need one, and is an ordinary call to the others', () => {
    let breakers: ScopedBreakers = { global: CLOSED_BREAKER, endpoint: open, tenant: open }
    breakers = applyToAll(breakers, { type: 'probe_started', atMs: 30_000, probeId: 'a' })
    expect(combinedAdmission(breakers, 30_001, SETTINGS).admit).toBe('none')
    breakers = applyToAll(breakers, { type: 'succeeded', atMs: 30_010, probeId: 'a', tenant: 'acme' })
    expect([breakers.global.phase, breakers.endpoint.phase, breakers.tenant.phase]).toEqual([
      'closed',
      'ramping',
      'ramping',
    ])
    expect(breakers.global.calls).toHaveLength(1)
  })
})
