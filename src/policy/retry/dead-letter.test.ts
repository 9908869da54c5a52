import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Failure, FailureClass } from '../../core/failure.ts'
import { CLASS_WORDS } from '../explain-words.ts'
import { type DeadLetterCause, describeDeadLetter, slowLaneDelayMs } from './dead-letter.ts'

const WHERE = { integration: 'hubspot', endpoint: 'POST /contacts', pipeline: 'onboard', step: 'crm' }

function failureOf(changes: Partial<Failure>): Failure {
  return {
    class: 'validation',
    code: 'REQUIRED_FIELD_MISSING',
    message: 'm',
    userMessage: 'u',
    certainty: 'not_sent',
    hint: 'Fill company_name.',
    rule: 'r',
    countsAgainstBreaker: false,
    ...changes,
  }
}

const fingerprint = (changes: Partial<Failure>, where: Partial<typeof WHERE> = {}) =>
  describeDeadLetter(failureOf(changes), { ...WHERE, ...where }, 'r').fingerprint

describe('R134: the same root cause, the same fingerprint', () => {
  test('12 hex digits', () => {
    expect(fingerprint({})).toMatch(/^[0-9a-f]{12}$/)
  })

  test('values, ids, times, wording and place in a list change nothing', () => {
    const base = fingerprint({ subject: 'contacts[3].email' })
    expect(fingerprint({ subject: 'contacts[17].email' })).toBe(base)
    expect(fingerprint({ subject: 'Contacts[3].Email' })).toBe(base)
    expect(fingerprint({ subject: 'contacts[3].email', message: 'other', vendorRequestId: 'x', hint: 'y' })).toBe(base)
    expect(fingerprint({ subject: 'contacts[3].email' }, { endpoint: 'PATCH /contacts/{id}', step: 'other' })).toBe(
      base,
    )
    expect(fingerprint({ subject: 'b, a' })).toBe(fingerprint({ subject: 'a, b' }))
    expect(fingerprint({ subject: 'owner ada@example.com' })).toBe(fingerprint({ subject: 'owner bob@example.org' }))
    expect(fingerprint({ subject: 'id 0190a2f4-0000-7000-8000-000000000001' })).toBe(
      fingerprint({ subject: 'id 7f9c24e8-3b0e-4d1a-9f63-aaaaaaaaaaaa' }),
    )
    expect(fingerprint({ subject: 'field "Ada"' })).toBe(fingerprint({ subject: 'field "Bob"' }))
  })

  test('another integration, class, code or field is another cause', () => {
    const different = [
      fingerprint({}),
      fingerprint({}, { integration: 'salesforce' }),
      fingerprint({ class: 'schema' }),
      fingerprint({ code: 'http_422' }),
      fingerprint({ code: 'http_400' }),
      fingerprint({ subject: 'email' }),
      fingerprint({ subject: 'company_name' }),
    ]
    expect(new Set(different).size).toBe(different.length)
  })

  test('a step of code, which has no integration, is told by pipeline and step', () => {
    const code = (pipeline: string, step: string) => fingerprint({}, { integration: '', pipeline, step })
    expect(new Set([code('a', 'b'), code('a', 'c'), code('ab', ''), code('b', 'b')]).size).toBe(4)
  })
})

describe('R132: what it says', () => {
  test('where, what, why and the effect', () => {
    const failure = failureOf({ subject: 'company_name' })
    expect(describeDeadLetter(failure, WHERE, 'refused for good').summary).toBe(
      'The call POST /contacts to hubspot was refused because of its data (REQUIRED_FIELD_MISSING, company_name), in step "crm" of onboard. Given up: refused for good.',
    )
    const lost = failureOf({ class: 'transient', code: 'ECONNRESET', certainty: 'maybe_applied' })
    expect(describeDeadLetter(lost, { ...WHERE, integration: '' }, '').summary).toBe(
      'The code failed for a reason that usually passes (ECONNRESET), in step "crm" of onboard. It may have had its effect.',
    )
  })

  test('the hint of the failure, else that of its class; no secret of the reason', () => {
    expect(describeDeadLetter(failureOf({}), WHERE, '').hint).toBe('Fill company_name.')
    expect(describeDeadLetter(failureOf({ hint: '' }), WHERE, '').hint).toBe(CLASS_WORDS.validation.hint)
    expect(describeDeadLetter(failureOf({}), WHERE, 'password=hunter2hunter2').summary).not.toContain('hunter2')
  })
})

describe('D23: who or what can fix it', () => {
  test.each<[FailureClass, DeadLetterCause]>([
    ['transient', 'outage'],
    ['rate_limited', 'outage'],
    ['wait_long', 'outage'],
    ['held', 'outage'],
    ['authentication', 'credentials'],
    ['authorization', 'credentials'],
    ['validation', 'data'],
    ['not_found', 'data'],
    ['conflict', 'data'],
    ['too_large', 'data'],
    ['schema', 'schema'],
    ['malformed_response', 'schema'],
    ['configuration', 'configuration'],
    ['unknown', 'unknown'],
    ['cancelled', 'unknown'],
  ])('%s: %s', (failureClass, cause) => {
    expect(describeDeadLetter(failureOf({ class: failureClass }), WHERE, '').cause).toBe(cause)
  })

  test('an unusable answer is told apart by what came', () => {
    const cause = (code: string) =>
      describeDeadLetter(failureOf({ class: 'malformed_response', code }), WHERE, '').cause
    expect(cause('html_response')).toBe('outage')
    expect(cause('response_too_large')).toBe('configuration')
    expect(cause('malformed_response')).toBe('schema')
  })
})

describe('D09: the slow lane', () => {
  const days3Ms = 3 * 86_400_000
  test('10 tries, growing, spread over 3 days', () => {
    const waits = Array.from(
      { length: 10 },
      (_, tries) => slowLaneDelayMs('outage', tries, { maxTries: 10, spanMs: days3Ms }) ?? 0,
    )
    expect(waits[0]).toBe(Math.floor(days3Ms / 55))
    expect(waits[9]).toBe(Math.floor((days3Ms * 10) / 55))
    expect(slowLaneDelayMs('outage', 10, { maxTries: 10, spanMs: days3Ms })).toBeUndefined()
    const sumMs = waits.reduce((sum, waitMs) => sum + waitMs, 0)
    expect(sumMs).toBeGreaterThan(days3Ms - 10)
    expect(sumMs).toBeLessThanOrEqual(days3Ms)
  })

  test('any settings: whole, never shrinking, within the span, then never', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 1e12 }), (maxTries, spanMs) => {
        let sumMs = 0
        let previousMs = 0
        for (let tries = 0; tries < maxTries; tries += 1) {
          const waitMs = slowLaneDelayMs('outage', tries, { maxTries, spanMs }) ?? Number.NaN
          expect(Number.isInteger(waitMs)).toBe(true)
          expect(waitMs).toBeGreaterThanOrEqual(previousMs)
          previousMs = waitMs
          sumMs += waitMs
        }
        expect(sumMs).toBeLessThanOrEqual(spanMs)
        expect(slowLaneDelayMs('outage', maxTries, { maxTries, spanMs })).toBeUndefined()
      }),
    )
  })

  test('outage causes only', () => {
    for (const cause of ['data', 'schema', 'credentials', 'configuration', 'unknown'] as const) {
      expect(slowLaneDelayMs(cause, 0, { maxTries: 10, spanMs: days3Ms })).toBeUndefined()
    }
  })
})
