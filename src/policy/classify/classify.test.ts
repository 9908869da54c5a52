import { describe, expect, test } from 'vitest'
import type { ErrorRule } from '../../config/settings.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Certainty, FailureClass } from '../../core/failure.ts'
import {
  type AnswerFacts,
  type CallFacts,
  type ClassificationSettings,
  classifyAnswer,
  classifyMalformed,
  classifyThrown,
  defaultIdempotency,
  isRepeatable,
} from './classify.ts'

const NOW_MS = Date.parse('2026-11-22T10:00:00Z')
const PLAIN: ClassificationSettings = {
  name: 'crm',
  errorPaths: { code: [], message: [], field: [] },
  errors: [],
  redact: [],
}

function callOf(method: string, idempotency = defaultIdempotency(method)): CallFacts {
  return { method, endpoint: `${method} /people`, idempotency }
}

function answerOf(status: number, body?: unknown, headers: Record<string, string> = {}): AnswerFacts {
  const bodyText = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  return {
    status,
    headers,
    body: typeof body === 'string' ? undefined : (body as AnswerFacts['body']),
    bodyText,
    receivedAtMs: NOW_MS,
  }
}

function judge(
  method: string,
  status: number,
  body?: unknown,
  headers?: Record<string, string>,
  rules: ErrorRule[] = [],
) {
  return classifyAnswer(callOf(method), answerOf(status, body, headers), { ...PLAIN, errors: rules })
}

describe('design section 4: the default of every status', () => {
  const rows: [statuses: number[], FailureClass, Certainty, countsAgainstBreaker: boolean, maxRetries?: number][] = [
    [[408, 425], 'transient', 'not_sent', true],
    [[500], 'transient', 'maybe_applied', true, 3],
    [[502, 504, 520, 524], 'transient', 'maybe_applied', true],
    [[503, 521, 523, 529, 530], 'transient', 'not_sent', true],
    [[522], 'transient', 'maybe_applied', true, 2],
    [[525, 526], 'transient', 'not_sent', true, 2],
    [[421], 'transient', 'not_sent', true, 1],
    [[423], 'transient', 'not_sent', false, 3],
    [[429, 509], 'rate_limited', 'not_sent', false],
    [[401], 'authentication', 'not_sent', false],
    [[402, 403, 451], 'authorization', 'not_sent', false],
    [[404, 410], 'not_found', 'not_sent', false],
    [[409], 'conflict', 'not_sent', false, 2],
    [[412], 'conflict', 'not_sent', false, 3],
    [[400, 422, 424, 416, 418, 420, 430, 440, 477, 499], 'validation', 'not_sent', false],
    [[413, 414], 'too_large', 'not_sent', false],
    [[405, 406, 407, 411, 415, 417, 426, 428, 431, 501, 505, 508, 511], 'configuration', 'not_sent', false],
    [[300, 301, 307, 308], 'configuration', 'not_sent', false, 0],
    [[302, 303, 305, 399], 'unknown', 'maybe_applied', false, 0],
    [[304, 507], 'unknown', 'not_sent', false, 0],
    [[100, 101, 103, 199, 600, 999, 99, 0, -1], 'unknown', 'maybe_applied', false, 2],
    [[506, 510, 555, 599], 'transient', 'maybe_applied', true, 3],
  ]
  test.each(rows)('%j is %s for a write, %s', (statuses, failureClass, certainty, countsAgainstBreaker, maxRetries) => {
    for (const status of statuses) {
      const failure = judge('POST', status)
      expect(failure).toMatchObject({ class: failureClass, certainty, countsAgainstBreaker, status })
      expect(failure?.maxRetries, String(status)).toBe(maxRetries)
      expect(failure?.rule).toContain(`http.${status} (`)
    }
  })

  test('every status from 100 to 599 is success or a whole failure with hint, user text and source', () => {
    for (let status = 100; status <= 599; status += 1) {
      const failure = judge('POST', status)
      if (status >= 200 && status < 300) {
        expect(failure).toBeUndefined()
        continue
      }
      expect(failure?.hint.length, String(status)).toBeGreaterThan(10)
      expect(failure?.userMessage.length).toBeGreaterThan(10)
      expect(failure?.code).toMatch(/^(http_\d{3}|conflict|version_conflict)$/)
      expect(failure?.rule).toMatch(/\(.*(R\d{3}|D\d{2}|RFC|the documentation of|Cloudflare|design).*\)/)
    }
  })

  test('R019: a read has no effect, so nothing is left open about it; a GET that is declared unsafe counts as a write', () => {
    for (const status of [500, 502, 504, 599]) {
      expect(judge('GET', status)?.certainty).toBe('not_sent')
      expect(judge('PUT', status)?.certainty).toBe('maybe_applied')
      expect(judge('DELETE', status)?.certainty).toBe('maybe_applied')
    }
    const paid = callOf('GET', { kind: 'unsafe' })
    expect(classifyAnswer(paid, answerOf(504), PLAIN)?.certainty).toBe('maybe_applied')
  })

  test('R015: 404 and 410 on DELETE are success, on anything else not', () => {
    expect(judge('DELETE', 404)).toBeUndefined()
    expect(judge('delete', 410)).toBeUndefined()
    expect(judge('GET', 404)?.class).toBe('not_found')
    expect(judge('DELETE', 403)?.class).toBe('authorization')
  })

  test('a 503 is a refusal, unless a gateway says that it lost the API half-way', () => {
    expect(judge('POST', 503, 'Service Unavailable')?.certainty).toBe('not_sent')
    expect(judge('POST', 503, undefined, { 'retry-after': '5' })?.certainty).toBe('not_sent')
    const envoy = 'upstream connect error or disconnect/reset before headers. reset reason: '
    expect(judge('POST', 503, `${envoy}connection termination`)?.certainty).toBe('maybe_applied')
    expect(judge('POST', 503, `${envoy}connection failure`)?.certainty).toBe('not_sent')
    expect(judge('POST', 503, `${envoy}remote connection failure`)?.certainty).toBe('not_sent')
  })

  test('3xx names the base URL in its hint', () => {
    expect(judge('GET', 301)?.hint).toContain('baseUrl')
  })
})

