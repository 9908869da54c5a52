import { describe, expect } from 'vitest'
import type { JobMember, Ledger } from '../port.ts'
import {
  behaviour,
  claimOne,
  deadLettered,
  idOf,
  type MakeStore,
  newRun,
  START_MS,
  settle,
  workOne,
} from './support.ts'

function jobId(number: number): string {
  return `0192f7c0-0000-7000-8000-${String(number).padStart(12, '0')}`
}

function makeJob(ledger: Ledger, number = 1, parts: { state?: null; endedAtMs?: number } = {}) {
  const { endedAtMs } = parts
  return ledger.updateJob({ id: jobId(number), fromRevision: 0, endedAtMs, state: { reached: 0 } })
}

async function deadLetter(ledger: Ledger): Promise<JobMember> {
  const run = newRun()
  await ledger.submit([run])
  await workOne(ledger, deadLettered())
  return { itemId: idOf(run), replaysBefore: 0 }
}

/** What people asked for in bulk. */
export function jobs(make: MakeStore): void {
  describe('jobs', () => {
    behaviour(make, 'are kept whole, and read by every process', async ({ ledger, another }) => {
      const state = { by: 'cli:"ä"', reached: 3, order: [null, 1.5, { a: 'ü' }] }
      const made = await ledger.updateJob({ id: jobId(1), fromRevision: 0, endedAtMs: undefined, state })
      expect(made).toEqual({ id: jobId(1), revision: 1, endedAtMs: undefined, state })
      expect((await (await another()).jobs({ id: jobId(1) }, { limit: 10 })).rows).toEqual([made])
    })

    behaviour(make, 'change by compare-and-swap: of two writers one is told', async ({ ledger, another }) => {
      await makeJob(ledger)
      expect(await makeJob(ledger)).toBeUndefined()
      const other = await another()
      const change = (state: string) => ({ id: jobId(1), fromRevision: 1, endedAtMs: undefined, state })
      const results = await Promise.all([ledger.updateJob(change('a')), other.updateJob(change('b'))])
      expect(results.filter(Boolean)).toHaveLength(1)
      expect((await ledger.jobs({}, { limit: 10 })).rows).toEqual(results.filter(Boolean))
      expect(await ledger.updateJob({ ...change('c'), id: jobId(2) })).toBeUndefined()
    })

    behaviour(make, 'come newest first, page by page; those that have ended can be left out', async ({ ledger }) => {
      for (const number of [1, 2, 3]) await makeJob(ledger, number, number === 2 ? { endedAtMs: START_MS } : {})
      const first = await ledger.jobs({}, { limit: 2 })
      const rest = await ledger.jobs({}, { limit: 2, cursor: first.cursor ?? '' })
      expect([...first.rows, ...rest.rows].map(({ id }) => id)).toEqual([jobId(3), jobId(2), jobId(1)])
      expect(rest.cursor).toBeUndefined()
      const open = await ledger.jobs({ open: true }, { limit: 10 })
      expect(open.rows.map(({ id }) => id)).toEqual([jobId(3), jobId(1)])
    })

    behaviour(make, 'have members, each once, in their order, with how each is now', async ({ ledger }) => {
      const [first, second] = [await deadLetter(ledger), await deadLetter(ledger)]
      await makeJob(ledger)
      await ledger.writeJobMembers(jobId(1), [first, { itemId: 'gone.step', replaysBefore: 0 }])
      await ledger.writeJobMembers(jobId(1), [first, second])
      await ledger.writeJobMembers(jobId(1), [{ ...second, refused: 'it is "someone" else\'s' }])
      const items = await ledger.jobItems(jobId(1), { after: 0, limit: 10 })
      expect(items.map(({ itemId, state }) => [itemId, state])).toEqual([
        [first.itemId, 'dead_lettered'],
        ['gone.step', undefined],
        [second.itemId, 'dead_lettered'],
      ])
      expect(items[2]).toMatchObject({ refused: 'it is "someone" else\'s', replays: 0 })
      const [one] = await ledger.jobItems(jobId(1), { after: items[0]?.position ?? 0, limit: 1 })
      expect(one).toEqual(items[1])
      expect(await ledger.jobItems(jobId(2), { after: 0, limit: 10 })).toEqual([])
    })

    behaviour(make, 'tell how far they are: put back, ended, refused, forgotten', async ({ ledger }) => {
      const members = [await deadLetter(ledger), await deadLetter(ledger), await deadLetter(ledger)]
      await makeJob(ledger)
      await ledger.writeJobMembers(jobId(1), [...members, { itemId: 'gone.step', replaysBefore: 0, refused: 'gone' }])
      const order = { itemId: members[0]?.itemId ?? '', by: 'job', dueAtMs: START_MS }
      await ledger.replay([order], START_MS)
      await settle(ledger, await claimOne(ledger), { state: 'succeeded', output: '1' })
      const tallies = await ledger.jobTallies(jobId(1), { after: 0, upTo: 4 })
      const sorted = tallies.toSorted((a, b) => Number(b.moved) - Number(a.moved) || b.count - a.count)
      expect(sorted).toEqual([
        { refused: false, moved: true, state: 'succeeded', due: false, count: 1 },
        { refused: false, moved: false, state: 'dead_lettered', due: false, count: 2 },
        { refused: true, moved: false, state: undefined, due: false, count: 1 },
      ])
      expect(await ledger.jobTallies(jobId(1), { after: 1, upTo: 2 })).toEqual([
        { refused: false, moved: false, state: 'dead_lettered', due: false, count: 1 },
      ])
    })

    behaviour(make, 'are forgotten by retention once they have ended, and not before', async ({ ledger }) => {
      await makeJob(ledger, 1)
      await makeJob(ledger, 2, { endedAtMs: START_MS })
      await ledger.writeJobMembers(jobId(2), [{ itemId: 'a.b', replaysBefore: 0 }])
      await ledger.retain({ endedBeforeMs: START_MS, nowMs: START_MS, limit: 10 })
      expect((await ledger.jobs({}, { limit: 10 })).rows).toHaveLength(2)
      await ledger.retain({ endedBeforeMs: START_MS + 1, nowMs: START_MS, limit: 10 })
      expect((await ledger.jobs({}, { limit: 10 })).rows.map(({ id }) => id)).toEqual([jobId(1)])
      expect(await ledger.jobItems(jobId(2), { after: 0, limit: 10 })).toEqual([])
    })
  })
}
