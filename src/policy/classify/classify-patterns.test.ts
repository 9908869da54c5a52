import { describe, expect, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import { type AnswerFacts, classifyAnswer } from './classify.ts'

function classOf500(body: Json): string | undefined {
  const answer: AnswerFacts = { status: 500, headers: {}, body, bodyText: JSON.stringify(body), receivedAtMs: 0 }
  const call = { method: 'POST', endpoint: 'POST /people', idempotency: { kind: 'unsafe' } } as const
  const settings = { name: 'crm', errorPaths: { code: [], message: [], field: [] }, errors: [], redact: [] }
  return classifyAnswer(call, answer, settings)?.class
}

describe('R016: a 500 whose body blames the input is validation', () => {
  test.each([
    'Invalid field value',
    'Invalid field value for "email"',
    'invalid email address',
    'Required field missing: company_name',
    'Missing required field',
    "Field 'company_name' is required",
    'The property shoe_size is invalid',
    "'amount' must be a number",
    'Email must be unique',
    'Value cannot be blank',
    'Parameter `limit` must be between 1 and 100',
    'The value is too long for field LastName',
    'System.DmlException: Insert failed. FIELD_CUSTOM_VALIDATION_EXCEPTION, Phone is odd',
  ])('%s', (message) => {
    expect(classOf500({ message })).toBe('validation')
    expect(classOf500({ error: { message } })).toBe('validation')
  })

  test.each(['REQUIRED_FIELD_MISSING', 'X.VALIDATION_ERROR', 'INVALID_EMAIL_ADDRESS', 'invalid_value'])(
    'code %s',
    (code) => {
      expect(classOf500({ error: { code, message: 'Something went wrong' } })).toBe('validation')
      expect(classOf500([{ errorCode: code, message: 'Something went wrong' }])).toBe('validation')
    },
  )
})

describe('R016, the other way: trouble of the server stays transient', () => {
  test.each([
    'Internal Server Error',
    'An unexpected error occurred',
    'Connection to the database must be open',
    'Invalid value in configuration of the upstream',
    'NullPointerException: field "email" is required',
    "Cannot read properties of undefined (reading 'field is required')",
    "Value cannot be null. (Parameter 'source')",
    'Value cannot be null. Parameter name: source',
    'The service must be restarted',
    'Request timed out; the value is missing from the cache',
    'invalid state',
    'Invalid column name "shoe_size"',
    'Missing required configuration',
    'Temporarily unavailable: the field index is being rebuilt, must be ready soon',
    'Something went wrong. Try again: the phone is required to be unlocked',
    'invalidated the session',
    '',
  ])('%s', (message) => {
    expect(classOf500({ message })).toBe('transient')
  })

  test('a very long text is no message about a field', () => {
    expect(classOf500({ message: `Invalid field value ${'x'.repeat(1000)}` })).toBe('transient')
  })

  test('other statuses of the server are never read so', () => {
    const answer: AnswerFacts = {
      status: 502,
      headers: {},
      body: { message: 'Invalid field value' },
      bodyText: '',
      receivedAtMs: 0,
    }
    const call = { method: 'POST', endpoint: 'POST /people', idempotency: { kind: 'unsafe' } } as const
    const settings = { name: 'crm', errorPaths: { code: [], message: [], field: [] }, errors: [], redact: [] }
    expect(classifyAnswer(call, answer, settings)?.class).toBe('transient')
  })
})
