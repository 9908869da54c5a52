import { describe, expect, it } from 'vitest'
import { attemptsCountedRight } from './attempts.ts'
import { retriedOnlyWhenSafe } from './retries.ts'
import { dead, FAILURE, retrying, runOf, SUCCEEDED, tell, unknown } from './test-story.ts'

const ITEM = 'r1.do'
const LOOK = 'GET /records'

describe('retried only when it is safe (rule 3, R019, R095)', () => {
  const sent = (kind = 'post_reconciled') =>
    tell(retriedOnlyWhenSafe).submit(runOf(kind, 'r1')).claim('m1#1', ITEM, 1).send('m1#1', 1, ITEM)
  const look = (story: ReturnType<typeof sent>, call: number) =>
    story.send('m1#1', call, ITEM, LOOK).answer('m1#1', call, ITEM, { status: 200, endpoint: LOOK })

  it.each([503, 429, 422])('lets it be sent again after a %i, which did nothing', (status) => {
    expect(sent().answer('m1#1', 1, ITEM, { status }).send('m1#1', 2, ITEM).violations).toEqual([])
  })

  it.each([
    ['a lost connection', { fault: 'ECONNRESET (waiting_for_headers)' }],
    ['a 500', { status: 500 }],
    ['a good answer', { status: 200 }],
  ])('sees it sent again after %s', (_what, end) => {
    expect(sent().answer('m1#1', 1, ITEM, end).send('m1#1', 2, ITEM).violations).toHaveLength(1)
    expect(sent('put').answer('m1#1', 1, ITEM, end).send('m1#1', 2, ITEM).violations).toEqual([])
  })

  it('wants as many looks that find nothing as the settings say', () => {
    const lost = () => sent().answer('m1#1', 1, ITEM, { status: 504 })
    expect(look(lost(), 2).send('m1#1', 9, ITEM).violations).toEqual([expect.stringContaining('only 1 looks')])
    expect(look(look(lost(), 2), 3).send('m1#1', 9, ITEM).violations).toEqual([])
  })

  it('does not take a look that should have found it for one that found nothing', () => {
    const lost = sent().effect(ITEM, ITEM, { call: 1 }).answer('m1#1', 1, ITEM, { status: 504 })
    expect(look(look(lost, 2), 3).send('m1#1', 9, ITEM).violations).toHaveLength(1)
  })

  it("takes a person's word", () => {
    const lost = sent('post_unsafe').answer('m1#1', 1, ITEM, { status: 504 }).settle('m1#1', ITEM, 1, unknown())
    lost.store('m1#1', 'replay', [[], 0], [{ outcome: 'done', itemId: ITEM, state: 'queued' }])
    expect(lost.send('m1#1', 2, ITEM).violations).toEqual([])
  })

  it('sees the work of a process that was lost done again', () => {
    const crashed = sent('post_unsafe').fact({ kind: 'process_ended', process: 'm1#1', how: 'crashed' })
    expect(crashed.send('m2#1', 2, ITEM).violations).toEqual([expect.stringContaining('its process ended')])
    const frozen = sent('code_unsafe').at(11_000).takeOver('m2#1', ITEM, 2)
    expect(frozen.fact({ kind: 'code', process: 'm2#1', itemId: ITEM, what: 'started' }).violations).toHaveLength(1)
  })

  it('sees an operation sent by one run while it is open in another', () => {
    const story = sent('post_operation').submit(runOf('post_operation', 'r2'))
    expect(story.send('m2#1', 2, 'r2.do').violations).toEqual([expect.stringContaining('it is under way')])
  })
})

describe('attempts are counted right (rule 4, D14)', () => {
  const claimed = (kind = 'put') => tell(attemptsCountedRight).submit(runOf(kind, 'r1')).claim('m1#1', ITEM, 1)
  const failed = { attempt: { failure: FAILURE } }

  it('lets a try be counted, and one that was held not', () => {
    const tried = claimed().send('m1#1', 1, ITEM).answer('m1#1', 1, ITEM, { status: 200 })
    expect(
      tried.settle('m1#1', ITEM, 1, SUCCEEDED, { attempt: { outcome: 'succeeded', status: 200 } }).violations,
    ).toEqual([])
    expect(claimed().settle('m1#1', ITEM, 1, retrying(5), { deferral: true }).violations).toEqual([])
  })

  it('sees an attempt counted for a refusal by ourselves', () => {
    expect(claimed().settle('m1#1', ITEM, 1, retrying(5), failed).violations).toHaveLength(1)
  })

  it('sees an attempt counted for a 429, also where the item is given up', () => {
    const throttled = claimed().send('m1#1', 1, ITEM).answer('m1#1', 1, ITEM, { status: 429 })
    expect(throttled.settle('m1#1', ITEM, 1, dead(), failed).violations).toHaveLength(1)
  })

  it('sees a try that nobody counted', () => {
    const tried = claimed().send('m1#1', 1, ITEM).answer('m1#1', 1, ITEM, { fault: 'ECONNRESET (waiting_for_headers)' })
    expect(tried.settle('m1#1', ITEM, 1, retrying(5)).violations).toHaveLength(1)
  })

  it('does not count looks', () => {
    const looked = claimed('post_reconciled').send('m1#1', 1, ITEM, LOOK)
    looked.answer('m1#1', 1, ITEM, { status: 200, endpoint: LOOK })
    expect(looked.settle('m1#1', ITEM, 1, unknown(), { attempt: { counts: false } }).violations).toEqual([])
  })

  it('sees two tries under one claim, and an attempt that says another status', () => {
    const twice = claimed().send('m1#1', 1, ITEM).send('m1#1', 2, ITEM).answer('m1#1', 2, ITEM, { status: 500 })
    expect(
      twice.settle('m1#1', ITEM, 1, retrying(5), { attempt: { ...failed.attempt, status: 502 } }).violations,
    ).toEqual([expect.stringContaining('2 tries'), expect.stringContaining('its attempt says 502')])
  })
})
