import { describe, expect } from 'vitest'
import type { ItemFilter, Ledger } from '../port.ts'
import {
  attempt,
  behaviour,
  claim,
  deadLettered,
  ENDPOINT,
  FACTS,
  FAILED_ATTEMPT,
  FAILURE,
  idOf,
  LANE,
  type MakeStore,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  unknownOutcome,
  workOne,
} from './support.ts'

export function reading(make: MakeStore): void {
  describe('run and item', () => {
    behaviour(make, 'what does not exist is undefined', async ({ ledger }) => {
      expect(await ledger.run('no-such-run')).toBeUndefined()
      for (const id of ['no-such-run.crm', 'nonsense', '', '.']) expect(await ledger.item(id)).toBeUndefined()
    })

    behaviour(make, 'a new item, in full', async ({ ledger }) => {
      const run = newRun({
        labels: { team: 'emea' },
        items: [
          newItem({ step: 'z-first' }),
          newItem({ step: 'b', after: ['z-first'], optional: true }),
          newItem({ step: 'a-last', after: ['b'] }),
        ],
      })
      await ledger.submit([run])
      const item = await ledger.item(idOf(run, 'b'))
      expect(item).toEqual({
        itemId: idOf(run, 'b'),
        runId: run.id,
        tenant: 'default',
        pipeline: 'onboard',
        step: 'b',
        key: run.key,
        lane: LANE,
        endpoint: ENDPOINT,
        state: 'waiting',
        reason: expect.any(String),
        dueAtMs: undefined,
        counters: { attempts: 0, deferrals: 0, crashes: 0, replays: 0 },
        createdAtMs: START_MS,
        firstAttemptAtMs: undefined,
        endedAtMs: undefined,
        updatedAtMs: START_MS,
        lease: undefined,
        deadLetter: undefined,
        externalId: undefined,
        labels: { team: 'emea' },
        batch: 'default',
        optional: true,
        input: { email: 'ada@example.com' },
        edits: [],
        output: undefined,
        after: ['z-first'],
        dependents: ['a-last'],
        attempts: [],
        operations: [],
        correlationId: run.correlationId,
        memo: undefined,
        slowLaneTries: 0,
        cancelRequested: false,
      })
      expect((await ledger.item(idOf(run, 'z-first')))?.dependents).toEqual(['b', 'a-last'])
      expect((await ledger.run(run.id))?.items.map((step) => step.step)).toEqual(['z-first', 'b', 'a-last'])
    })
  })

  describe('items', () => {
    behaviour(make, 'newest first, page by page, each once', async ({ ledger }) => {
      const runs = Array.from({ length: 7 }, () => newRun({ items: [newItem(), newItem({ step: 'mail' })] }))
      await ledger.submit(runs)
      const pages = await readPages(ledger, {}, 4)
      expect(pages.map((page) => page.length)).toEqual([4, 4, 4, 2])
      const ids = pages.flat()
      expect(new Set(ids).size).toBe(14)
      const order = ids.map((id) => runs.findIndex((run) => id.startsWith(run.id)))
      expect(order).toEqual(order.toSorted((a, b) => b - a))
    })

    behaviour(make, 'a cursor stays true while new items come in', async ({ ledger }) => {
      const runs = Array.from({ length: 4 }, () => newRun())
      await ledger.submit(runs)
      const first = await ledger.items({}, { limit: 2 })
      await ledger.submit([newRun(), newRun()])
      const second = await ledger.items({}, { limit: 2, cursor: first.cursor ?? expect.fail('there is more') })
      expect([...first.rows, ...second.rows].map((row) => row.runId)).toEqual(runs.map((run) => run.id).reverse())
      expect(second.cursor).toBeUndefined()
    })

    behaviour(make, 'a cursor that is none is refused', async ({ ledger }) => {
      for (const cursor of ['nonsense', '', 'e30', 'WzEsMl0']) {
        await expect(ledger.items({}, { limit: 2, cursor })).rejects.toMatchObject({ code: 'invalid_cursor' })
      }
    })

    behaviour(make, 'every filter finds what it names, alone and together', async ({ ledger }) => {
      const wanted = newRun({
        tenant: 'acme',
        pipeline: 'invoices',
        key: 'the-key',
        batch: 'file-7',
        labels: { campaign: 'spring\'s "best"', 'a.b': 'c' },
        items: [newItem({ step: 'bill', lane: 'erp/default', endpoint: 'POST /bills' })],
      })
      await ledger.submit([newRun(), wanted, newRun({ labels: { campaign: 'autumn' } })])
      const [item] = await claim(ledger, { lane: 'erp/default', endpoint: 'POST /bills' })
      await settle(ledger, item ?? expect.fail('it was due'), deadLettered({ fingerprint: 'f-7' }))
      const filters: ItemFilter[] = [
        { tenant: 'acme' },
        { pipeline: 'invoices' },
        { key: 'the-key' },
        { batch: 'file-7' },
        { labels: wanted.labels },
        { labels: { 'a.b': 'c' } },
        { step: 'bill' },
        { lane: 'erp/default' },
        { endpoint: 'POST /bills' },
        { runId: wanted.id },
        { fingerprint: 'f-7' },
        { states: ['dead_lettered', 'succeeded'] },
        { states: ['dead_lettered'] },
        { needsPerson: true },
      ]
      const together = Object.assign({}, ...filters) as ItemFilter
      for (const filter of [...filters, together]) {
        const { rows } = await ledger.items(filter, { limit: 10 })
        expect([filter, rows.map((row) => row.itemId)]).toEqual([filter, [idOf(wanted)]])
      }
      const nothing = [{ key: 'no-such-key' }, { labels: { campaign: 'winter' } }, { ...together, step: 'crm' }]
      for (const filter of nothing) expect((await ledger.items(filter, { limit: 10 })).rows).toEqual([])
    })

    behaviour(make, 'by any set of states, also when paged', async ({ ledger }) => {
      const ends = [
        SUCCEEDED,
        { state: 'retrying', dueAtMs: START_MS + 9, reason: 'r' },
        { state: 'parked', dueAtMs: START_MS + 9, reason: 'r' },
        deadLettered(),
        deadLettered({ cause: 'outage' }, START_MS + 9),
        unknownOutcome(),
      ] as const
      await ledger.submit([...ends.map(() => newRun()), newRun()])
      for (const [index, item] of (await claim(ledger)).entries()) {
        const to = ends[index]
        if (to) await settle(ledger, item, to)
      }
      await ledger.submit([newRun()])
      const counted = async (filter: ItemFilter): Promise<number> => (await readPages(ledger, filter, 1)).flat().length
      expect(await counted({ states: ['processing'] })).toBe(1)
      expect(await counted({ states: ['retrying', 'parked'] })).toBe(2)
      expect(await counted({ states: ['dead_lettered', 'unknown_outcome'] })).toBe(3)
      expect(await counted({ states: ['queued', 'succeeded', 'dead_lettered'] })).toBe(4)
      expect(await counted({ states: [] })).toBe(0)
      expect(await counted({ needsPerson: true })).toBe(2)
      expect(await counted({})).toBe(8)
    })
  })

  describe('groups', () => {
    behaviour(make, 'R134: dead letters by root cause, largest first', async ({ ledger }) => {
      const key = { fingerprint: 'crm|authentication|401', cause: 'credentials', summary: 'The key is wrong' } as const
      const nowMs = START_MS + 500
      const ends = [
        [deadLettered(key), START_MS],
        [deadLettered(), START_MS + 100],
        [deadLettered(), START_MS + 200],
        [unknownOutcome(), nowMs],
        [deadLettered({ fingerprint: 'slow', cause: 'outage' }, nowMs + 9), nowMs],
      ] as const
      const runs = ends.map((_, index) => newRun({ pipeline: index % 2 === 0 ? 'even' : 'odd' }))
      await ledger.submit(runs)
      for (const [index, item] of (await claim(ledger)).entries()) {
        const [to, atMs] = ends[index] ?? expect.fail('all were due')
        await settle(ledger, item, to, { nowMs: atMs, attempt: FAILED_ATTEMPT })
      }
      const groups = await ledger.groups({})
      expect(groups.map((group) => [group.fingerprint, group.count])).toEqual([
        [FACTS.fingerprint, 3],
        [key.fingerprint, 1],
      ])
      expect(groups[0]).toMatchObject({
        ...FACTS,
        states: { dead_lettered: 2, unknown_outcome: 1 },
        pipelines: ['even', 'odd'],
        endpoints: [ENDPOINT],
        firstMs: START_MS + 100,
        lastMs: nowMs,
        willRetry: 0,
      })
      expect(runs.slice(1, 4).map((run) => idOf(run))).toContain(groups[0]?.exampleItemId)
      const all = await ledger.groups({ needsPerson: false })
      expect(all.map((group) => [group.fingerprint, group.count, group.willRetry])).toContainEqual(['slow', 1, 1])
      expect(await ledger.groups({ pipeline: 'odd' })).toMatchObject([{ count: 2 }])
      expect(await ledger.groups({ states: ['unknown_outcome'] })).toMatchObject([{ count: 1 }])
    })

    behaviour(make, 'what was fixed is in no group', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      await workOne(ledger, deadLettered())
      await ledger.replay([{ itemId: idOf(run), by: 'b', dueAtMs: START_MS }], START_MS)
      expect(await ledger.groups({})).toEqual([])
    })
  })

  describe('failures', () => {
    behaviour(
      make,
      'R018: what attempts failed with, by kind and day, whatever became of their items',
      async ({ ledger }) => {
        const dayMs = 86_400_000
        const other = { ...FAILURE, code: 'odd', rule: 'default:http.500 (R017)', status: 500 }
        const runs = [newRun(), newRun(), newRun()]
        await ledger.submit(runs)
        const [first, second, third] = await claim(ledger)
        for (const item of [first, second]) {
          if (!item) return expect.fail('all were due')
          const failed = attempt({ outcome: 'failed', failure: FAILURE, endedAtMs: START_MS + 5 })
          await settle(ledger, item, deadLettered(), { attempt: failed })
        }
        const odd = attempt({ outcome: 'failed', failure: other, endedAtMs: START_MS + dayMs })
        if (third) await settle(ledger, third, deadLettered(), { attempt: odd })
        const tallies = await ledger.failures(0)
        expect(tallies).toMatchObject([
          { count: 2, endpoint: ENDPOINT, failure: FAILURE, firstMs: START_MS + 5, lastMs: START_MS + 5 },
          { count: 1, failure: other, dayMs: Math.floor(START_MS / dayMs + 1) * dayMs },
        ])
        expect(runs.slice(0, 2).map((run) => idOf(run))).toContain(tallies[0]?.exampleItemId)
        expect(await ledger.failures(START_MS + 6)).toMatchObject([{ count: 1, failure: other }])
        expect(await ledger.failures(START_MS + 2 * dayMs)).toEqual([])
      },
    )
  })
}

async function readPages(ledger: Ledger, filter: ItemFilter, limit: number): Promise<string[][]> {
  const pages: string[][] = []
  let cursor: string | undefined
  do {
    const page = await ledger.items(filter, { limit, ...(cursor !== undefined && { cursor }) })
    pages.push(page.rows.map((row) => row.itemId))
    cursor = page.cursor
  } while (cursor !== undefined)
  return pages
}
