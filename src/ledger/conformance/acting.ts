import { describe, expect } from 'vitest'
import type { ActionRecord } from '../port.ts'
import { behaviour, type MakeStore, newRun, START_MS } from './support.ts'

export function action(number: number, parts: Partial<ActionRecord> = {}): ActionRecord {
  return {
    id: `0192f7c0-0000-7000-8000-${String(number).padStart(12, '0')}`,
    atMs: START_MS + number,
    by: 'cli:ada',
    from: 'ada-laptop',
    what: 'suspend',
    target: 'crm',
    reason: 'a new key',
    details: { lanes: ['crm/default'] },
    outcome: 'done',
    ...parts,
  }
}

/** What operators did: who, what, when, from where. */
export function acting(make: MakeStore): void {
  describe('actions of operators', () => {
    behaviour(make, 'are kept whole, and read by every process', async ({ ledger, another }) => {
      const odd = action(1, { by: 'token:ça "va"', reason: '', details: { 'a"b': [null, 1.5, 'ü'] } })
      await ledger.recordActions([odd])
      expect((await (await another()).actions({}, { limit: 10 })).rows).toEqual([odd])
    })

    behaviour(make, 'whatever people type is kept, and looked for', async ({ ledger }) => {
      await ledger.recordActions([action(1, { reason: 'a\0b \ud800', target: '\0' })])
      expect((await ledger.actions({}, { limit: 10 })).rows).toMatchObject([{ outcome: 'done' }])
      expect((await ledger.actions({ by: '\0' }, { limit: 10 })).rows).toEqual([])
    })

    behaviour(make, 'recorded before and after: the same id changes how it ended, and nothing else', async (test) => {
      const { ledger } = test
      await ledger.recordActions([action(1, { outcome: 'begun', details: null })])
      await ledger.recordActions([action(1, { outcome: 'failed', details: { code: 'x' }, by: 'mallory', atMs: 1 })])
      const { rows } = await ledger.actions({}, { limit: 10 })
      expect(rows).toEqual([action(1, { outcome: 'failed', details: { code: 'x' } })])
    })

    behaviour(make, 'come newest first, page by page, each once', async ({ ledger }) => {
      // Two at the same time: the order must be whole, or a page loses one.
      const all = [1, 2, 3, 4, 5].map((number) => action(number, { atMs: START_MS + Math.floor(number / 2) }))
      await ledger.recordActions(all)
      const seen: ActionRecord[] = []
      let cursor: string | undefined
      do {
        const page = await ledger.actions({}, { limit: 2, ...(cursor !== undefined && { cursor }) })
        expect(page.rows.length).toBeLessThanOrEqual(2)
        seen.push(...page.rows)
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(all.toReversed())
      await expect(ledger.actions({}, { limit: 2, cursor: 'x' })).rejects.toMatchObject({ code: 'invalid_cursor' })
    })

    behaviour(make, 'are found by who and by what', async ({ ledger }) => {
      await ledger.recordActions([action(1), action(2, { by: 'token:ci' }), action(3, { what: 'resume' })])
      const ids = async (filter: { by?: string; what?: string }) =>
        (await ledger.actions(filter, { limit: 10 })).rows.map(({ id }) => Number(id.slice(-2)))
      expect(await ids({ by: 'cli:ada' })).toEqual([3, 1])
      expect(await ids({ what: 'suspend' })).toEqual([2, 1])
      expect(await ids({ by: 'cli:ada', what: 'resume' })).toEqual([3])
      expect(await ids({ by: 'nobody' })).toEqual([])
    })

    behaviour(make, 'outlast what was done to: retention forgets none', async ({ ledger }) => {
      await ledger.submit([newRun()])
      await ledger.recordActions([action(1)])
      await ledger.retain({ endedBeforeMs: START_MS * 2, nowMs: START_MS * 2, limit: 100 })
      expect((await ledger.actions({}, { limit: 10 })).rows).toHaveLength(1)
    })
  })
}
