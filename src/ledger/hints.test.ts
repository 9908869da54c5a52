/** What processes tell each other of work: never less than is true. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chainRun, newItem, newRun, START_MS } from './conformance/support.ts'
import { together, whereDue } from './hints.ts'
import type { ChannelRef } from './port.ts'

const at = (lane: string, endpoint = 'x'): ChannelRef => ({ lane, endpoint })

describe('hints', () => {
  test('runs tell where their first steps are, once', () => {
    const runs = [chainRun({}, at('a')), chainRun({}, at('b')), newRun({ items: [newItem(at('a'))] })]
    expect(whereDue(runs)).toEqual([at('a'), at('b')])
  })

  test('what is due later may be anywhere: everybody must see when it is', () => {
    const later = newRun({ items: [newItem({ ...at('b'), dueAtMs: START_MS + 1 })] })
    expect(whereDue([newRun({ items: [newItem(at('a'))] }), later])).toBeUndefined()
  })

  test('two hints tell what both told; where one knows nothing, they may be of anywhere; very many too', () => {
    const some = fc.uniqueArray(fc.integer({ min: 0, max: 150 }), { maxLength: 120 })
    fc.assert(
      fc.property(some, some, (one, other) => {
        const all = [...new Set([...one, ...other])]
        const both = together(
          one.map((n) => at(`${n}`)),
          other.map((n) => at(`${n}`)),
        )
        if (all.length > 100) expect(both).toBeUndefined()
        else expect(new Set(both?.map(({ lane }) => Number(lane)))).toEqual(new Set(all))
      }),
    )
    expect(together(undefined, [at('a')])).toBeUndefined()
    expect(together([at('a')], undefined)).toBeUndefined()
  })
})
