import { describe, expect, it } from 'vitest'
import type { Scenario } from '../scenario.ts'
import { breakersAreKept } from './breakers.ts'
import { gatesAreObeyed } from './gates.ts'
import { workersKeepLooking } from './looking.ts'
import { nothingStarves } from './starvation.ts'
import { FAILURE, retrying, runOf, START_MS, STORY_SCENARIO, SUCCEEDED, tell } from './test-story.ts'
import { waitAskedMs } from './wait-asked.ts'

const ITEM = 'r1.do'
const LANE = 'crm/default'

describe('what an answer asks for (R046, R048)', () => {
  const nowMs = Date.UTC(2026, 0, 1, 12)
  const date = new Date(nowMs).toUTCString()
  it.each([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '2.5' }, 2500],
    [{ 'retry-after': new Date(nowMs + 9000).toUTCString() }, 9000],
    [{ 'retry-after': new Date(nowMs + 9000).toUTCString(), date: new Date(nowMs + 4000).toUTCString() }, 5000],
    [{ 'retry-after-ms': '1500', 'retry-after': '2' }, 1500],
    [{ 'x-ratelimit-reset': String((nowMs + 3000) / 1000), date }, 3000],
    [{ 'x-ratelimit-reset': String(nowMs + 3000), date }, 3000],
    [{ 'x-ratelimit-reset': '3' }, 3000],
    [{}, undefined],
  ])('%j', (headers, waitMs) => {
    expect(waitAskedMs(headers, 429, nowMs)).toBe(waitMs)
    expect(waitAskedMs(headers, 200, nowMs)).toBeUndefined()
  })
})

describe('gates are obeyed (rule 4, D11)', () => {
  const throttled = () => {
    const story = tell(gatesAreObeyed)
    for (const process of ['m1#1', 'm2#1']) story.fact({ kind: 'process_started', process })
    story.submit(runOf('put', 'r1')).submit(runOf('put', 'r2')).claim('m1#1', ITEM, 1).send('m1#1', 1, ITEM)
    return story.at(100).answer('m1#1', 1, ITEM, { status: 429, headers: { 'retry-after': '30' } })
  }
  const gate = (untilMs: number) => ({ lane: LANE, untilMs: START_MS + untilMs, reason: '429' })
  const rateLimited = { attempt: { failure: { ...FAILURE, class: 'rate_limited' as const } } }
  const settled = (untilMs: number) => {
    const parked = { state: 'parked', dueAtMs: START_MS + untilMs, reason: '429' } as const
    return throttled().settle('m1#1', ITEM, 1, parked, { gate: gate(untilMs), ...rateLimited })
  }

  it('lets a lane go on when the API allows it', () => {
    expect(settled(30_100).at(30_200).send('m1#1', 2, 'r2.do').send('m2#1', 3, 'r2.do').violations).toEqual([])
  })

  it('sees the process that was told go on', () => {
    expect(throttled().at(5000).send('m1#1', 2, 'r2.do').violations).toHaveLength(1)
  })

  it('measures the pause in time that passes: a clock set back does not lengthen what was asked, one set ahead shortens it', () => {
    const jump = (byMs: number) => {
      const trouble = { kind: 'clock_jump', atMs: 0, machine: 'm1', byMs } as const
      return throttled().at(5000).fact({ kind: 'trouble', what: 'fired', trouble })
    }
    expect(jump(-3_600_000).at(30_200).send('m1#1', 2, 'r2.do').violations).toEqual([])
    expect(jump(-3_600_000).at(20_000).send('m1#1', 2, 'r2.do').violations).toHaveLength(1)
    expect(jump(20_000).at(10_200).send('m1#1', 2, 'r2.do').violations).toEqual([])
    expect(jump(20_000).at(6000).send('m1#1', 2, 'r2.do').violations).toHaveLength(1)
  })

  it('gives the others time to hear of it, and not more', () => {
    expect(settled(30_100).at(2000).send('m2#1', 2, 'r2.do').violations).toEqual([])
    expect(settled(30_100).at(5000).send('m2#1', 2, 'r2.do').violations).toHaveLength(1)
  })

  it('excuses who cannot reach the store', () => {
    const trouble = {
      kind: 'store',
      atMs: 0,
      lastsMs: 1,
      machine: 'm2',
      what: 'refused',
      share: 1,
      delayMs: 0,
    } as const
    const story = settled(30_100).fact({ kind: 'trouble', what: 'began', trouble }).at(5000)
    expect(story.send('m2#1', 2, 'r2.do').violations).toEqual([])
  })

  it('sees a gate, and a due time, that are shorter than what was asked', () => {
    expect(settled(20_000).violations).toEqual([
      expect.stringContaining("longer than the lane's gate"),
      expect.stringContaining('before the API wants it back'),
    ])
  })

  it('sees a 429 that closes no gate at all', () => {
    const to = { state: 'unknown_outcome', reason: 'look again', deadLetter: expect.anything() } as never
    expect(throttled().settle('m1#1', ITEM, 1, to, rateLimited).violations).toHaveLength(1)
  })

  it('sees a Retry-After of a 503 shortened (R046)', () => {
    const unavailable = () =>
      tell(gatesAreObeyed)
        .submit(runOf('put', 'r1'))
        .claim('m1#1', ITEM, 1)
        .send('m1#1', 1, ITEM)
        .answer('m1#1', 1, ITEM, { status: 503, headers: { 'retry-after': '20' } })
    const attempt = { attempt: { failure: FAILURE } }
    expect(unavailable().settle('m1#1', ITEM, 1, retrying(10_000), attempt).violations).toHaveLength(1)
    expect(unavailable().settle('m1#1', ITEM, 1, retrying(21_000), attempt).violations).toEqual([])
  })

  it('sees a claim from a closed or suspended lane, and lets an operator open it', () => {
    const closed = () => settled(30_100).at(5000)
    expect(closed().claim('m2#1', 'r2.do', 1).violations).toHaveLength(1)
    expect(
      closed()
        .store('m2#1', 'openGates', [[LANE]], null)
        .claim('m2#1', 'r2.do', 1).violations,
    ).toEqual([])
    const suspended = tell(gatesAreObeyed).submit(runOf('put', 'r1'))
    suspended.store('m1#1', 'suspendLanes', [[{ lane: LANE, reason: 'by hand', atMs: 0 }]], null)
    expect(suspended.claim('m1#1', ITEM, 1).violations).toHaveLength(1)
  })
})

