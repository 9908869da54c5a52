import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseItemList, readStandardLimits } from './rate-limit-fields.ts'

const string = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 12,
})
const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`

test('R049: whatever policies a server writes by the draft are read as they were meant', () => {
  const policy = fc.record({
    name: string,
    remaining: fc.nat(999_999),
    reset: fc.option(fc.nat(999_999), { nil: undefined }),
    quota: fc.option(fc.nat(999_999), { nil: undefined }),
    window: fc.option(fc.nat(999_999), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.uniqueArray(policy, { minLength: 1, maxLength: 5, selector: ({ name }) => name }), (policies) => {
      const ratelimit = policies
        .map(
          ({ name, remaining, reset }) => `${quoted(name)};r=${remaining}${reset === undefined ? '' : `;t=${reset}`}`,
        )
        .join(', ')
      const told = policies
        .map(({ name, quota, window }) => {
          const parameters = [quota === undefined ? '' : `;q=${quota}`, window === undefined ? '' : `; w=${window}`]
          return quoted(name) + parameters.join('')
        })
        .join(',\t')
      const read = readStandardLimits({ ratelimit, 'ratelimit-policy': told })
      const meant = policies.map(({ name, remaining, reset, quota, window }) => ({
        name,
        remaining,
        ...(reset !== undefined && { resetSeconds: reset }),
        ...(quota !== undefined && { limit: quota }),
        ...(window !== undefined && { windowSeconds: window }),
      }))
      expect(read).toEqual(meant)
    }),
  )
})

test.each([
  '',
  '"a";r=1,',
  ',"a";r=1',
  '"a";r=1 "b";r=2',
  '"a;r=1',
  '"a";R=1',
  '"a";r=',
  '"a";r=1e3',
  '"a";r=1.2345',
  '"a";r=1234567890123456',
  '("a" "b");r=1',
  'ä;r=1',
  '"a";r=:no-base64:',
])('a malformed list is no list: %s', (text) => {
  expect(parseItemList(text)).toBeUndefined()
})

test('items of every kind', () => {
  const list = parseItemList(' tok/en;a;b=?0;c=:aGk=:;d=-1.5 , "s\\"\\\\";a=1;a=2 , 7 ')
  expect(list?.map(({ value, parameters }) => [value, Object.fromEntries(parameters)])).toEqual([
    ['tok/en', { a: true, b: false, c: 'aGk=', d: -1.5 }],
    ['s"\\', { a: 2 }],
    [7, {}],
  ])
})

test('one malformed item spoils the field', () => {
  for (const ratelimit of [
    '"a";r=0, 7;r=1',
    '"a";r=0, "b";r=1;t=soon',
    '"a";r=0, "b";r=-1',
    '"a";r=0, "b"',
    'limit=1, remaining=x',
    'limit=1 remaining=2',
  ]) {
    expect(readStandardLimits({ ratelimit })).toEqual([])
  }
})
