import { describe, expect, it } from 'vitest'
import type { SettledState } from '../../../ledger/port.ts'
import { effectsAsRecorded, noEffectTwice } from './effects.ts'
import { dead, FAILURE, retrying, runOf, START_MS, STORY_SCENARIO, SUCCEEDED, tell, unknown } from './test-story.ts'

const ITEM = 'r1.do'

describe('no effect twice (R079)', () => {
  const begun = () => tell(noEffectTwice).submit(runOf('post_unsafe', 'r1'))

  it('lets one effect happen, and a repeatable one as often as it likes', () => {
    const story = begun().at(1).send('m1#1', 1, ITEM).effect(ITEM, ITEM, { call: 1 })
    story.effect(ITEM, 'thing', { repeatable: true }).effect(ITEM, 'thing', { repeatable: true })
    expect(story.violations).toEqual([])
  })

  it('sees an effect that two calls had', () => {
    const story = begun().send('m1#1', 1, ITEM).at(5).effect(ITEM, ITEM, { call: 1 })
    story.at(9).send('m1#1', 2, ITEM).effect(ITEM, ITEM, { call: 2 })
    expect(story.violations).toEqual([expect.stringContaining('done twice')])
  })

  it('excuses one request that was done twice, and an API that said it had done nothing', () => {
    const twice = begun().send('m1#1', 1, ITEM).effect(ITEM, ITEM, { call: 1 }).effect(ITEM, ITEM, { call: 1 })
    expect(twice.violations).toEqual([])
    const lied = begun().send('m1#1', 1, ITEM).effect(ITEM, ITEM, { call: 1 }).answer('m1#1', 1, ITEM, { status: 503 })
    expect(lied.at(9).send('m1#1', 2, ITEM).effect(ITEM, ITEM, { call: 2 }).violations).toEqual([])
  })

  it('excuses an effect that no look could have seen when it was sent again', () => {
    const story = begun().send('m1#1', 1, ITEM).at(9).send('m1#1', 2, ITEM)
    expect(story.at(10).effect(ITEM, ITEM, { call: 1 }).effect(ITEM, ITEM, { call: 2 }).violations).toEqual([])
  })

  it('excuses an effect that a look missed since it came early, by a clock ahead of the one that set its time, and no later effect', () => {
    const delayMs = 2000
    const again = ({ clockAheadMs = 0, lookAtMs = delayMs, doneAtMs = 1500 }) => {
      const machines = STORY_SCENARIO.machines.map((machine, index) => ({ ...machine, skewMs: index * clockAheadMs }))
      const story = tell(noEffectTwice, { ...STORY_SCENARIO, machines }).submit(runOf('post_reconciled', 'r1'))
      story.claim('m1#1', ITEM, 1).send('m1#1', 1, ITEM)
      const lookLater = { ...unknown(), dueAtMs: START_MS + delayMs } as SettledState
      story.settle('m1#1', ITEM, 1, lookLater)
      if (doneAtMs < lookAtMs) story.at(doneAtMs).effect(ITEM, ITEM, { call: 1 })
      story.at(lookAtMs).claim('m2#1', ITEM, 2, 'unknown_outcome').settle('m2#1', ITEM, 2, retrying(lookAtMs))
      if (doneAtMs >= lookAtMs) story.at(doneAtMs).effect(ITEM, ITEM, { call: 1 })
      return story.at(9000).send('m2#1', 2, ITEM).effect(ITEM, ITEM, { call: 2 }).violations
    }
    expect(again({})).toHaveLength(1)
    expect(again({ lookAtMs: 1000 })).toHaveLength(1)
    expect(again({ clockAheadMs: 60_000, lookAtMs: 1000 })).toEqual([])
    expect(again({ clockAheadMs: 60_000, lookAtMs: 1000, doneAtMs: 500 })).toHaveLength(1)
    expect(again({ clockAheadMs: 60_000, lookAtMs: 1000, doneAtMs: 2500 })).toHaveLength(1)
  })

  it('sees two runs of code that both acted', () => {
    const run = (story: ReturnType<typeof begun>, at: number) =>
      story
        .at(at)
        .fact({ kind: 'code', process: 'm1#1', itemId: ITEM, what: 'started' })
        .at(at + 1)
        .effect(ITEM, ITEM)
    expect(run(run(begun(), 1), 5).violations).toHaveLength(1)
  })

  it('lets an operation be done again once nobody remembers it', () => {
    const shared = () => tell(noEffectTwice).submit(runOf('post_operation', 'r1')).submit(runOf('post_operation', 'r2'))
    const again = (afterMs: number) => {
      const story = shared().send('m1#1', 1, ITEM).at(1).effect(ITEM, 'op:acme', { call: 1 })
      return story.at(afterMs).send('m1#1', 2, 'r2.do').effect('r2.do', 'op:acme', { call: 2 }).violations
    }
    expect(again(73 * 3_600_000)).toEqual([])
    expect(again(71 * 3_600_000)).toHaveLength(1)
  })
})

describe('effects are as recorded (R091, R097)', () => {
  const begun = (kind = 'post_unsafe') => tell(effectsAsRecorded).submit(runOf(kind, 'r1')).claim('m1#1', ITEM, 1)

  it('lets an item succeed whose effect is there', () => {
    expect(begun().effect(ITEM, ITEM).settle('m1#1', ITEM, 1, SUCCEEDED).violations).toEqual([])
    expect(begun('read').settle('m1#1', ITEM, 1, SUCCEEDED).violations).toEqual([])
    expect(begun('post_operation').effect('r9.do', 'op:acme').settle('m1#1', ITEM, 1, SUCCEEDED).violations).toEqual([])
  })

  it('sees an item that succeeded before its effect was there', () => {
    const story = begun().settle('m1#1', ITEM, 1, SUCCEEDED).effect(ITEM, ITEM)
    expect(story.violations).toEqual([expect.stringContaining('its effect is not there')])
  })

  it('sees a person who says that it happened when it did not', () => {
    const story = begun().settle('m1#1', ITEM, 1, dead())
    story.store('m1#1', 'resolve', [[], 0], [{ outcome: 'done', itemId: ITEM, state: 'succeeded' }])
    expect(story.violations).toHaveLength(1)
  })

  it('sees an effect that is said to be surely not there', () => {
    const attempt = { failure: { ...FAILURE, certainty: 'not_sent' as const } }
    const story = begun().send('m1#1', 1, ITEM).effect(ITEM, ITEM, { call: 1 }).answer('m1#1', 1, ITEM, { status: 500 })
    expect(story.settle('m1#1', ITEM, 1, dead(), { attempt }).violations).toHaveLength(1)
    const earlier = begun().send('m1#1', 1, ITEM).at(99_000).takeOver('m1#1', ITEM, 2).effect(ITEM, ITEM, { call: 1 })
    expect(earlier.settle('m1#1', ITEM, 2, unknown(), { attempt }).violations).toEqual([])
    const maybe = begun()
      .effect(ITEM, ITEM)
      .settle('m1#1', ITEM, 1, dead(), { attempt: { failure: FAILURE } })
    expect(maybe.violations).toEqual([])
  })
})