describe('breakers are kept (R069, D13)', () => {
  const KEY = 'crm:POST /records'
  const changed = (from: string, to: string) => ({
    type: 'breaker.changed' as const,
    key: KEY,
    from,
    to,
    reason: 'by test',
  })
  const begun = () => {
    const story = tell(breakersAreKept).fact({ kind: 'process_started', process: 'm1#1' })
    for (const id of ['r1', 'r2', 'r3']) story.submit(runOf('post_unsafe', id))
    return story
  }

  it('lets one probe after the other through, and then its share', () => {
    const story = begun().event('m1#1', changed('open', 'half_open')).at(1).send('m1#1', 1, ITEM)
    story.answer('m1#1', 1, ITEM, { status: 200 }).event('m1#1', changed('half_open', 'ramping'))
    expect(story.at(2).send('m1#1', 2, 'r2.do').violations).toEqual([])
  })

  it('sees a call to an open breaker', () => {
    const story = begun().event('m1#1', changed('closed', 'open')).at(1).send('m1#1', 1, ITEM)
    expect(story.violations).toEqual([expect.stringContaining('is open')])
  })

  it('lets what was decided before be', () => {
    const story = begun().send('m1#1', 1, ITEM).event('m1#1', changed('closed', 'open'))
    expect(story.violations).toEqual([])
  })

  it('sees a second probe, unless the lease of the first is over', () => {
    const probing = () => begun().event('m1#1', changed('open', 'half_open')).at(1).send('m1#1', 1, ITEM)
    expect(probing().at(2).send('m1#1', 2, 'r2.do').violations).toEqual([expect.stringContaining('second probe')])
    expect(probing().at(21_000).send('m1#1', 2, 'r2.do').violations).toEqual([])
  })

  it('sees more than its share, and a breaker that closes without a ramp', () => {
    const ramping = begun().event('m1#1', changed('half_open', 'ramping')).at(1)
    expect(ramping.send('m1#1', 1, ITEM).send('m1#1', 2, 'r2.do').violations).toEqual([
      expect.stringContaining('its ramp allows 1'),
    ])
    const probed = () => {
      const story = begun().event('m1#1', changed('open', 'half_open')).at(1).send('m1#1', 1, ITEM)
      return story.answer('m1#1', 1, ITEM, { status: 200 })
    }
    const herd = probed().event('m1#1', changed('half_open', 'closed'))
    const heard = probed().at(2).event('m1#1', changed('half_open', 'closed'))
    expect(heard.violations).toEqual([])
    expect(herd.violations).toEqual([expect.stringContaining('at once')])
  })
})

