/** The check of jobs: what it accepts of a job that does as it was asked, and what it sees. */
import { describe, expect, it } from 'vitest'
import { jobsDoAsAsked } from './jobs.ts'
import { dead, runOf, START_MS, type Story, SUCCEEDED, tell } from './test-story.ts'

const STATE = { what: 'replay', by: 'job 1', total: 0, canary: 0, proven: false }

function change(story: Story, process: string, revision: number, state: object, ended = false): Story {
  const endedAtMs = ended ? START_MS : undefined
  const record = { id: 'j', revision, endedAtMs, state: { ...STATE, ...state } }
  return story.store(process, 'updateJob', [{ ...record, fromRevision: revision - 1 }], record)
}

function replay(story: Story, process: string, ...itemIds: readonly string[]): Story {
  return replayBy('job 1', story, process, ...itemIds)
}

function replayBy(by: string, story: Story, process: string, ...itemIds: readonly string[]): Story {
  const orders = itemIds.map((itemId) => ({ itemId, by, dueAtMs: START_MS }))
  const receipts = itemIds.map((itemId) => ({ itemId, outcome: 'done', state: 'queued' }))
  return story.store(process, 'replay', [orders, START_MS], receipts)
}

/** Dead letters `r1.do` to `r3.do`, and a job about the first two. */
function begun(canary = 0): Story {
  const story = tell(jobsDoAsAsked)
  for (const id of ['r1', 'r2', 'r3']) {
    story.submit(runOf('put', id)).claim('m1#1', `${id}.do`, 1)
    story.settle('m1#1', `${id}.do`, 1, dead())
  }
  change(story, 'm1#1', 1, { phase: 'planning', canary })
  const members = ['r1.do', 'r2.do'].map((itemId) => ({ itemId, replaysBefore: 0 }))
  story.store('m1#1', 'writeJobMembers', ['j', members], null)
  return change(story, 'm1#1', 2, { phase: 'running', canary, total: 2 })
}

describe('jobs do as asked (decision 027)', () => {
  it('accepts a job that another process goes on with', () => {
    const story = replay(begun(), 'm1#1', 'r1.do')
    change(story, 'm2#1', 3, { phase: 'running', total: 2 })
    replay(story, 'm2#1', 'r2.do')
    change(story, 'm2#1', 4, { phase: 'done', total: 2 }, true)
    expect(story.violations).toEqual([])
  })

  it('sees what it was not about, what it does twice, and what somebody does who has not taken it', () => {
    expect(replay(begun(), 'm1#1', 'r3.do').violations).toEqual(['job j touched it, and is not about it'])
    expect(replay(replay(begun(), 'm1#1', 'r1.do'), 'm1#1', 'r1.do').violations).toEqual(['job j replayed it twice'])
    expect(replay(begun(), 'm2#1', 'r1.do').violations).toEqual(['m2#1 works on job j, which is running'])
  })

  it('sees what is touched after it was cancelled, but for the step that is under way', () => {
    const story = change(begun(), 'm2#1', 3, { phase: 'cancelled', total: 2 }, true)
    expect(replay(story, 'm1#1', 'r1.do').violations).toEqual([])
    story.store('m1#1', 'updateJob', [{ id: 'j', fromRevision: 2 }], undefined)
    replay(story, 'm1#1', 'r2.do')
    expect(story.violations).toEqual(['m1#1 works on job j, which is cancelled'])
  })

  it('sees more than its canary put back before that has ended well', () => {
    const early = replay(begun(1), 'm1#1', 'r1.do')
    expect(early.violations).toEqual([])
    expect(replay(early, 'm1#1', 'r2.do').violations).toHaveLength(1)
    const late = replay(begun(1), 'm1#1', 'r1.do').claim('m1#1', 'r1.do', 2).settle('m1#1', 'r1.do', 2, SUCCEEDED)
    expect(replay(late, 'm1#1', 'r2.do').violations).toEqual([])
  })

  it('does not count what another job, about the same item, has put back (found by seed 623)', () => {
    const story = replayBy('job 2', begun(1), 'm1#1', 'r2.do')
    expect(replay(story, 'm1#1', 'r1.do').violations).toEqual([])
  })

  it('sees members forgotten, and counts that do not add up', () => {
    const short = tell(jobsDoAsAsked)
    change(short, 'm1#1', 1, { phase: 'planning' })
    change(short, 'm1#1', 2, { phase: 'running', total: 2 })
    expect(short.violations).toEqual(['job j is about 0 items, and says 2'])
    const counts = { waiting: 1, underWay: 0, succeeded: 0, failed: 0, refused: 0, forgotten: 0 }
    const story = begun().event('m1#1', { type: 'job.progressed', jobId: 'j', what: 'replay', total: 2, ...counts })
    expect(story.violations).toEqual(['job j counts 1 items of 2, and is about 2'])
  })
})
