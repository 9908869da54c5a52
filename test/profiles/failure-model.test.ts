/** Section 1 of the requirements, through the public surface: an answer is judged, and what follows is decided from that. */
import { describe, expect, test } from 'vitest'
import type { WrittenErrorRule } from '../../src/config/profile-rule.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { Failure } from '../../src/core/failure.ts'
import type { Json } from '../../src/core/json.ts'
import { seededRandom } from '../../src/core/random.ts'
import { classifyMalformed, classifyNetworkFault, type NetworkFault } from '../../src/policy/classify/classify.ts'
import { type Disposition, decideRetry } from '../../src/policy/retry/retry.ts'
import { BUILT_IN_PROFILES } from '../../src/profiles/index.ts'
import { judgeSample } from '../../src/profiles/judge.ts'

const NOW_MS = Date.parse('2026-11-22T15:00:00Z')

function integration(errors: readonly WrittenErrorRule[] = [], profile?: string) {
  const crm = { baseUrl: 'https://crm.test', errors: [...errors], ...(profile !== undefined && { profile }) }
  const options = { env: {}, baseDirectory: '/', profiles: BUILT_IN_PROFILES }
  return resolveConfig({ integrations: { crm } }, options).integrations[0] ?? expect.fail('it is there')
}

const crm = integration()

function judge(settings: typeof crm, status: number, body?: Json, method = 'POST'): Failure | undefined {
  return judgeSample(settings, { status, method, path: '/things', ...(body !== undefined && { body }) }, NOW_MS).failure
}

function mustFail(settings: typeof crm, status: number, body?: Json, method?: string): Failure {
  return judge(settings, status, body, method) ?? expect.fail('it is a failure')
}

function disposition(failure: Failure, repeatable = false): Disposition['kind'] {
  const facts = { failure, repeatable, attempts: 1, sameClassInARow: 1, ageMs: 0 }
  return decideRetry(facts, crm.defaults.retry, seededRandom('failure model')).kind
}

const CALL = { method: 'POST', endpoint: 'POST /things', idempotency: { kind: 'unsafe' } } as const

function fault(code: string, phase: NetworkFault['phase'], syscall?: string): Failure {
  return classifyNetworkFault(CALL, { code, phase, message: code, ...(syscall !== undefined && { syscall }) })
}

describe('R002: to try again or not follows from what a failure is, never from its being one', () => {
  test.each([
    [503, 'retry'],
    [429, 'close_gate'],
    [401, 'suspend_lane'],
    [400, 'dead_letter'],
    [403, 'dead_letter'],
    [500, 'unknown_outcome'],
  ])('%i -> %s', (status, kind) => {
    expect(disposition(mustFail(crm, status))).toBe(kind)
  })
})

describe('R003: the six kinds of failure', () => {
  test.each<[string, Failure, object]>([
    [
      'network timeout',
      fault('timeout_headers', 'waiting_for_headers'),
      { class: 'transient', certainty: 'maybe_applied' },
    ],
    ['rate limit', mustFail(crm, 429), { class: 'rate_limited', certainty: 'not_sent' }],
    ['auth expiry', mustFail(crm, 401), { class: 'authentication', certainty: 'not_sent' }],
    [
      'malformed response',
      classifyMalformed(CALL, { status: 200, bodyText: '<html>' }, 'is not JSON'),
      { class: 'malformed_response', certainty: 'applied' },
    ],
    ['upstream downtime', fault('ECONNREFUSED', 'connect', 'connect'), { class: 'transient', certainty: 'not_sent' }],
  ])('%s', (_what, failure, expected) => {
    expect(failure).toMatchObject(expected)
  })

  test('R029: partial success is found where a rule says how the body tells it', () => {
    const rule: WrittenErrorRule = { status: '2xx', body: { path: 'failed[]' }, class: 'unknown', certainty: 'applied' }
    const settings = integration([rule])
    const failure = mustFail(settings, 200, { done: ['billing'], failed: ['email'] })
    expect(failure).toMatchObject({ class: 'unknown', certainty: 'applied', status: 200 })
    expect(disposition(failure), 'half of it is done: never sent again blindly').toBe('unknown_outcome')
    expect(judge(settings, 200, { done: ['billing', 'email'], failed: [] })).toBeUndefined()
  })
})

test.each([
  ['transient', 503],
  ['rate_limited', 429],
  ['authentication', 401],
  ['authorization', 403],
  ['not_found', 404],
  ['validation', 422],
  ['conflict', 409],
])('R004: the treatment class %s', (failureClass, status) => {
  expect(mustFail(crm, status).class).toBe(failureClass)
})

