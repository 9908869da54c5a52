import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Failure } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import { type AnswerFacts, classifyAnswer, defaultIdempotency, isAlreadyExists } from './classify.ts'

/** Judges an answer by the default rules; a text is a body that is not JSON. */
function judge(
  method: string,
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
  redact: string[] = [],
): Failure | undefined {
  const answer: AnswerFacts = {
    status,
    headers,
    body: typeof body === 'string' ? undefined : (body as Json | undefined),
    // Only read where the body is not JSON.
    bodyText: typeof body === 'string' ? body : '',
    receivedAtMs: Date.parse('2026-11-22T10:00:00Z'),
  }
  const call = { method, endpoint: `${method} /people`, idempotency: defaultIdempotency(method) }
  return classifyAnswer(call, answer, {
    name: 'crm',
    errorPaths: { code: [], message: [], field: [] },
    errors: [],
    redact,
  })
}

describe('R012, D05: conflicts', () => {
  test.each([
    [{ category: 'CONFLICT', message: 'Contact already exists. Existing ID: 551' }],
    [{ error: { code: 'email_already_exists' } }],
    [{ errors: [{ code: 'DUPLICATE_VALUE', message: 'duplicate value found' }] }],
    [{ message: 'This email address is already in use' }],
    [{ detail: 'violates unique constraint "people_email"' }],
  ])('already_exists: %j', (body) => {
    const failure = judge('POST', 409, body)
    expect(failure).toMatchObject({ class: 'conflict', code: 'already_exists', maxRetries: 2 })
    expect(failure && isAlreadyExists(failure)).toBe(true)
  })

  test.each([
    [{ message: 'The record was modified by another user' }],
    [{ code: 'VERSION_MISMATCH' }],
    [{ message: 'A newer version already exists' }],
    [{ message: 'etag does not match' }],
  ])('version_conflict: %j', (body) => {
    const failure = judge('PUT', 409, body)
    expect(failure).toMatchObject({ class: 'conflict', code: 'version_conflict', maxRetries: 3 })
    expect(failure && isAlreadyExists(failure)).toBe(false)
  })

  test('anything else is a plain conflict, 412 a version conflict', () => {
    expect(judge('POST', 409, { message: 'the deal is closed' })?.code).toBe('conflict')
    expect(judge('POST', 409, { message: 'the room does not exist any more' })?.code).toBe('conflict')
    expect(judge('PUT', 412)?.code).toBe('version_conflict')
  })

  test('an idempotency key in progress is tried again; one that was used for something else never', () => {
    for (const body of [
      { error: { code: 'idempotency_key_in_use', message: 'There is currently another in-progress request' } },
      { title: 'A request is outstanding for this Idempotency-Key' },
    ]) {
      expect(judge('POST', 409, body)).toMatchObject({
        class: 'transient',
        code: 'idempotency_in_progress',
        certainty: 'not_sent',
        countsAgainstBreaker: false,
      })
    }
    const reused = {
      error: {
        type: 'idempotency_error',
        message: 'Keys for idempotent requests can only be used with the same parameters',
      },
    }
    for (const status of [400, 409, 422]) {
      expect(judge('POST', status, reused)).toMatchObject({ class: 'validation', code: 'idempotency_key_reused' })
    }
    expect(
      judge('POST', 409, { message: 'This idempotency key was already used with a different payload' })?.code,
    ).toBe('idempotency_key_reused')
  })
})

describe('R147: a 403 names the missing scope', () => {
  test.each<[string, unknown, Record<string, string>]>([
    [
      'crm.objects.contacts.write',
      { category: 'MISSING_SCOPES', errors: [{ context: { requiredGranularScopes: ['crm.objects.contacts.write'] } }] },
      {},
    ],
    ['chat:write', { ok: false, error: 'missing_scope', needed: 'chat:write', provided: 'identify' }, {}],
    [
      'contacts.write, deals.read',
      undefined,
      { 'www-authenticate': 'Bearer error="insufficient_scope", scope="contacts.write deals.read"' },
    ],
    ['repo', { message: 'Resource not accessible' }, { 'x-accepted-oauth-scopes': 'repo' }],
    ['read:org', { message: "This endpoint requires the 'read:org' scope" }, {}],
    ['crm.objects.deals.read', { message: 'This app lacks scopes: [crm.objects.deals.read]' }, {}],
  ])('%s', (scope, body, headers) => {
    const failure = judge('POST', 403, body, headers)
    expect(failure).toMatchObject({ class: 'authorization', subject: scope })
    expect(failure?.hint).toContain(scope)
  })

  test('none named, none made up', () => {
    const failure = judge('POST', 403, { message: 'You do not have permission to do this' })
    expect(failure?.class).toBe('authorization')
    expect(failure?.subject).toBeUndefined()
  })
})

