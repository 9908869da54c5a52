import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePattern, PATTERN_INPUT_LENGTH, patternProblem, patternSource } from './profile-pattern.ts'

describe('R022: patterns in rules', () => {
  test.each([
    '/already exists|has that value/',
    '/^TotalRequests\\b/',
    '/limit of \\d{1,6} (?:calls|requests)/',
    '/a.*b/',
    '/[a-z+*]{2}/',
  ])('%s is taken', (text) => {
    expect(patternProblem(text)).toBeUndefined()
  })

  test.each([
    ['(a+)+', '/(a+)+$/', 'repeats no group'],
    ['a repeated choice', '/(?:a|aa)*$/', 'repeats no group'],
    ['many stars', '/.*.*=/', 'at most one'],
    ['wide counts', '/.{0,200}.{0,200}x/', 'at most one'],
    ['an open count beside a star', '/a{2,}.*x/', 'at most one'],
    ['a back-reference', '/(.)\\1/', 'back-references'],
    ['look-behind', '/(?<=a)b/', 'look-around'],
    ['what does not compile', '/(/', 'valid regular expression'],
    ['an essay', `/${'a'.repeat(201)}/`, 'at most 200'],
  ])('%s is refused', (_what, text, why) => {
    expect(patternProblem(text)).toContain(why)
  })

  test('a text without slashes is no pattern, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.startsWith('/'))
        expect([patternSource(text), patternProblem(text)]).toEqual([undefined, undefined])
      }),
    )
  })

  test('what is taken compiles, and runs to its end on the worst of texts', () => {
    const pieces = fc.constantFrom(
      'a',
      '.',
      '\\d',
      '[ab]',
      '(?:a|b)',
      '*',
      '+',
      '{0,50}',
      '{2,}',
      '?',
      '|',
      '^',
      '$',
      '(a)',
    )
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = `/${parts.join('')}/`
        fc.pre(patternProblem(text) === undefined)
        const pattern = compilePattern(patternSource(text) as string)
        pattern.test('a'.repeat(PATTERN_INPUT_LENGTH))
      }),
      { numRuns: 200 },
    )
  })
})
