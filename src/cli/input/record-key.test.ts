import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256Hex } from '../../core/json.ts'
import { keyOfRecord } from './record-key.ts'
import { SeenRecords } from './seen-records.ts'

async function keysOf(records: readonly unknown[], by?: string, batch = 'leads.csv'): Promise<string[]> {
  const keyOf = keyOfRecord(by, batch)
  const keys: string[] = []
  for (const record of records) keys.push(await keyOf(record))
  return keys
}

const record = fc.record({ email: fc.constantFrom('a', 'b', 'c'), amount: fc.integer({ min: 0, max: 2 }) })

describe('the key of a record without --key', () => {
  it('R079: the same file gives the same keys, and no two records share one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record), async (records) => {
        const first = await keysOf(records)
        expect(await keysOf(records)).toEqual(first)
        expect(new Set(first).size).toBe(records.length)
      }),
    )
  })

  it('lines that are added, removed or moved leave the keys of the others alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record), fc.array(record), async (records, more) => {
        const before = new Set(await keysOf(records))
        const after = new Set(await keysOf([...more, ...records.toReversed()]))
        expect([...before].every((key) => after.has(key))).toBe(true)
      }),
    )
  })

  it('D17: the second of two equal records is another operation; the order of fields does not count', async () => {
    const [first, second, third] = await keysOf([
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { a: 1, b: 3 },
    ])
    expect(second).toBe(`${first}#2`)
    expect(third).not.toContain('#')
  })

  it('another batch is another scope', async () => {
    const [may] = await keysOf([{ a: 1 }], undefined, 'may')
    const [june] = await keysOf([{ a: 1 }], undefined, 'june')
    expect(may).not.toBe(june)
  })
})

describe('the key of a record with --key', () => {
  it.each([
    ['email', 'a@b.c'],
    ['id', '7'],
    ['person.email', 'p@b.c'],
    ['flat.name', 'f'],
    ['{{ email }}', 'a@b.c'],
    ['{{ email & "/" & $string(id) }}', 'a@b.c/7'],
    ['{{ email }}/{{ id }}', 'a@b.c/7'],
  ])('%s', async (by, key) => {
    const value = { email: 'a@b.c', id: 7, person: { email: 'p@b.c' }, 'flat.name': 'f' }
    expect(await keysOf([value], by)).toEqual([key])
  })

  it.each([
    ['email', { email: '' }],
    ['email', { email: '  ' }],
    ['email', {}],
    ['email', 'text'],
    ['email', null],
    ['email.x', { email: 'a' }],
    ['toString', {}],
    ['email', { email: { a: 1 } }],
    ['{{ email }}', {}],
  ])('%s is refused for %j: no record goes without its key', async (by, value) => {
    await expect(keysOf([value], by)).rejects.toMatchObject({ code: 'key_missing' })
  })

  it('a wrong expression is told before anything is read', () => {
    expect(() => keyOfRecord('{{ email. }}', 'b')).toThrow(expect.objectContaining({ code: 'invalid_expression' }))
  })
})

describe('SeenRecords', () => {
  it('counts as a Map does', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 200 }), (numbers) => {
        const seen = new SeenRecords()
        const model = new Map<number, number>()
        for (const number of numbers) {
          model.set(number, (model.get(number) ?? 0) + 1)
          expect(seen.count(sha256Hex(String(number)))).toBe(model.get(number))
        }
      }),
    )
  })

  it('holds 200,000 records, growing, without taking one for another', () => {
    const seen = new SeenRecords()
    for (let index = 0; index < 200_000; index++) {
      const hex = (index * 2_654_435_761).toString(16).padStart(16, '0').slice(-16)
      if (seen.count(hex) !== 1) throw new Error(`record ${index} counts as seen`)
    }
    expect(seen.count((199_999 * 2_654_435_761).toString(16).padStart(16, '0').slice(-16))).toBe(2)
  })
})