describe('R024: the blamed field, in the envelopes of facts section 2', () => {
  test.each<[string, string | undefined, unknown]>([
    [
      'Stripe',
      'email',
      { error: { type: 'invalid_request_error', code: 'email_invalid', message: 'x', param: 'email' } },
    ],
    [
      'GitHub',
      'title',
      { message: 'Validation Failed', errors: [{ resource: 'Issue', field: 'title', code: 'missing_field' }] },
    ],
    [
      'HubSpot',
      'shoe_size',
      {
        status: 'error',
        category: 'VALIDATION_ERROR',
        errors: [{ message: 'x', code: 'BAD', context: { propertyName: ['shoe_size'] } }],
      },
    ],
    [
      'Salesforce',
      'LastName, Company',
      [{ message: 'Required fields are missing', errorCode: 'MISSING', fields: ['LastName', 'Company'] }],
    ],
    [
      'JSON:API',
      '/data/attributes/email',
      { errors: [{ title: 'Invalid', source: { pointer: '/data/attributes/email' } }] },
    ],
    ['Salesloft', 'email_address', { errors: { email_address: ['has already been taken'] } }],
    ['Zendesk', 'requester', { error: 'RecordInvalid', details: { requester: [{ description: 'is too short' }] } }],
    [
      'CDP vendor',
      'traits.email',
      { success: false, error: { code: 'X.BAD', message: 'x', details: [{ path: 'traits.email', value: 1 }] } },
    ],
    ['pydantic', 'body.email', { detail: [{ loc: ['body', 'email'], msg: 'not an email', type: 'value_error' }] }],
    [
      'SendGrid',
      'personalizations.0.to',
      { errors: [{ message: 'The to array is required', field: 'personalizations.0.to' }] },
    ],
    ['in the message only', 'company_name', { message: "Field 'company_name' is required" }],
    ['nowhere', undefined, { message: 'Bad request' }],
    ['an errors object that is no map of fields', undefined, { errors: { code: 'X', message: 'y' } }],
  ])('%s: %s', (_, subject, body) => {
    const failure = judge('POST', 422, body)
    expect(failure?.class).toBe('validation')
    expect(failure?.subject).toBe(subject)
  })
})

describe('facts section 2: codes and messages of real envelopes', () => {
  test.each<[string, number, unknown, code: string, said: string]>([
    ['Twilio', 400, { code: 21211, message: 'Invalid To number', status: 400 }, '21211', 'Invalid To number'],
    [
      'Google',
      400,
      { error: { code: 400, status: 'INVALID_ARGUMENT', message: 'Bad', errors: [{ reason: 'badRequest' }] } },
      'badRequest',
      'Bad',
    ],
    [
      'Notion',
      401,
      { object: 'error', status: 401, code: 'unauthorized', message: 'Bad token' },
      'unauthorized',
      'Bad',
    ],
    ['Airtable', 404, { error: 'NOT_FOUND' }, 'NOT_FOUND', 'NOT_FOUND'],
    [
      'Anthropic',
      529,
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      'overloaded_error',
      'Overloaded',
    ],
    [
      'Intercom',
      404,
      { type: 'error.list', errors: [{ code: 'not_found', message: 'User Not Found' }] },
      'not_found',
      'User Not Found',
    ],
    ['OAuth', 401, { error: 'invalid_grant', error_description: 'refresh it' }, 'invalid_grant', 'refresh it'],
    [
      'problem+json',
      400,
      { type: 'about:blank', title: 'Odd', status: 400, detail: 'Really odd' },
      'http_400',
      'Really odd',
    ],
    ['Salesloft', 404, { error: 'Record not there' }, 'http_404', 'Record not there'],
    ['a text', 503, 'try   later', 'http_503', 'try later'],
    [
      'a page',
      502,
      '<!doctype html><html><head><title> 502 Bad\nGateway </title>',
      'http_502',
      'an HTML page: 502 Bad Gateway',
    ],
  ])('%s', (_, status, body, code, said) => {
    const failure = judge('POST', status, body)
    expect(failure?.code).toBe(code)
    expect(failure?.message).toMatch(/^crm answered POST \/people with \d{3}/)
    expect(failure?.message).toContain(said)
    expect(failure?.userMessage).not.toContain(said)
  })

  test('nothing said: the meaning of the status', () => {
    expect(judge('POST', 503)?.message).toBe('crm answered POST /people with 503: not available')
  })

  test("R163: the vendor's request id, from header or body", () => {
    expect(judge('GET', 500, {}, { 'request-id': 'req_1' })?.vendorRequestId).toBe('req_1')
    expect(judge('GET', 500, { correlationId: 'abc-1' })?.vendorRequestId).toBe('abc-1')
  })
})