describe('R046-R049: when to come back', () => {
  test('Retry-After wins over the reset, which a 429 falls back to', () => {
    const reset = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '60' }
    expect(judge('GET', 429, undefined, { ...reset, 'retry-after': '5' })?.retryAfterMs).toBe(5000)
    expect(judge('GET', 429, undefined, reset)?.retryAfterMs).toBe(60_000)
    expect(judge('GET', 429)?.retryAfterMs).toBeUndefined()
    expect(judge('GET', 429, { retry_after: 1.5 })?.retryAfterMs).toBe(1500)
  })

  test('on 503 and other passing failures too; a reset only where the limit is what failed', () => {
    expect(judge('GET', 503, undefined, { 'retry-after': '7' })?.retryAfterMs).toBe(7000)
    const reset = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '60' }
    expect(judge('GET', 503, undefined, reset)?.retryAfterMs).toBeUndefined()
    expect(judge('GET', 400, undefined, { 'retry-after': '7' })?.retryAfterMs).toBeUndefined()
  })
})

describe("R022: the integration's own rules", () => {
  const rules: ErrorRule[] = [
    {
      status: 403,
      header: { name: 'X-RateLimit-Remaining', value: '0' },
      class: 'rate_limited',
      source: 'GitHub docs',
    },
    { status: [403, 429], message: 'Secondary Rate', class: 'rate_limited' },
    { code: 'result_pending', class: 'transient', certainty: 'not_sent', hint: 'It is being computed.' },
    { status: 404, class: 'conflict', userMessage: 'Gone elsewhere.' },
    { status: 409, code: 'EXISTS', class: 'success' },
    { status: 200, code: 'ratelimited', class: 'rate_limited' },
    { status: 200, code: 'internal_error', class: 'transient' },
    { status: 477, class: 'wait_long' },
    { message: 'maintenance', class: 'wait_long' },
    { class: 'validation' },
  ]
  const judgeBy = (method: string, status: number, body?: unknown, headers?: Record<string, string>) =>
    judge(method, status, body, headers, rules)

  test('the first that matches wins, and is named with its source', () => {
    const limited = judgeBy('GET', 403, { message: 'secondary rate limit' }, { 'x-ratelimit-remaining': '0' })
    expect(limited).toMatchObject({ class: 'rate_limited', certainty: 'not_sent', countsAgainstBreaker: false })
    expect(limited?.rule).toBe('crm:errors[0] (GitHub docs)')
    expect(judgeBy('GET', 403, { message: 'You exceeded a SECONDARY RATE limit' })?.rule).toBe('crm:errors[1]')
    expect(judgeBy('GET', 403, { message: 'no' }, { 'x-ratelimit-remaining': '10' })?.class).toBe('authorization')
  })

  test('a code decides over the status, and keeps its hint and certainty', () => {
    expect(judgeBy('POST', 404, { error_code: 'result_pending', retry_after_seconds: 5 })).toMatchObject({
      class: 'transient',
      code: 'result_pending',
      certainty: 'not_sent',
      hint: 'It is being computed.',
      retryAfterMs: 5000,
    })
  })

  test('a rule may call an answer success', () => {
    expect(judgeBy('POST', 409, { code: 'EXISTS' })).toBeUndefined()
  })

  test('200 with an error inside is found by status and code, and may have been applied', () => {
    expect(judgeBy('POST', 200, { ok: false, error: 'ratelimited' })?.class).toBe('rate_limited')
    expect(judgeBy('POST', 200, { ok: false, error: 'internal_error' })).toMatchObject({
      class: 'transient',
      certainty: 'maybe_applied',
    })
    expect(judgeBy('POST', 200, { ok: true })).toBeUndefined()
  })

  test('a good answer is not taken for a failure because of a word in it, and a rule without conditions never matches', () => {
    expect(judgeBy('GET', 200, { message: 'maintenance window planned' })).toBeUndefined()
    expect(judgeBy('GET', 503, { message: 'Under maintenance' })?.class).toBe('wait_long')
    expect(judgeBy('GET', 503, { message: 'busy' })?.class).toBe('transient')
  })

  test('they win over success by default (404 on DELETE), and text of their own is kept', () => {
    expect(judgeBy('DELETE', 404)).toMatchObject({ class: 'conflict', userMessage: 'Gone elsewhere.' })
  })

  test("they come before the profile's, which explain themselves by their label", () => {
    const errors: ErrorRule[] = [
      { status: 400, class: 'schema' },
      { id: 'odd', status: 400, class: 'too_large', label: 'profile acme: odd' },
      { id: 'teapot', status: 418, class: 'wait_long', label: 'profile acme: teapot' },
    ]
    const settings = { ...PLAIN, errors }
    expect(classifyAnswer(callOf('POST'), answerOf(400), settings)?.class).toBe('schema')
    expect(classifyAnswer(callOf('POST'), answerOf(418), settings)).toMatchObject({
      class: 'wait_long',
      rule: 'profile acme: teapot',
    })
  })

  test('paths of their own are asked first (R024)', () => {
    const settings: ClassificationSettings = {
      ...PLAIN,
      errorPaths: { code: ['fault.kind'], message: ['fault.words'], field: ['fault.where[0].name'] },
      errors: [{ code: 'E-17', class: 'schema' }],
    }
    const body = { fault: { kind: 'E-17', words: 'No such column', where: [{ name: 'shoe_size' }] }, code: 'other' }
    expect(classifyAnswer(callOf('POST'), answerOf(400, body), settings)).toMatchObject({
      class: 'schema',
      code: 'E-17',
      subject: 'shoe_size',
      message: expect.stringContaining('No such column'),
    })
  })
})

