import { describe, expect, test } from 'vitest'
import type { Failure } from '../../core/failure.ts'
import { isDecidedByDefault, suggestedRule } from './suggest-rule.ts'

const FAILURE: Failure = {
  class: 'validation',
  code: 'ODD.Thing_7',
  message: 'm',
  userMessage: 'u',
  certainty: 'not_sent',
  hint: 'Look.',
  rule: 'default:http.422 (R009, D03)',
  status: 422,
  countsAgainstBreaker: false,
  bodyExcerpt: '{"code":"ODD.Thing_7"}',
}

describe('R018: the rule that could be written', () => {
  test('matches by status and the code of the body, and means what it was taken for', () => {
    expect(suggestedRule(FAILURE)).toEqual({
      id: 'odd-thing-7',
      status: 422,
      code: 'ODD.Thing_7',
      class: 'validation',
      hint: 'Look.',
    })
  })

  test('a code of ours does not stand in the body: the rule does not ask for it', () => {
    const conflict: Failure = {
      ...FAILURE,
      class: 'conflict',
      code: 'version_conflict',
      bodyExcerpt: '{"message":"changed"}',
    }
    expect(suggestedRule(conflict)).not.toHaveProperty('code')
    expect(suggestedRule({ ...FAILURE, code: 'http_422', bodyExcerpt: '' })).toMatchObject({
      id: 'http-422',
      status: 422,
    })
  })

  test.each([
    ['the default table judged it', {}, true],
    ['a rule of the integration did', { rule: 'crm:errors[0]' }, false],
    ['a rule of its profile did', { rule: 'profile hubspot: locked (https://a.example, read 2026-11-22)' }, false],
    ['its status means the same everywhere', { status: 503 }, false],
  ])('is asked for where %s: %j %s', (_what, change, expected) => {
    expect(isDecidedByDefault({ ...FAILURE, ...change })).toBe(expected)
  })

  test('there was no answer to write a rule for', () => {
    const { status: _status, ...fault } = FAILURE
    expect(isDecidedByDefault({ ...fault, rule: 'default:network.reset (by network error code)' })).toBe(false)
  })
})
