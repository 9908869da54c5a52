import { describe, expect } from 'vitest'
import type { Failure } from '../../core/failure.ts'
import type { Cell, CellKind, Ledger, Rewrite } from '../port.ts'
import { action } from './acting.ts'
import { fillStore } from './full-store.ts'
import {
  attempt,
  behaviour,
  claim,
  deadLettered,
  FAILED_ATTEMPT,
  idOf,
  type MakeStore,
  newRun,
  START_MS,
  settle,
} from './support.ts'

const KINDS: readonly CellKind[] = [
  'input',
  'output',
  'memo',
  'text',
  'failure',
  'fingerprint',
  'key',
  'effect_key',
  'derived_key',
  'external_id',
  'labels',
  'details',
]

/** Other words everywhere, which every reader understands. */
const other: Rewrite = ({ kind, text, runId }) => {
  switch (kind) {
    case 'input':
    case 'output':
      return '{"other":true}'
    case 'failure':
      return JSON.stringify({ ...(JSON.parse(text) as Failure), message: 'other' })
    case 'labels':
      return '{"other":"yes"}'
    case 'key':
      return `other:${runId}`
    case 'effect_key':
      return `other:${text}`
    case 'text':
    case 'fingerprint':
      return 'other'
    case 'details':
      return undefined
    default:
      return null
  }
}

/** Rewriting what is stored in place. */
export function recoding(make: MakeStore): void {
  describe('recode', () => {
    behaviour(make, 'looks at every text once, whatever the size of a page', async ({ ledger }) => {
      await fillStore(ledger, 60)
      await ledger.recordActions([action(1), action(2)])
      const [large, small] = [await cellsOf(ledger, 10_000), await cellsOf(ledger, 7)]
      expect(small).toEqual(large)
      expect(new Set(large.map(({ kind }) => kind))).toEqual(new Set(KINDS))
      expect(large.every(({ kind, runId }) => kind !== 'input' || runId !== '')).toBe(true)
    })

    behaviour(make, 'changes what it is told to, and neither states nor counts', async ({ ledger }) => {
      await fillStore(ledger, 60)
      const [before, states] = [await ledger.balance({}), await statesOf(ledger)]
      let changed = 0
      for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
        const page = await ledger.recode({ after, limit: 50 }, other)
        changed += page.changed
        after = page.reached
      }
      expect(changed).toBeGreaterThan(100)
      const left = (await cellsOf(ledger, 1000)).filter(({ kind }) => kind === 'input' || kind === 'output')
      expect(new Set(left.map(({ text }) => text))).toEqual(new Set(['{"other":true}']))
      expect(await ledger.balance({})).toEqual(before)
      expect(await statesOf(ledger)).toEqual(states)
    })

    behaviour(make, 'of some runs: all of theirs, and nothing of others', async ({ ledger }) => {
      const [mine, theirs] = [newRun({ labels: { of: 'mine' } }), newRun({ labels: { of: 'theirs' } })]
      await ledger.submit([mine, theirs])
      for (const run of [mine, theirs]) await fail(ledger, idOf(run))
      for (const run of [mine, theirs]) await succeed(ledger, idOf(run))
      const untouched = await ledger.item(idOf(theirs))
      const { seen, reached } = await ledger.recode({ runs: [mine.id] }, other)
      expect(seen).toBeGreaterThan(8)
      expect(reached).toBeUndefined()
      expect(await ledger.item(idOf(theirs))).toEqual(untouched)
      const item = await ledger.item(idOf(mine))
      expect(item).toMatchObject({
        state: 'succeeded',
        key: `other:${mine.id}`,
        input: { other: true },
        output: { other: true },
        edits: [{ input: { other: true } }],
        labels: { other: 'yes' },
        attempts: [{ failure: { message: 'other', code: 'http_503' } }, { outcome: 'succeeded' }],
        operations: [{ what: 'replay', note: 'other' }],
      })
      expect(item?.externalId).toBeUndefined()
      expect(item?.attempts[1]?.idempotencyKey).toBeUndefined()
      expect(await effectOf(ledger, `other:effect of ${idOf(mine)}`, mine.id)).toMatchObject({ outcome: 'mismatch' })
      expect(await effectOf(ledger, `effect of ${idOf(theirs)}`, theirs.id)).toMatchObject({ outcome: 'done' })
    })

    behaviour(make, 'what fails changes nothing; what was rewritten is kept after scrubbing', async (test) => {
      const { ledger } = test
      const run = newRun()
      await ledger.submit([run])
      await fail(ledger, idOf(run))
      await succeed(ledger, idOf(run))
      const before = await ledger.item(idOf(run))
      const broken: Rewrite = (cell) => {
        if (cell.kind === 'output') throw new Error('broken')
        return other(cell)
      }
      await expect(ledger.recode({ runs: [run.id] }, broken)).rejects.toThrow('broken')
      expect(await (await test.another()).item(idOf(run))).toEqual(before)
      await ledger.recode({ runs: [run.id] }, other)
      await ledger.scrub()
      expect(await (await test.another()).item(idOf(run))).toMatchObject({ input: { other: true } })
    })
  })
}

async function cellsOf(ledger: Ledger, limit: number): Promise<Cell[]> {
  const cells: Cell[] = []
  let after: string | undefined
  do {
    const { seen, changed, reached } = await ledger.recode({ after, limit }, (cell) => void cells.push(cell))
    expect(changed).toBe(0)
    expect(seen).toBeLessThanOrEqual(cells.length)
    after = reached
  } while (after !== undefined)
  return cells.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

async function statesOf(ledger: Ledger) {
  const { rows } = await ledger.items({}, { limit: 1000 })
  return rows.map(({ itemId, state, counters, dueAtMs }) => ({ itemId, state, counters, dueAtMs }))
}

async function claimed(ledger: Ledger, itemId: string) {
  const [item] = await claim(ledger, { limit: 1, nowMs: START_MS + 10 })
  expect(item?.itemId).toBe(itemId)
  return item ?? expect.fail('it was due')
}

async function fail(ledger: Ledger, itemId: string): Promise<void> {
  const item = await claimed(ledger, itemId)
  await settle(ledger, item, deadLettered(), { attempt: FAILED_ATTEMPT })
}

async function succeed(ledger: Ledger, itemId: string): Promise<void> {
  const order = { itemId, by: 'cli:ada', dueAtMs: START_MS, editedInput: '{"edited":1}' }
  await ledger.replay([order], START_MS)
  const item = await claimed(ledger, itemId)
  const key = `effect of ${itemId}`
  const times = { reservedUntilMs: START_MS + 1000, keepUntilMs: START_MS + 100_000 }
  await ledger.beginEffects([{ tenant: 'default', key, fingerprint: 'f', owner: itemId, ...times }], START_MS)
  await settle(
    ledger,
    item,
    { state: 'succeeded', output: '{"id":"42"}', externalId: 'ext-1' },
    { attempt: attempt({ idempotencyKey: 'key-1' }), effect: { key, done: true, output: '1' } },
  )
}

async function effectOf(ledger: Ledger, key: string, owner: string) {
  const times = { reservedUntilMs: START_MS + 1000, keepUntilMs: START_MS + 100_000 }
  const [receipt] = await ledger.beginEffects([{ tenant: 'default', key, fingerprint: 'f', owner, ...times }], START_MS)
  return receipt
}
