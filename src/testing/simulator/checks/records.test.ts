/** Checks of what is kept: against a real ledger where they look into it, and with a word of it bent where they must see that. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Failure } from '../../../core/failure.ts'
import { explainItem } from '../../../engine/operations/explain.ts'
import type { ItemRecord, Ledger, Settlement } from '../../../ledger/port.ts'
import { openSqliteLedger } from '../../../ledger/sqlite/index.ts'
import { createVirtualClock } from '../../virtual-clock.ts'
import { durableBeforeAcknowledged, neverLost } from './accepted.ts'
import { booksBalance } from './books.ts'
import type { CheckFactory } from './check.ts'
import { eventsFollowTheStore, operationsEndWithTheirItem } from './commits.ts'
import { contradictions, explainAgrees } from './explain.ts'
import { everythingEnds } from './liveness.ts'
import { secretsNeverLeave } from './secrets.ts'
import {
  DEAD_LETTER,
  dead,
  FAILURE,
  runOf,
  START_MS,
  type Story,
  SUCCEEDED,
  tell,
  tried,
  viewOf,
} from './test-story.ts'
import { legalTransitions } from './transitions.ts'

const opened: Ledger[] = []
afterEach(async () => {
  for (const ledger of opened.splice(0)) await ledger.close()
})

/** A real ledger; what is done to it is told to the check. */
async function toldLedger(make: CheckFactory) {
  const ledger = await openSqliteLedger({ path: ':memory:', clock: createVirtualClock() })
  opened.push(ledger)
  const story = tell(make)
  const lease = { workerId: 'w', nowMs: START_MS, leaseUntilMs: START_MS + 10_000 }
  return {
    ledger,
    story,
    async submit(...ids: string[]) {
      const runs = ids.map((id) => runOf('chain', id))
      story.store('m1#1', 'submit', [runs], await ledger.submit(runs))
    },
    async claim() {
      const channels = [{ lane: 'crm/default', endpoint: 'POST /records', limit: 10, laneConcurrency: 10 }]
      const request = { ...lease, channels }
      story.store('m1#1', 'claim', [request], await ledger.claim(request))
    },
    async settle(settlement: Settlement) {
      story.store('m1#1', 'settle', [[settlement], START_MS], await ledger.settle([settlement], START_MS))
    },
    end: async () => {
      await story.check.inspect?.(viewOf(ledger))
      await story.check.end?.(viewOf(ledger))
      return story.violations
    },
  }
}

const fenceOf = (itemId: string, token = 1) => ({ itemId, tenant: 'default', token })
const failedForGood: Pick<Settlement, 'to' | 'attempt'> = {
  to: dead('not_retryable: refused'),
  attempt: tried({ failure: FAILURE, status: 422 }),
}

describe('the books balance (rule 2)', () => {
  it('holds what was accepted against what there is', async () => {
    const told = await toldLedger(booksBalance)
    await told.submit('r1', 'r2')
    await told.claim()
    await told.settle({ ...fenceOf('r1.a'), ...failedForGood })
    expect(await told.end()).toEqual([])
  })

  it('sees items that the store took and does not have', async () => {
    const told = await toldLedger(booksBalance)
    await told.submit('r1')
    told.story.submit(runOf('chain', 'r9'))
    expect(await told.end()).toContain('the books say 2 items accepted; the store took 4')
  })

  it('sees an audit that found something', async () => {
    const told = await toldLedger(booksBalance)
    const found = await told.ledger.audit()
    const bad = { ...found, checks: [{ name: 'x', description: '', violations: 3, examples: ['r1.a'] }] }
    await told.story.check.end?.(viewOf({ audit: () => Promise.resolve(bad) }))
    expect(told.story.violations).toEqual(['audit: x: 3 (r1.a)'])
  })
})

