import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, editDistance, nearestName } from './nearest.ts'

describe('nearest name', () => {
  it.each([
    ['timeots', 'timeouts'],
    ['Retry', 'retry'],
    ['brekaer', 'breaker'],
    ['endpoint', 'endpoints'],
  ])('%s -> %s', (wrong, right) => {
    expect(nearestName(wrong, ['retry', 'timeouts', 'breaker', 'endpoints', 'limits'])).toBe(right)
  })

  it('says nothing where nothing is near', () => {
    expect(nearestName('colour', ['retry', 'timeouts'])).toBeUndefined()
    expect(didYouMean('x'.repeat(100_000), ['x'.repeat(100_000)])).toBe('')
  })

  it('editDistance is a distance: zero for equals, symmetric, bounded by the longer length', () => {
    const word = fc.string({ maxLength: 12 })
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, a)).toBe(0)
        expect(editDistance(a, b)).toBe(editDistance(b, a))
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
        if (a !== b) expect(editDistance(a, b)).toBeGreaterThan(0)
      }),
    )
  })

  it('one slip (a letter too much, too few, another, two swapped) is a distance of one', () => {
    const word = fc.string({ minLength: 2, maxLength: 12, unit: fc.constantFrom(...'abcdef') })
    fc.assert(
      fc.property(word, fc.nat(), (text, where) => {
        const at = where % (text.length - 1)
        expect(editDistance(text, `${text.slice(0, at)}Z${text.slice(at)}`)).toBe(1)
        expect(editDistance(text, text.slice(0, at) + text.slice(at + 1))).toBe(1)
        expect(editDistance(text, `${text.slice(0, at)}Z${text.slice(at + 1)}`)).toBe(1)
        if (text[at] !== text[at + 1]) {
          const swapped = text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2)
          expect(editDistance(text, swapped)).toBe(1)
        }
      }),
    )
  })
})
