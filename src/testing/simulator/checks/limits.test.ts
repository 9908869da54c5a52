/** Stories that the check of limits must accept, and stories that it must refuse. */
import { describe, expect, it } from 'vitest'
import { limitsAreKept } from './limits.ts'
import { runOf, STORY_SCENARIO, SUCCEEDED, tell } from './test-story.ts'

const ITEM = 'r1.do'
const TO_CRM = { api: 'crm', endpoint: 'PUT /records', method: 'PUT', path: '/records', idempotencyKey: undefined }

describe('limits are kept (R049-R051)', () => {
  const begun = (ids: readonly string[]) => {
    const story = tell(limitsAreKept).fact({ kind: 'process_started', process: 'm1#1' })
    for (const id of ids) story.submit(runOf('put', id)).claim('m1#1', `${id}.do`, 1)
    return story
  }

  it('lets a lane have its concurrency, over all machines, and not more', () => {
    expect(begun(['r1', 'r2']).send('m1#1', 1, ITEM).send('m1#1', 2, 'r2.do').violations).toEqual([])
    expect(begun(['r1', 'r2', 'r3']).violations).toEqual([expect.stringContaining('3 items of crm/default are leased')])
    const three = begun(['r1', 'r2']).send('m1#1', 1, ITEM).send('m1#1', 2, 'r2.do').send('m1#1', 3, 'r2.do')
    expect(three.violations).toEqual([expect.stringContaining('3 calls are under way')])
  })

  it('excuses the calls of a process that is gone', () => {
    const story = begun(['r1', 'r2']).send('m1#1', 1, ITEM).send('m1#1', 2, 'r2.do')
    story
      .fact({ kind: 'process_started', process: 'm2#1' })
      .fact({ kind: 'process_ended', process: 'm1#1', how: 'crashed' })
    expect(story.at(11_000).takeOver('m2#1', ITEM, 2).send('m2#1', 3, ITEM).violations).toEqual([])
  })

  it('sees more calls in a window than the rate allows', () => {
    const calls = (lastAtMs: number) => {
      const story = begun(['r1'])
      for (const [index, ms] of [0, 1000, 2000, lastAtMs].entries()) {
        story.at(ms).send('m1#1', index, ITEM).answer('m1#1', index, ITEM, { status: 200 })
      }
      return story.violations
    }
    expect(calls(9900)).toEqual([expect.stringContaining('4 calls')])
    expect(calls(10_001)).toEqual([])
  })

  it('counts the calls of all processes together, where they have one time', () => {
    const calls = (lastAtMs: number, skewMs = 0) => {
      const machines = STORY_SCENARIO.machines.map((machine, index) => ({ ...machine, skewMs: index * skewMs }))
      const story = tell(limitsAreKept, { ...STORY_SCENARIO, machines })
      for (const process of ['m1#1', 'm2#1']) story.fact({ kind: 'process_started', process })
      for (const [index, ms] of [0, 1000, 2000, lastAtMs].entries()) {
        const process = `m${1 + (index % 2)}#1`
        story
          .submit(runOf('put', `r${index}`))
          .at(ms)
          .claim(process, `r${index}.do`, 1)
        story.send(process, index, `r${index}.do`).answer(process, index, `r${index}.do`, { status: 200 })
        story.settle(process, `r${index}.do`, 1, SUCCEEDED)
      }
      return story.violations
    }
    expect(calls(9900)).toEqual([expect.stringContaining('all together started 4 calls')])
    expect(calls(10_001)).toEqual([])
    expect(calls(9900, 500)).toEqual([])
  })

  describe('with calls that are sent long after they were decided on, by a process that stood still', () => {
    const calls = (...decidedAndSent: readonly (readonly [number, number])[]) => {
      const story = begun(['r1'])
      for (const [index, [startedAtMs, sentAtMs]] of decidedAndSent.entries()) {
        story.at(sentAtMs).fact({ kind: 'sent', process: 'm1#1', call: index, itemId: ITEM, startedAtMs, ...TO_CRM })
        story.answer('m1#1', index, ITEM, { status: 200 })
      }
      return story.violations
    }
    const inTime = (...ms: readonly number[]) => ms.map((atMs) => [atMs, atMs] as const)

    it('counts them among those decided on at the same time, not among what others decided on since (seed 72)', () => {
      expect(calls([0, 0], ...inTime(20_000, 20_100, 20_200), [1, 31_000])).toEqual([])
      expect(calls(...inTime(0, 100, 20_000), [9000, 31_000])).toEqual([])
      expect(calls(...inTime(0, 100, 20_000), [9000, 31_000], [9001, 31_000])).toEqual([
        expect.stringContaining('started 4 calls'),
      ])
      expect(calls(...inTime(15_000, 15_100, 15_200), [6000, 31_000])).toEqual([
        expect.stringContaining('started 4 calls'),
      ])
    })

    it('sees calls sent close together that were decided on apart, where they were soon on their way (R049)', () => {
      const decided = [0, 0, 0] as const
      const soon = decided.map((atMs) => [atMs, atMs + 800] as const)
      const late = decided.map((atMs) => [atMs, atMs + 900] as const)
      expect(calls(...soon, [10_001, 10_001])).toEqual([expect.stringContaining('sent 4 calls')])
      expect(calls(...late, [10_001, 10_001])).toEqual([])
    })
  })
})
