import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { OAuthSettings } from '../config/settings.ts'
import { seededRandom } from '../core/random.ts'
import {
  type CredentialState,
  isWorthRenewing,
  judgeTokenAnswer,
  nextCredentialStep,
  tokenPauseMs,
  UNKNOWN_CREDENTIAL,
} from './credentials.ts'

const AUTH: OAuthSettings = {
  type: 'oauth2',
  grant: 'refresh_token',
  tokenUrl: 'https://auth.test/token',
  clientId: 'c',
  clientSecret: 's',
  clientAuth: 'basic',
  refreshToken: undefined,
  scopes: [],
  parameters: {},
  refreshAheadMs: undefined,
  lifetimeMs: undefined,
  minIntervalMs: 0,
  neverRefreshOn: ['is not attached'],
}
const T0 = 1_000_000_000
const HOUR_MS = 3_600_000
const GOOD: CredentialState = {
  ...UNKNOWN_CREDENTIAL,
  version: 3,
  usable: true,
  obtainedAtMs: T0,
  expiresAtMs: T0 + HOUR_MS,
  rejectedVersion: 2,
}
const step = (state: Partial<CredentialState>, nowMs: number, rejected = 0, auth: Partial<OAuthSettings> = {}) =>
  nextCredentialStep({ ...GOOD, ...state }, { ...AUTH, ...auth }, rejected, nowMs, 0.5)

describe('what to do with a token (R145)', () => {
  test.for([
    ['new', T0, { kind: 'use', renew: false }],
    ['in the middle of its life', T0 + HOUR_MS / 2, { kind: 'use', renew: false }],
    ['two minutes before its end', T0 + HOUR_MS - 120_000, { kind: 'use', renew: true }],
    ['twenty seconds before its end', T0 + HOUR_MS - 20_000, { kind: 'renew' }],
    ['after its end', T0 + HOUR_MS + 1, { kind: 'renew' }],
  ] as const)('%s', ([, nowMs, expected]) => {
    expect(step({}, nowMs)).toEqual(expected)
  })

  test('a token that lives for a minute is used for most of it', () => {
    const state = { expiresAtMs: T0 + 60_000 }
    expect(step(state, T0 + 40_000)).toEqual({ kind: 'use', renew: false })
    expect(step(state, T0 + 53_000)).toEqual({ kind: 'use', renew: true })
    expect(step(state, T0 + 55_000)).toEqual({ kind: 'renew' })
  })

  test('what was refused is renewed; what is newer than that is used', () => {
    expect(step({}, T0, 3)).toEqual({ kind: 'renew' })
    expect(step({ rejectedVersion: 3 }, T0)).toEqual({ kind: 'renew' })
    expect(step({ version: 4 }, T0, 3)).toMatchObject({ kind: 'use' })
  })

  test('the token endpoint is left alone for as long as it asked, and for `minInterval`', () => {
    expect(step({ retryAtMs: T0 + 5000, failures: 1 }, T0, 3)).toMatchObject({ kind: 'wait', untilMs: T0 + 5000 })
    expect(step({ askedAtMs: T0 }, T0 + 1000, 3, { minIntervalMs: 60_000 })).toMatchObject({ untilMs: T0 + 60_000 })
    const late = T0 + HOUR_MS - 100_000
    expect(step({ retryAtMs: late + 5000 }, late)).toEqual({ kind: 'use', renew: false })
  })

  test('a refresh that was refused: the token is used up to its end, then a person is needed', () => {
    const refused = { atMs: T0, code: 'invalid_grant', reason: 'gone' }
    expect(step({ refused }, T0 + HOUR_MS - 60_000)).toEqual({ kind: 'use', renew: false })
    expect(step({ refused }, T0 + HOUR_MS)).toMatchObject({ kind: 'refused', code: 'invalid_grant' })
  })

  test('a stored secret has no end and cannot be renewed', () => {
    const auth = { type: 'stored', sendAs: 'bearer', name: '' } as const
    const stored = { ...GOOD, expiresAtMs: 0 }
    expect(nextCredentialStep(stored, auth, 0, T0 + 1e12, 0)).toEqual({ kind: 'use', renew: false })
    expect(nextCredentialStep(stored, auth, 3, T0, 0)).toMatchObject({ code: 'credential_refused' })
    expect(nextCredentialStep(UNKNOWN_CREDENTIAL, auth, 0, T0, 0)).toMatchObject({ code: 'credential_missing' })
  })

  test('D01: a token that is refused when it is new, or for another reason than itself, is not renewed again', () => {
    expect(isWorthRenewing(GOOD, AUTH, 'expired', T0 + 60_000)).toBe(true)
    expect(isWorthRenewing(GOOD, AUTH, 'expired', T0 + 500)).toBe(false)
    expect(isWorthRenewing(GOOD, AUTH, 'Connected app Is Not Attached to Agent', T0 + 60_000)).toBe(false)
  })
})

describe('what a token endpoint means (RFC 6749, section 5)', () => {
  const judge = (status: number, body: unknown, headers: Record<string, string> = {}) =>
    judgeTokenAnswer({ status, headers, body: body as never, receivedAtMs: T0 })

  test.for([
    [3600, 3_600_000],
    ['3600', 3_600_000],
    [0, undefined],
    [-5, undefined],
    ['soon', undefined],
    [undefined, undefined],
    [null, undefined],
  ] as const)('expires_in %s', ([expires_in, lifetimeMs]) => {
    expect(judge(200, { access_token: 'abc', expires_in })).toMatchObject({ kind: 'tokens', lifetimeMs })
  })

  test.for([
    [400, { error: 'invalid_grant' }, 'refused'],
    [401, { error: 'invalid_client' }, 'refused'],
    [400, {}, 'refused'],
    [403, '<html>', 'refused'],
    [404, undefined, 'refused'],
    [301, undefined, 'refused'],
    [200, { ok: false, error: 'invalid_refresh_token' }, 'refused'],
    [200, { ok: false, error: 'ratelimited' }, 'later'],
    [400, { error: 'slow_down' }, 'later'],
    [400, { error: 'temporarily_unavailable' }, 'later'],
    [200, undefined, 'later'],
    [200, { access_token: 'two words' }, 'later'],
    [200, { access_token: 'a\nb' }, 'later'],
    [429, undefined, 'later'],
    [500, { error: 'invalid_grant' }, 'later'],
    [503, undefined, 'later'],
  ] as const)('%s %j: %s', ([status, body, kind]) => {
    expect(judge(status, body)).toMatchObject({ kind })
  })

  test('a code that is not a code is not repeated', () => {
    expect(judge(400, { error: 'the token secret-token is "bad"' })).toMatchObject({ code: 'http_400' })
  })

  test('Retry-After is a floor; without it the pauses grow, up to minutes', () => {
    expect(judge(429, {}, { 'retry-after': '90' })).toMatchObject({ retryAfterMs: 90_000 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 10_000_000 }), (failures, askedMs) => {
        const random = seededRandom(failures)
        expect(tokenPauseMs(failures, askedMs, random)).toBeGreaterThanOrEqual(askedMs)
        expect(tokenPauseMs(failures, undefined, random)).toBeLessThanOrEqual(300_000)
      }),
    )
    expect(tokenPauseMs(1, undefined, seededRandom(1))).toBeLessThanOrEqual(4000)
  })

  test('never throws, whatever came', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), fc.jsonValue(), (status, body) => {
        expect(['tokens', 'refused', 'later']).toContain(judge(status, body).kind)
      }),
    )
  })
})