describe('nothing starves (R058)', () => {
  const quiet = (scenario: Scenario = STORY_SCENARIO) =>
    tell(nothingStarves, scenario)
      .fact({ kind: 'process_started', process: 'm1#1' })
      .submit(runOf('put', 'r1'))
      .fact({ kind: 'quiet' })
  const looks = (story: ReturnType<typeof quiet>, ms: number) =>
    story.at(ms).store('m1#1', 'channels', [], [{ lane: LANE, endpoint: 'POST /records', earliestDueMs: START_MS }])

  it('sees an item that is due, and that nobody claims', () => {
    expect(looks(quiet(), 30_000).violations).toEqual([])
    expect(looks(quiet(), 61_000).violations).toEqual([expect.stringContaining('nobody claims it')])
  })

  it('lets a lane wait that is closed, suspended, full or behind a breaker', () => {
    const closed = quiet().store(
      'm1#1',
      'closeGates',
      [[{ lane: LANE, untilMs: START_MS + 3_600_000, reason: '' }]],
      null,
    )
    const suspended = quiet().store('m1#1', 'suspendLanes', [[{ lane: LANE, reason: '', atMs: 0 }]], null)
    const behind = quiet().event('m1#1', {
      type: 'breaker.changed',
      key: 'crm',
      from: 'closed',
      to: 'open',
      reason: '',
    })
    const full = quiet().submit(runOf('put', 'r2')).submit(runOf('put', 'r3'))
    full.claim('m1#1', 'r2.do', 1).claim('m1#1', 'r3.do', 1)
    for (const story of [closed, suspended, behind, full]) expect(looks(story, 61_000).violations).toEqual([])
  })

  it('begins to count when a lane gets a place back that was kept for long, not when it is only busy', () => {
    const full = () => {
      const story = quiet().submit(runOf('put', 'r2')).submit(runOf('put', 'r3')).at(100)
      return story.claim('m1#1', 'r2.do', 1).claim('m1#1', 'r3.do', 1)
    }
    const other = { lane: LANE, endpoint: 'GET /people', earliestDueMs: START_MS }
    const looksAt = (story: ReturnType<typeof quiet>, ms: number) => story.at(ms).store('m1#1', 'channels', [], [other])
    const freed = () => looksAt(full().at(200_000).settle('m1#1', 'r2.do', 1, SUCCEEDED), 200_001)
    expect(freed().violations).toEqual([])
    expect(looksAt(freed(), 261_000).violations).toHaveLength(1)
    const busy = full().at(60_000).settle('m1#1', 'r2.do', 1, SUCCEEDED)
    expect(looksAt(busy, 61_000).violations).toHaveLength(1)
  })

  it('lets a channel that moves take its time', () => {
    const moving = quiet().submit(runOf('put', 'r2')).at(55_000).claim('m1#1', 'r2.do', 1)
    expect(looks(moving.settle('m1#1', 'r2.do', 1, SUCCEEDED), 61_000).violations).toEqual([])
  })
})

describe('workers keep looking (R058)', () => {
  const quiet = () =>
    tell(workersKeepLooking).fact({ kind: 'process_started', process: 'm1#1' }).fact({ kind: 'quiet' })
  const breathe = (story: ReturnType<typeof quiet>, ms: number) => story.at(ms).store('m1#1', 'lanes', [], [])

  it('sees a process that lives and looks for nothing any more', () => {
    const looked = quiet().at(20_000).store('m1#1', 'channels', [], [])
    expect(breathe(looked, 40_000).violations).toEqual([])
    expect(breathe(looked, 46_000).violations).toEqual([expect.stringContaining('has not looked for work')])
  })

  it('lets one be whose places are all taken', () => {
    const story = quiet()
    for (let number = 1; number <= 10; number++) {
      story.submit(runOf('put', `r${number}`)).claim('m1#1', `r${number}.do`, 1)
    }
    expect(breathe(story, 46_000).violations).toEqual([])
  })
})
