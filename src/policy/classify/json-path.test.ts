import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import { jsonAt, someJsonAt } from './json-path.ts'

describe('R024: where things stand in a body', () => {
  const graph: Json = {
    error: { code: 'generalException', innererror: { code: 'notAllowed', innererror: { code: 'quotaReached' } } },
  }
  test.each<[string, Json, Json[]]>([
    ['error.code', graph, ['generalException']],
    ['error.**.code', graph, ['quotaReached', 'notAllowed', 'generalException']],
    ['ok', { ok: false }, [false]],
    ['data.*.userErrors[]', { data: { create: { userErrors: [{ message: 'no' }] } } }, [{ message: 'no' }]],
    ['data.*.userErrors[]', { data: { create: { userErrors: [] } } }, []],
    ['[].errorCode', [{ errorCode: 'A' }, { errorCode: 'B' }], ['A', 'B']],
    ['[1].errorCode', [{ errorCode: 'A' }, { errorCode: 'B' }], ['B']],
    ['errors.{field}', { errors: { email: ['taken'], message: 'x' } }, ['email']],
    ['toString', {}, []],
    ['__proto__.x', {}, []],
  ])('%s', (path, body, found) => {
    expect(jsonAt(body, path)).toEqual(found)
  })

  test('R024: a hostile body costs a bounded amount, whatever the path', () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, { code: 1 }]))
    let deep: Json = { code: 'deepest' }
    for (let level = 0; level < 3000; level++) deep = { a: deep, b: deep }
    for (const path of ['**.code', '**.**.**.code', '*.*.*.*.*.code', 'a.**.a.**.code']) {
      expect(jsonAt(deep, path).length).toBeLessThanOrEqual(20)
      expect(jsonAt(wide, path).length).toBeLessThanOrEqual(20)
    }
  })

  test('any path in any body gives a few values of that body, and never throws', () => {
    const segment = fc.constantFrom('a', 'b', '0', '[]', '*', '**', '{field}', '__proto__')
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(segment, { maxLength: 8 }), (body, segments) => {
        expect(jsonAt(body as Json, segments.join('.')).length).toBeLessThanOrEqual(20)
      }),
    )
  })
})

describe('someJsonAt', () => {
  const records = Array.from({ length: 200 }, (_, index) => ({ success: index !== 150 }))

  test('R121: one failed record of two hundred does not hide behind the good ones', () => {
    expect(someJsonAt(records, '[].success', (value) => value === false)).toBe(true)
    expect(someJsonAt({ results: records }, 'results[].success', (value) => value === false)).toBe(true)
    expect(someJsonAt(records.slice(0, 150), '[].success', (value) => value === false)).toBe(false)
  })

  test('ends early, and ends with a body made to be walked for ever', () => {
    let asked = 0
    someJsonAt(records, '[].success', () => ++asked === 3)
    expect(asked).toBe(3)
    let wide: Json = 1
    for (let depth = 0; depth < 6; depth++) wide = Array.from({ length: 30 }, () => wide)
    expect(someJsonAt({ wide }, '**.*.*', (value) => value === 2)).toBe(false)
  })
})
