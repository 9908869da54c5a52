import { describe, expect, test } from 'vitest'
import type { ErrorRule } from '../../config/settings.ts'
import type { Json } from '../../core/json.ts'
import { classifyAnswer, defaultIdempotency } from './classify.ts'

const NOW_MS = Date.parse('2026-11-22T10:00:30Z')

interface Call {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
}

function judge(errors: readonly ErrorRule[], status: number, body?: Json, call: Call = {}) {
  const { method = 'POST', path = '/things', headers = {} } = call
  const isText = typeof body === 'string' || body === undefined
  return classifyAnswer(
    { method, endpoint: `${method} ${path}`, idempotency: defaultIdempotency(method) },
    { status, headers, body: isText ? undefined : body, bodyText: isText ? (body ?? '') : '', receivedAtMs: NOW_MS },
    { name: 'crm', errorPaths: { code: [], message: [], field: [] }, errors, redact: [] },
  )
}

describe('R022: what a rule can ask for', () => {
  test.each<[string, ErrorRule, number, Json | undefined, Call, boolean]>([
    ['a family of statuses', { status: '5xx', class: 'wait_long' }, 599, undefined, {}, true],
    ['a family of statuses', { status: '5xx', class: 'wait_long' }, 499, undefined, {}, false],
    ['families and statuses', { status: [418, '5xx'], class: 'wait_long' }, 418, undefined, {}, true],
    ['one of several codes', { status: 400, code: ['A', 'B'], class: 'wait_long' }, 400, { code: 'B' }, {}, true],
    [
      'a code at its own path',
      { status: 400, code: 'X', codePath: 'fault.kind', class: 'wait_long' },
      400,
      { fault: { kind: 'X' } },
      {},
      true,
    ],
    [
      '... and at no other',
      { status: 400, code: 'X', codePath: 'fault.kind', class: 'wait_long' },
      400,
      { code: 'X' },
      {},
      false,
    ],
    [
      'a pattern',
      { status: 400, message: '/^total.*limit$/', class: 'wait_long' },
      400,
      { message: 'TotalRequests limit' },
      {},
      true,
    ],
    [
      'a value in the body',
      { status: 200, body: { path: 'ok', equals: false }, class: 'wait_long' },
      200,
      { ok: false },
      {},
      true,
    ],
    [
      '... and no other value',
      { status: 200, body: { path: 'ok', equals: false }, class: 'wait_long' },
      200,
      { ok: 'false' },
      {},
      false,
    ],
    ['something in the body', { body: { path: 'errors' }, class: 'wait_long' }, 200, { errors: [{}] }, {}, true],
    ['... that is not empty', { body: { path: 'errors' }, class: 'wait_long' }, 200, { errors: [] }, {}, false],
    ['... nor null', { body: { path: 'error' }, class: 'wait_long' }, 200, { error: null }, {}, false],
    [
      'several places at once',
      {
        status: 200,
        body: [
          { path: 'ok', equals: false },
          { path: 'error', equals: ['a', 'b'] },
        ],
        class: 'wait_long',
      },
      200,
      { ok: false, error: 'b' },
      {},
      true,
    ],
    [
      'a method',
      { status: 404, method: ['PUT', 'PATCH'], class: 'wait_long' },
      404,
      undefined,
      { method: 'PATCH' },
      true,
    ],
    ['... and no other', { status: 404, method: 'PUT', class: 'wait_long' }, 404, undefined, {}, false],
    [
      'an endpoint',
      { status: 404, endpoint: 'POST /a/{id}', class: 'wait_long' },
      404,
      undefined,
      { path: '/a/{other}' },
      true,
    ],
    [
      '... not what is below it',
      { status: 404, endpoint: 'POST /a/{id}', class: 'wait_long' },
      404,
      undefined,
      { path: '/a/{id}/b' },
      false,
    ],
    [
      'all below a path, by any method',
      { status: 404, endpoint: '/a/*', class: 'wait_long' },
      404,
      undefined,
      { path: '/a/b/c' },
      true,
    ],
    ['nothing at all', { class: 'wait_long' }, 500, undefined, {}, false],
  ])('%s', (_what, rule, status, body, call, matches) => {
    expect(judge([rule], status, body, call)?.class === 'wait_long').toBe(matches)
  })

  test('a good answer whose body no rule asks for is not read: R022 costs nothing on the way that nearly all calls go', () => {
    const trap = new Proxy(
      {},
      {
        get: () => expect.fail('the body was read'),
        ownKeys: () => expect.fail('the body was read'),
        getOwnPropertyDescriptor: () => expect.fail('the body was read'),
      },
    ) as Json
    expect(judge([{ status: '4xx', code: 'X', class: 'schema' }], 200, trap)).toBeUndefined()
    expect(
      judge([{ status: 200, endpoint: '/search', body: { path: 'ok' }, class: 'schema' }], 200, trap),
    ).toBeUndefined()
  })
})