describe("facts section 7: the server's explicit word comes first", () => {
  test('true makes a conflict transient, and keeps what is known about the effect', () => {
    expect(judge('POST', 409, undefined, { 'stripe-should-retry': 'true' })).toMatchObject({
      class: 'transient',
      certainty: 'not_sent',
      rule: expect.stringContaining('header:stripe-should-retry=true'),
    })
    expect(judge('POST', 500, undefined, { 'x-should-retry': 'true' })?.certainty).toBe('maybe_applied')
  })

  test('false ends it, also in the slow lane', () => {
    expect(judge('POST', 503, undefined, { 'x-should-retry': 'false' })).toMatchObject({
      class: 'unknown',
      maxRetries: 0,
    })
    expect(judge('GET', 429, undefined, { 'x-should-retry': 'FALSE' })).toMatchObject({
      class: 'unknown',
      maxRetries: 0,
    })
    expect(judge('GET', 401, undefined, { 'x-should-retry': 'false' })?.class).toBe('authentication')
  })

  test('it wins over a rule; another value says nothing', () => {
    const rules: ErrorRule[] = [{ status: 400, class: 'validation' }]
    expect(judge('POST', 400, undefined, { 'x-should-retry': 'true' }, rules)?.class).toBe('transient')
    expect(judge('POST', 400, undefined, { 'x-should-retry': 'maybe' }, rules)?.class).toBe('validation')
    expect(judge('POST', 200, undefined, { 'x-should-retry': 'true' }, rules)).toBeUndefined()
  })
})

