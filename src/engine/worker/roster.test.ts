import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Placed, Roster } from './roster.ts'

it('holds what a set would hold, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 }))), (steps) => {
      const members = Array.from({ length: 10 }, (): Placed => ({ place: -1 }))
      const roster = new Roster<Placed>()
      const expected = new Set<Placed>()
      for (const [comes, index] of steps) {
        const member = members[index] ?? expect.fail('there are ten')
        if (!comes) {
          roster.remove(member)
          expected.delete(member)
        } else if (!expected.has(member)) {
          roster.add(member)
          expected.add(member)
        }
        expect(new Set(roster)).toEqual(expected)
        expect(roster.size).toBe(expected.size)
        expect(members.every((each) => each.place === -1 || expected.has(each))).toBe(true)
      }
    }),
  )
})