describe('R022: what a rule can say', () => {
  test('a code of our own, its retries, and what it tells of the endpoint', () => {
    const rule: ErrorRule = {
      status: 400,
      code: 'LOCK',
      class: 'transient',
      reportAs: 'locked',
      maxRetries: 2,
      countsAgainstBreaker: false,
    }
    expect(judge([rule], 400, { code: 'LOCK' })).toMatchObject({
      code: 'locked',
      maxRetries: 2,
      countsAgainstBreaker: false,
    })
  })

  test.each<[string, ErrorRule['retryAfter'], Json, Record<string, string>, number | undefined]>([
    ['where the body says it, in seconds', { path: 'again.in' }, { again: { in: 7 } }, { 'retry-after': '99' }, 7000],
    ['... in milliseconds', { path: 'in', unit: 'milliseconds' }, { in: '250' }, {}, 250],
    ['... as a duration', { path: 'in', unit: 'duration' }, { in: '1m3.5s' }, {}, 63_500],
    ['... as a time', { path: 'at', unit: 'timestamp' }, { at: '2026-11-22T10:01:00Z' }, {}, 30_000],
    ['... as an epoch', { path: 'at', unit: 'epoch_seconds' }, { at: NOW_MS / 1000 + 5 }, {}, 5000],
    ['nonsense in the body: what the headers say', { path: 'in' }, { in: 'soon' }, { 'retry-after': '9' }, 9000],
    ['nobody says it: at the end of the minute', { until: 'next_minute' }, {}, {}, 30_000],
    ['... at midnight', { until: 'midnight' }, {}, {}, 13 * 3_600_000 + 3_570_000],
    ['... or a fixed time', { otherwise: '1m' }, {}, {}, 60_000],
    ['never less than the floor', { otherwise: '1m', atLeast: '2s' }, {}, { 'retry-after': '1' }, 2000],
    ['the floor alone', { atLeast: '2s' }, {}, {}, 2000],
    [
      'reset headers of another limit do not count',
      { otherwise: '1m', ignoreLimits: true },
      {},
      { 'x-ratelimit-remaining': '4700', 'x-ratelimit-reset': '3000' },
      60_000,
    ],
    ['absurd values are cut', { path: 'in' }, { in: 1e15 }, {}, 31 * 86_400_000],
  ])('R046: when to come back: %s', (_what, retryAfter, body, headers, expectedMs) => {
    const rule: ErrorRule = { status: 420, class: 'rate_limited', ...(retryAfter && { retryAfter }) }
    expect(judge([rule], 420, body, { headers })?.retryAfterMs).toBe(expectedMs)
  })

  test('R147: a rule about scopes still names the scope', () => {
    const rule: ErrorRule = { status: 403, class: 'authorization', hint: 'Add it.' }
    expect(judge([rule], 403, { error: 'missing_scope', needed: 'chat:write' })).toMatchObject({
      subject: 'chat:write',
    })
  })

  test("R147: GitHub's fine-grained permissions are named too", () => {
    const headers = { 'x-accepted-github-permissions': 'issues=write; contents=read' }
    expect(judge([], 403, { message: 'Resource not accessible' }, { headers })?.subject).toBe(
      'issues=write, contents=read',
    )
  })

  test('the explicit word of the server wins over a rule', () => {
    const rule: ErrorRule = { status: 409, class: 'validation' }
    const failure = judge([rule], 409, {}, { headers: { 'stripe-should-retry': 'true' } })
    expect(failure).toMatchObject({ class: 'transient', rule: 'header:stripe-should-retry=true, over crm:errors[0]' })
  })
})