describe('accepted and never lost (rule 1, R001)', () => {
  it('finds every run that was accepted', async () => {
    const told = await toldLedger(neverLost)
    await told.submit('r1', 'r2')
    await told.submit('r1')
    expect(await told.end()).toEqual([])
  })

  it('sees a run that is gone', async () => {
    const told = await toldLedger(neverLost)
    told.story.submit(runOf('chain', 'r9'))
    expect(await told.end()).toContain('run r9 is not in the ledger with all its items')
  })

  it('sees a key accepted twice, and a duplicate of something else', () => {
    const again = tell(neverLost)
      .submit(runOf('chain', 'r1', { key: 'k' }))
      .submit(runOf('chain', 'r2', { key: 'k' }))
    expect(again.violations).toHaveLength(1)
    const other = tell(neverLost).submit(runOf('chain', 'r1', { key: 'k' }))
    other.store('m1#1', 'submit', [[runOf('chain', 'r2', { key: 'k' })]], [{ outcome: 'duplicate', runId: 'r7' }])
    expect(other.violations).toHaveLength(1)
  })

  it('sees a run accepted without one of its steps', () => {
    const [first] = runOf('chain', 'r1').items
    expect(tell(neverLost).submit(runOf('chain', 'r1', { items: first ? [first] : [] })).violations).toHaveLength(1)
  })

  it('sees an acknowledgement before the store had it', () => {
    const acknowledged = {
      kind: 'acknowledged',
      process: 'm1#1',
      pipeline: 'chain',
      record: 'x',
      key: undefined,
    } as const
    const early = tell(durableBeforeAcknowledged).fact({ ...acknowledged, runId: 'r1', duplicate: false })
    expect(early.violations).toHaveLength(1)
    const right = tell(durableBeforeAcknowledged).submit(runOf('chain', 'r1'))
    expect(right.fact({ ...acknowledged, runId: 'r1', duplicate: false }).violations).toEqual([])
  })
})

describe('only legal transitions (rule 5)', () => {
  const begun = () => tell(legalTransitions).submit(runOf('chain', 'r1'))

  it('follows items through the ledger, those that wait included', async () => {
    const told = await toldLedger(legalTransitions)
    await told.submit('r1', 'r2', 'r3')
    await told.claim()
    await told.settle({ ...fenceOf('r1.a'), to: SUCCEEDED, attempt: tried({ outcome: 'succeeded' }) })
    await told.settle({ ...fenceOf('r2.a'), ...failedForGood })
    const order = [{ itemId: 'r2.a', by: 'me', reason: 'no use' }]
    told.story.store('m1#1', 'discard', [order, START_MS], await told.ledger.discard(order, START_MS))
    expect(await told.end()).toEqual([])
  })

  it('sees an item that leaves an end', () => {
    const story = begun()
      .claim('m1#1', 'r1.a', 1)
      .settle('m1#1', 'r1.a', 1, SUCCEEDED)
      .claim('m1#1', 'r1.a', 2, 'succeeded')
    expect(story.violations).toContain('it went from succeeded to processing')
  })

  it('sees an item claimed from another state than it was in, and one that nobody submitted', () => {
    expect(begun().claim('m1#1', 'r1.a', 1, 'retrying').violations).toEqual([
      'it was claimed from retrying, and was queued',
    ])
    expect(begun().claim('m1#1', 'r9.a', 1).violations).toHaveLength(1)
  })

  it('sees a row that says something else than the receipts', async () => {
    const told = await toldLedger(legalTransitions)
    await told.submit('r1')
    await told.claim()
    told.story.settle('m1#1', 'r1.a', 1, dead(), { attempt: {} })
    expect(await told.end()).toContain('its row says processing; by its receipts it is dead_lettered')
  })
})

describe('everything ends, or needs a person (R030)', () => {
  it('lets dead letters stand, and what waits behind them', async () => {
    const told = await toldLedger(everythingEnds)
    await told.submit('r1')
    await told.claim()
    await told.settle({ ...fenceOf('r1.a'), ...failedForGood })
    expect(await told.end()).toEqual([])
  })

  it('sees what is still under way, and what waits for nothing', async () => {
    const told = await toldLedger(everythingEnds)
    await told.submit('r1')
    expect(await told.end()).toEqual(['it waits for a, queued', expect.stringMatching(/^it is still queued/)])
  })
})

