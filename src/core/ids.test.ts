import { expect, it } from 'vitest'
import type { Clock } from './clock.ts'
import { createIdSource } from './ids.ts'
import { seededRandom } from './random.ts'

/** Only its wall time is read. */
function clockAt(times: readonly number[]): Clock {
  let index = 0
  return { wallMs: () => times[index++] ?? 0 } as Partial<Clock> as Clock
}

const AT = 1_767_225_600_123
const TIMES = [AT, AT, AT, AT + 1, AT + 1, AT - 5000, AT + 2, ...Array.from({ length: 5000 }, () => AT + 3)]

it('ids sort in the order in which they were made: within a millisecond, and where the clock is set back', () => {
  const next = createIdSource(clockAt(TIMES), seededRandom(1))
  const ids = TIMES.map(() => next())
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true)
})

it('rule 8: the same time and seed give the same ids, another seed others', () => {
  const idsOf = (seed: number): string[] => {
    const next = createIdSource(clockAt(TIMES), seededRandom(seed))
    return Array.from({ length: 7 }, next)
  }
  expect(idsOf(1)).toEqual(idsOf(1))
  expect(new Set([...idsOf(1), ...idsOf(2)]).size).toBe(14)
})