describe('R027, D07: a good status that is not what was promised', () => {
  const page = { status: 200, bodyText: '<html><body>Maintenance</body></html>' }
  test('a read may be tried twice; a write was applied, and is only repeated where that is safe', () => {
    const reason = 'an HTML page came where JSON was expected'
    expect(classifyMalformed(callOf('GET'), page, reason)).toMatchObject({
      class: 'malformed_response',
      code: 'html_response',
      certainty: 'not_sent',
      maxRetries: 2,
      message: 'GET /people was answered 200, but an HTML page came where JSON was expected',
    })
    expect(classifyMalformed(callOf('POST'), page, reason)).toMatchObject({ certainty: 'applied', maxRetries: 0 })
    expect(classifyMalformed(callOf('PUT'), page, reason)).toMatchObject({ certainty: 'applied', maxRetries: 2 })
  })

  test('the code tells what came', () => {
    expect(classifyMalformed(callOf('GET'), { status: 200, bodyText: ' ' }, 'it is empty').code).toBe('empty_response')
    expect(classifyMalformed(callOf('GET'), { status: 200, bodyText: '{"a":' }, 'it is cut off').code).toBe(
      'malformed_response',
    )
  })
})

describe('what user code throws', () => {
  test('a HoldfastError keeps its class, code, certainty and hint', () => {
    const error = new HoldfastError({
      code: 'too_late',
      class: 'cancelled',
      message: 'm',
      hint: 'h',
      certainty: 'applied',
    })
    expect(classifyThrown(error, false)).toMatchObject({
      class: 'cancelled',
      code: 'too_late',
      certainty: 'applied',
      hint: 'h',
    })
  })

  test('one that carries a failure gives that failure', () => {
    const failure = judge('POST', 503)
    if (!failure) throw new Error('a 503 is a failure')
    const error = new HoldfastError({ code: 'x', class: 'unknown', message: 'm', failure })
    expect(classifyThrown(error, false)).toBe(failure)
  })

  test('R005: anything else is unknown, twice; whether it had an effect is open unless the step is safe', () => {
    const error = Object.assign(new TypeError(`failed with token=${'x'.repeat(20)}`), { code: 'E_ODD' })
    expect(classifyThrown(error, false)).toMatchObject({
      class: 'unknown',
      code: 'E_ODD',
      certainty: 'maybe_applied',
      maxRetries: 2,
      message: 'failed with token=[redacted]',
    })
    expect(classifyThrown(new TypeError('x'), true)).toMatchObject({ code: 'TypeError', certainty: 'not_sent' })
    expect(classifyThrown('text', true)).toMatchObject({ code: 'thrown_value', message: 'text' })
    expect(classifyThrown(undefined, true).class).toBe('unknown')
    expect(classifyThrown(Object.create(null), true).class).toBe('unknown')
  })
})

describe('R096: what may be repeated', () => {
  test('by method alone', () => {
    for (const method of ['GET', 'head', 'OPTIONS', 'PUT', 'delete'])
      expect(defaultIdempotency(method).kind).toBe('safe')
    for (const method of ['POST', 'patch', 'WHATEVER']) expect(defaultIdempotency(method).kind).toBe('unsafe')
  })

  test('by nature or by key', () => {
    expect(isRepeatable({ kind: 'safe' })).toBe(true)
    expect(isRepeatable({ kind: 'key', header: 'Idempotency-Key', lifetimeMs: 1 })).toBe(true)
    expect(isRepeatable({ kind: 'natural', field: 'email' })).toBe(true)
    expect(isRepeatable({ kind: 'unsafe' })).toBe(false)
  })
})