describe('R006, D03: schema or validation', () => {
  test.each([
    [{ error: { code: 'X.VALIDATION.REQUEST_SCHEMA', message: 'x' } }],
    [{ category: 'VALIDATION_ERROR', errors: [{ code: 'PROPERTY_DOESNT_EXIST', message: 'x' }] }],
    [{ message: 'Property "shoe_size" does not exist' }],
    [{ message: 'Unrecognized field "shoeSize"' }],
    [{ message: 'body must NOT have additional properties' }],
    [{ detail: [{ type: 'extra_forbidden', msg: 'Extra inputs are not permitted', loc: ['body', 'x'] }] }],
  ])('schema: %j', (body) => {
    expect(judge('POST', 422, body)?.class).toBe('schema')
    expect(judge('POST', 400, body)?.class).toBe('schema')
  })

  test.each([
    [{ message: 'Email does not exist' }],
    [{ message: 'The contact does not exist' }],
    [{ error: { code: 'INVALID_EMAIL', message: 'email is not valid' } }],
    [{ message: 'unexpected end of input' }],
  ])('validation: %j', (body) => {
    expect(judge('POST', 422, body)?.class).toBe('validation')
  })
})

describe('hostile answers', () => {
  const deep = (levels: number, open: string, close: string) =>
    JSON.parse(`${open.repeat(levels)}1${close.repeat(levels)}`)
  test.each<[string, unknown]>([
    ['100,000 lists', deep(100_000, '[', ']')],
    ['100,000 objects', deep(100_000, '{"error":', '}')],
    ['100,000 errors lists', deep(50_000, '{"errors":[', ']}')],
    [
      '__proto__',
      JSON.parse('{"__proto__":{"code":"X"},"constructor":{"name":1},"error":{"__proto__":{"message":"y"}}}'),
    ],
    ['numbers as messages', { message: 17, code: {}, errors: [1, null, [], { field: 7 }] }],
    ['null inside', { error: null, errors: [null], message: null }],
    ['a million keys', Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, index]))],
  ])('%s', (_, body) => {
    const failure = judge('POST', 400, body)
    expect(failure?.class).toBe('validation')
    expect(failure?.code).not.toBe('X')
    expect(Buffer.byteLength(failure?.bodyExcerpt ?? '')).toBeLessThanOrEqual(2048)
  })

  const keys = fc.constantFrom(
    'error',
    'errors',
    'code',
    'message',
    'details',
    'field',
    'type',
    'detail',
    'loc',
    'status',
  )
  const envelope = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(keys, tie('value'), { maxKeys: 5 }),
    ),
  })).value
  test('any envelope, any status, any method: a whole failure or success, with small texts', () => {
    fc.assert(
      fc.property(
        envelope,
        fc.integer({ min: 100, max: 599 }),
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
        (body, status, method) => {
          const failure = judge(method, status, body)
          if (!failure) return
          expect(failure.message.length).toBeLessThan(1000)
          expect(failure.subject?.length ?? 0).toBeLessThanOrEqual(200)
          expect(Buffer.byteLength(failure.bodyExcerpt ?? '')).toBeLessThanOrEqual(2048)
          expect(JSON.parse(JSON.stringify(failure))).toEqual(failure)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('rule 7: no secret of an answer gets into a failure', () => {
    const secret = 'hunter2hunter2hunter2'
    const bodies = [
      { error: { message: `Bearer ${secret} is not valid`, code: 'X' }, access_token: secret },
      { errors: [{ field: `token=${secret}`, message: `https://u:${secret}@api.example.com` }] },
      { password: { nested: [secret] }, card: secret },
      `{"access_token":"${secret}`,
      `<html><body>api_key=${secret}</body></html>`,
    ]
    for (const body of bodies) {
      for (const status of [400, 403, 429, 500]) {
        const failure = judge('POST', status, body, {}, ['card'])
        expect(JSON.stringify(failure)).not.toContain(secret)
      }
    }
    const key = `sk_${'live'}_abcdefgh12345678`
    expect(JSON.stringify(judge('POST', 400, { code: key, error: key }))).not.toContain(key)
  })

  test('R163: the excerpt is at most 2 KB, in whole characters', () => {
    const excerpt = judge('POST', 500, 'é€😀'.repeat(2000))?.bodyExcerpt ?? ''
    expect(Buffer.byteLength(excerpt)).toBeLessThanOrEqual(2048)
    expect(Buffer.byteLength(excerpt)).toBeGreaterThan(2000)
    expect(excerpt.isWellFormed()).toBe(true)
  })
})
