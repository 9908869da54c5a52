import { describe, expect, it } from 'vitest'
import { nothingSentWithoutLease } from './fences.ts'
import { oneSettlementPerLease } from './leases.ts'
import { retrying, runOf, SUCCEEDED, tell } from './test-story.ts'

const ITEM = 'r1.do'

describe('one settlement per lease (rule 6, R079)', () => {
  const begun = () => tell(oneSettlementPerLease).submit(runOf('put', 'r1')).claim('m1#1', ITEM, 1)

  it('lets an item be claimed, taken over when its lease has ended, and settled once', () => {
    const story = begun().at(11_000).takeOver('m2#1', ITEM, 2).settle('m2#1', ITEM, 2, SUCCEEDED)
    story.settle('m1#1', ITEM, 1, SUCCEEDED, { receipt: { outcome: 'lease_lost' } })
    expect(story.violations).toEqual([])
  })

  it('sees a settlement by a lease that has passed to someone else', () => {
    const story = begun().at(11_000).takeOver('m2#1', ITEM, 2).settle('m1#1', ITEM, 1, SUCCEEDED)
    expect(story.violations).toEqual([expect.stringContaining('settled it with token 1')])
  })

  it('sees a second settlement of one lease', () => {
    const story = begun().settle('m1#1', ITEM, 1, SUCCEEDED).settle('m1#1', ITEM, 1, SUCCEEDED)
    expect(story.violations).toEqual([expect.stringContaining('nobody had it any more')])
  })

  it('sees a token given twice', () => {
    const story = begun().settle('m1#1', ITEM, 1, retrying(10)).at(20).claim('m2#1', ITEM, 1, 'retrying')
    expect(story.violations).toEqual([expect.stringContaining('token 1 after 1')])
  })

  it('sees an item taken over before its lease has ended, and one claimed while another has it', () => {
    expect(begun().at(9000).takeOver('m2#1', ITEM, 2).violations).toHaveLength(1)
    expect(begun().claim('m2#1', ITEM, 2).violations).toEqual(
      expect.arrayContaining([expect.stringContaining('while m1#1 had it')]),
    )
  })

  it('sees an item claimed before it is due, unless it may have been woken', () => {
    const waiting = () => begun().settle('m1#1', ITEM, 1, retrying(5000)).at(3000)
    expect(waiting().claim('m1#1', ITEM, 2, 'retrying').violations).toHaveLength(1)
    const parked = { state: 'parked', dueAtMs: Date.UTC(2026, 0, 2), reason: 'held' } as const
    const woken = begun()
      .settle('m1#1', ITEM, 1, parked)
      .store('m2#1', 'wake', [{ what: 'parked', limit: 9 }, 0], 1)
    expect(woken.claim('m1#1', ITEM, 2, 'queued').violations).toEqual([])
  })

  it('sees a current lease called lost', () => {
    const fences = [{ itemId: ITEM, tenant: 'default', token: 1 }]
    const renewed = begun().store('m1#1', 'extendLeases', [fences, 0], fences)
    expect(renewed.violations).toEqual([expect.stringContaining('its renewal says otherwise')])
  })
})

describe('nothing is done without a lease (rule 6)', () => {
  const begun = () => tell(nothingSentWithoutLease).submit(runOf('put', 'r1')).claim('m1#1', ITEM, 1)

  it('lets whoever has the lease send', () => {
    expect(begun().at(9000).send('m1#1', 1, ITEM).violations).toEqual([])
  })

  it('sees a call of a process that has lost the item', () => {
    const story = begun().at(11_000).takeOver('m2#1', ITEM, 2).send('m1#1', 1, ITEM)
    expect(story.violations).toEqual([expect.stringContaining('1000 ms after its lease had ended')])
  })

  it('sees a call for an item that is settled already', () => {
    expect(begun().settle('m1#1', ITEM, 1, SUCCEEDED).send('m1#1', 1, ITEM).violations).toHaveLength(1)
  })

  it('sees code begun by a process that never had the item', () => {
    const story = begun().fact({ kind: 'code', process: 'm2#1', itemId: ITEM, what: 'started' })
    expect(story.violations).toHaveLength(1)
  })

  it('lets a renewal give more time', () => {
    const fences = [{ itemId: ITEM, tenant: 'default', token: 1 }]
    const until = Date.UTC(2026, 0, 1) + 19_000
    const renewed = begun().at(9000).store('m1#1', 'extendLeases', [fences, until], [])
    expect(renewed.at(15_000).send('m1#1', 1, ITEM).violations).toEqual([])
  })
})
