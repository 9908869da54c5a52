/** The check of undoing: the story of a run that fails half done, and of undoings that break their promise. */
import { describe, expect, it } from 'vitest'
import type { NewRun } from '../../../ledger/port.ts'
import { openSqliteLedger } from '../../../ledger/sqlite/index.ts'
import { createVirtualClock } from '../../virtual-clock.ts'
import type { Scenario, StepPlan } from '../scenario.ts'
import { dead, runOf, START_MS, STORY_SCENARIO, type Story, SUCCEEDED, tell, unknown, viewOf } from './test-story.ts'
import { undoneAsPromised } from './undoing.ts'

const common = { api: 'crm', optional: false } as const
const STEPS: readonly StepPlan[] = [
  { name: 'first', kind: 'post_unsafe', after: [], undo: 'post_unsafe', ...common },
  { name: 'then', kind: 'post_unsafe', after: ['first'], undo: 'delete', ...common },
  { name: 'last', kind: 'post_unsafe', after: ['then'], ...common },
]
const scenario: Scenario = { ...STORY_SCENARIO, pipelines: [{ name: 'onboard', steps: STEPS }] }

const PLANNED = { lane: 'crm/default', endpoint: 'POST /records', dueAtMs: START_MS, optional: false } as const

function run(): NewRun {
  return runOf('onboard', 'r1', { items: STEPS.map(({ name, after }) => ({ step: name, after, ...PLANNED })) })
}

/** What undoes `r1`, in these steps: each after the one before. */
function undoing(steps: readonly string[], more: Partial<NewRun> = {}): NewRun {
  return runOf('onboard:undo', 'u1', {
    key: 'r1',
    input: JSON.stringify({ runId: 'r1', key: 'r1', because: 'last', input: {}, outputs: {} }),
    items: steps.map((step, index) => ({ step, after: steps.slice(0, index), ...PLANNED })),
    ...more,
  })
}

/** `last` failed for good, after `first` and `then` were done. */
function failed(): Story {
  return tell(undoneAsPromised, scenario)
    .submit(run())
    .claim('m1#1', 'r1.first', 1)
    .settle('m1#1', 'r1.first', 1, SUCCEEDED)
    .claim('m1#1', 'r1.then', 1)
    .settle('m1#1', 'r1.then', 1, SUCCEEDED)
    .claim('m1#1', 'r1.last', 1)
    .settle('m1#1', 'r1.last', 1, dead())
}

function replayLast(story: Story): Story {
  const order = { itemId: 'r1.last', by: 'operator', dueAtMs: START_MS }
  return story.store('m1#1', 'replay', [[order], START_MS], [{ itemId: 'r1.last', outcome: 'done', state: 'queued' }])
}

describe('undone as promised (R029)', () => {
  it('accepts that all that was done is undone, in its order', () => {
    const story = failed()
      .submit(undoing(['then', 'first']))
      .claim('m1#1', 'u1.then', 1)
      .send('m1#1', 1, 'u1.then', 'DELETE /things/{id}')
      .effect('u1.then', 'undo-r1.then', { call: 1 })
      .settle('m1#1', 'u1.then', 1, SUCCEEDED)
      .claim('m1#1', 'u1.first', 1)
      .send('m1#1', 2, 'u1.first')
      .effect('u1.first', 'undo-r1.first', { call: 2 })
    expect(story.violations).toEqual([])
  })

  it('sees a run undone that has not failed, and steps that were not done', () => {
    const going = tell(undoneAsPromised, scenario)
      .submit(run())
      .submit(undoing(['first']))
    expect(going.violations).toEqual([
      'run u1 undoes run r1, which has not failed',
      'run u1 undoes first of run r1, which was not done',
      'run r1 is undone while one of its items is queued',
    ])
    expect(failed().submit(undoing(['last', 'then', 'first'])).violations).toEqual([
      'run u1 undoes last of run r1, which was not done',
    ])
  })

  it('sees what is left out, and what is undone while nobody knows how it ended', () => {
    expect(failed().submit(undoing(['first'])).violations).toEqual(['run u1 leaves then of run r1'])
    const unclear = tell(undoneAsPromised, scenario)
      .submit(run())
      .claim('m1#1', 'r1.first', 1)
      .settle('m1#1', 'r1.first', 1, SUCCEEDED)
      .claim('m1#1', 'r1.then', 1)
      .settle('m1#1', 'r1.then', 1, unknown())
    expect(unclear.submit(undoing(['first'])).violations).toContain(
      'run r1 is undone while one of its items is unknown_outcome',
    )
  })

  it('sees a step undone before what was built on it', () => {
    const story = failed()
      .submit(undoing(['then', 'first']))
      .send('m1#1', 1, 'u1.first')
    expect(story.violations).toEqual(['it was undone before then, which was built on it and is queued'])
  })

  it('sees a run that goes on although it is undone; one that somebody replayed before that is let go', () => {
    const raced = replayLast(failed().submit(undoing(['then', 'first'])))
    expect(raced.violations).toEqual([])
    raced.effect('u1.then', 'undo-r1.then')
    expect(raced.violations).toEqual(['it was undone, and run r1 has been replayed and goes on'])
    raced.claim('m1#1', 'r1.last', 2)
    expect(raced.violations[1]).toMatch(/^it was worked on, and its run has been undone since fact \d+$/)
  })

  it('sees at the end what was never undone', async () => {
    const ledger = await openSqliteLedger({ path: ':memory:', clock: createVirtualClock() })
    const story = tell(undoneAsPromised, scenario)
    await ledger.submit([run()])
    await story.check.end?.(viewOf(ledger))
    expect(story.violations).toEqual([])
    for (const [step, to] of [
      ['first', SUCCEEDED],
      ['then', SUCCEEDED],
      ['last', dead()],
    ] as const) {
      const channels = [{ lane: 'crm/default', endpoint: 'POST /records', limit: 10, laneConcurrency: 10 }]
      await ledger.claim({ workerId: 'w', nowMs: START_MS, leaseUntilMs: START_MS + 10_000, channels })
      await ledger.settle([{ itemId: `r1.${step}`, tenant: 'default', token: 1, to }], START_MS)
    }
    await story.check.end?.(viewOf(ledger))
    expect(story.violations).toEqual(['run r1 failed for good, and what it did was never undone'])
    await ledger.close()
  })
})