test('R004, R017: a server error that persists is given up after a few tries', () => {
  expect(mustFail(crm, 500).maxRetries).toBe(3)
})

describe('R008, D05: a map may add 409 to what is tried again', () => {
  test('without one it is a conflict, with one it is tried again', () => {
    const settings = integration([{ status: 409, class: 'transient', certainty: 'not_sent' }])
    expect(disposition(mustFail(settings, 409))).toBe('retry')
    expect(mustFail(crm, 409).class).toBe('conflict')
  })
})

test('R010: 413 is never sent again as it is', () => {
  const failure = mustFail(crm, 413)
  expect([failure.class, disposition(failure, true)]).toEqual(['too_large', 'dead_letter'])
})

describe('R021: a 504 is as ambiguous as a timeout', () => {
  test('of a write: looked for, or a person decides; of a read: tried again', () => {
    expect(disposition(mustFail(crm, 504))).toBe('unknown_outcome')
    expect(disposition(mustFail(crm, 504), true)).toBe('retry')
    expect(mustFail(crm, 504, undefined, 'GET').certainty).toBe('not_sent')
  })
})

describe('R025: one status, several meanings, told apart by code', () => {
  const settings = integration([
    { status: 401, code: 'TOKEN_EXPIRED', class: 'authentication', reportAs: 'token_expired' },
    { status: 401, code: 'TOKEN_INVALID', class: 'authentication', reportAs: 'token_invalid' },
    { status: 401, code: 'UNAUTHORIZED', class: 'authorization' },
    { status: 422, code: 'X.VALIDATION.REQUEST_SCHEMA', class: 'schema' },
  ])
  test.each([
    [401, 'TOKEN_EXPIRED', 'authentication', 'token_expired'],
    [401, 'TOKEN_INVALID', 'authentication', 'token_invalid'],
    [401, 'UNAUTHORIZED', 'authorization', 'UNAUTHORIZED'],
    [422, 'X.VALIDATION.REQUEST_SCHEMA', 'schema', 'X.VALIDATION.REQUEST_SCHEMA'],
    [422, 'X.VALIDATION.OTHER', 'validation', 'X.VALIDATION.OTHER'],
  ])('%i %s is %s', (status, code, failureClass, reported) => {
    const body = { success: false, error: { code, message: 'No', details: [{ path: 'email', value: 7 }] } }
    expect(mustFail(settings, status, body)).toMatchObject({ class: failureClass, code: reported })
  })
})

describe('R026: what no map knows', () => {
  test.each([
    [418, 'validation'],
    [499, 'validation'],
    [401, 'authentication'],
    [403, 'authorization'],
    [429, 'rate_limited'],
    [502, 'transient'],
    [599, 'transient'],
  ])('%i falls back to %s', (status, failureClass) => {
    expect(mustFail(integration([{ status: 400, code: 'KNOWN', class: 'schema' }]), status).class).toBe(failureClass)
  })
})

describe('R023: quirks of vendors that the sources name', () => {
  test.each<[string, string, number, Json, Record<string, string>, object]>([
    [
      'HubSpot says when to come back',
      'hubspot',
      429,
      { status: 'error', errorType: 'RATE_LIMIT', policyName: 'TEN_SECONDLY_ROLLING', message: 'Limit' },
      { 'retry-after': '7' },
      { class: 'rate_limited', certainty: 'not_sent', retryAfterMs: 7000 },
    ],
    [
      "Salesforce's 500s that are problems of the data",
      'salesforce',
      500,
      [{ errorCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message: 'A stage needs an amount', fields: ['Amount'] }],
      {},
      { class: 'validation', certainty: 'not_sent', subject: 'Amount' },
    ],
    [
      "Outreach's words for a prospect that it has already",
      'outreach',
      422,
      {
        errors: [
          {
            id: 'validationError',
            title: 'Validation Error',
            detail: 'Contacts contact is using an excluded email address that has already been taken.',
          },
        ],
      },
      {},
      { class: 'conflict', code: 'already_exists' },
    ],
    [
      "an envelope's code with the vendor's name before it",
      'generic-envelope',
      422,
      {
        success: false,
        error: { code: 'ANY.VALIDATION.REQUEST_SCHEMA', message: 'No', details: { path: 'user.age' } },
      },
      {},
      { class: 'schema', code: 'ANY.VALIDATION.REQUEST_SCHEMA', subject: 'user.age' },
    ],
  ])('%s', (_what, profile, status, body, headers, expected) => {
    const { failure } = judgeSample(integration([], profile), { status, body, headers }, NOW_MS)
    expect(failure).toMatchObject(expected)
    expect(failure?.rule).toContain(`profile ${profile}: `)
  })
})
