import { describe, expect, test } from 'vitest'
import type { Failure } from '../../core/failure.ts'
import { decideSplit } from './batch-split.ts'

const failure = (changes: Partial<Failure>): Failure => ({
  class: 'validation',
  code: 'x',
  message: 'x',
  userMessage: 'x',
  certainty: 'not_sent',
  hint: '',
  rule: 'test',
  countsAgainstBreaker: false,
  ...changes,
})

describe('what to do with a call that was refused whole', () => {
  test.for([
    ['R010, R127: too large', failure({ class: 'too_large', status: 413 }), 'halve'],
    ['R108: a record may be to blame', failure({ status: 422 }), 'search'],
    ['R108: an unknown field', failure({ class: 'schema', status: 400 }), 'search'],
    ['a record that is gone', failure({ class: 'not_found', status: 404 }), 'search'],
    ['R046: throttled: nobody is to blame', failure({ class: 'rate_limited', status: 429 }), 'each'],
    ['R011: credentials', failure({ class: 'authentication', status: 401 }), 'each'],
    ['R147: a missing scope', failure({ class: 'authorization', status: 403 }), 'each'],
    ['a full store', failure({ class: 'unknown', status: 507 }), 'each'],
    ['a refusal nobody knows', failure({ class: 'unknown', status: 456 }), 'search'],
    ['an outage', failure({ class: 'transient', status: 503 }), 'each'],
    ['rule 3: it may have happened', failure({ certainty: 'maybe_applied', status: 422 }), 'each'],
  ] as const)('%s', ([_name, refused, expected]) => {
    expect(decideSplit({ failure: refused, records: 8, repeatable: true, again: false })).toBe(expected)
    expect(decideSplit({ failure: refused, records: 1, repeatable: true, again: false })).toBe('each')
  })

  test('D06: a 500 is searched only where repeating is safe, and only when it comes again', () => {
    const stumble = failure({ class: 'transient', status: 500, certainty: 'maybe_applied' })
    expect(decideSplit({ failure: stumble, records: 8, repeatable: true, again: false })).toBe('each')
    expect(decideSplit({ failure: stumble, records: 8, repeatable: true, again: true })).toBe('search_once')
    expect(decideSplit({ failure: stumble, records: 8, repeatable: false, again: true })).toBe('each')
  })
})