describe('explain agrees (rule 9)', () => {
  async function deadLetter(): Promise<ItemRecord> {
    const told = await toldLedger(explainAgrees)
    await told.submit('r1')
    await told.claim()
    await told.settle({ ...fenceOf('r1.a'), ...failedForGood })
    return (await told.ledger.item('r1.a')) as ItemRecord
  }
  const explain = (item: ItemRecord) => explainItem({ item, lane: undefined, ahead: [], undoing: [], nowMs: START_MS })

  it('takes what the engine says', async () => {
    const item = await deadLetter()
    expect(contradictions(item, explain(item))).toEqual([])
  })

  it.each<[string, Partial<ItemRecord>]>([
    ['another state', { state: 'retrying' }],
    ['other counts', { counters: { attempts: 4, deferrals: 0, crashes: 0, replays: 0 } }],
    ['another reason', { deadLetter: { ...DEAD_LETTER, summary: 'Something else.', sinceMs: 0 } }],
    ['another hint', { deadLetter: { ...DEAD_LETTER, hint: 'Something else.', sinceMs: 0 } }],
    ['a try that is not told', { attempts: [{ number: 7, ...tried({}) }] }],
    ['an operation that is not told', { operations: [{ what: 'replay', by: 'ada', atMs: 1, note: '' }] }],
    ['a time that is not told', { dueAtMs: START_MS + 5000 }],
  ])('sees %s', async (_what, bent) => {
    const item = await deadLetter()
    expect(contradictions({ ...item, ...bent }, explain(item))).not.toEqual([])
  })
})

describe('secrets never leave (rule 7)', () => {
  const leak: Failure = { ...FAILURE, message: 'No such token: secret-crm-token' }
  const settled = (failure: Failure) =>
    tell(secretsNeverLeave).submit(runOf('put', 'r1')).settle('m1#1', 'r1.do', 1, dead(), { attempt: { failure } })

  it('sees a credential in an attempt, an event, an explanation', async () => {
    expect(settled(FAILURE).violations).toEqual([])
    expect(settled(leak).violations).toEqual(['a credential stands in an attempt'])
    const event = { type: 'engine.trouble', where: 'claim', message: 'Bearer secret-crm-token' } as const
    expect(tell(secretsNeverLeave).event('m1#1', event).violations).toHaveLength(1)
    const told = await toldLedger(secretsNeverLeave)
    await told.submit('r1')
    await told.claim()
    await told.settle({ ...fenceOf('r1.a'), ...failedForGood })
    const explain = () =>
      Promise.resolve({ itemId: 'r1.a', headline: 'secret-crm-token', lines: [], next: '', hint: '' })
    await told.story.check.end?.(viewOf(told.ledger, { explain }))
    expect(told.story.violations).toEqual(['a credential stands in an explanation'])
  })
})

describe('R118: what commits together (rule 5)', () => {
  const reserved = (): Story => {
    const effect = { key: 'k', owner: 'r1.do', tenant: 'default' }
    const story = tell(operationsEndWithTheirItem).submit(runOf('post_operation', 'r1')).claim('m1#1', 'r1.do', 1)
    return story.store('m1#1', 'beginEffects', [[effect], START_MS], [{ outcome: 'started' }])
  }

  it('sees a success without the record of its operation', () => {
    const effect = { key: 'k', done: true, output: 'null' } as const
    expect(reserved().settle('m1#1', 'r1.do', 1, SUCCEEDED, { effect }).violations).toEqual([])
    expect(reserved().settle('m1#1', 'r1.do', 1, SUCCEEDED).violations).toHaveLength(1)
    expect(
      reserved().settle('m1#1', 'r1.do', 1, SUCCEEDED, { effect: { key: 'k', done: false } }).violations,
    ).toHaveLength(1)
  })

  it('sees observers told of what is not on disk', () => {
    const told = (story: Story) =>
      story.event('m1#1', { type: 'item.settled', itemId: 'r1.do', state: 'succeeded' } as never)
    const begun = () => tell(eventsFollowTheStore).submit(runOf('put', 'r1')).claim('m1#1', 'r1.do', 1)
    expect(told(begun().settle('m1#1', 'r1.do', 1, SUCCEEDED)).violations).toEqual([])
    expect(told(begun()).violations).toHaveLength(1)
    const claim = { type: 'item.claimed', itemId: 'r1.do', claim: 2 } as never
    expect(begun().event('m1#1', claim).violations).toHaveLength(1)
  })
})
