import { describe, expect } from 'vitest'
import { storedVersion } from '../../core/version.ts'
import type { NewRun } from '../port.ts'
import { runAbout, turnOf } from './ordering.ts'
import {
  behaviour,
  claim,
  claimOne,
  deadLettered,
  FAILED_ATTEMPT,
  idOf,
  type MakeStore,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  stateOf,
  unknownOutcome,
  workOne,
} from './support.ts'

const BY = 'cli:ada'
const RETRYING = { state: 'retrying', dueAtMs: START_MS, reason: 'http_503' } as const

function versionOf(version: number | string): NewRun {
  return runAbout('p1', { rule: 'supersede', version: storedVersion(version) })
}

function ended(run: NewRun) {
  return { itemId: idOf(run), reason: expect.stringContaining('"p1"'), attempts: 0 }
}

/** Newer values replace older ones: `rule: 'supersede'` of the port. */
export function superseding(make: MakeStore): void {
  describe('supersede', () => {
    behaviour(make, 'R116: a newer value ends the older one that waits, and says so', async ({ ledger }) => {
      const [older, newer] = [versionOf(1), versionOf(2)]
      await ledger.submit([older])
      expect(await ledger.submit([newer])).toEqual([
        { outcome: 'accepted', runId: newer.id, superseded: [ended(older)] },
      ])
      expect(await ledger.item(idOf(older))).toMatchObject({
        state: 'superseded',
        reason: expect.stringContaining(idOf(newer)),
        endedAtMs: START_MS,
        dueAtMs: undefined,
        operations: [{ what: 'supersede', by: 'engine', note: expect.stringContaining('"p1"') }],
        turn: undefined,
      })
      expect((await claimOne(ledger)).itemId).toBe(idOf(newer))
      expect(await ledger.balance({})).toMatchObject({ accepted: 2, states: { superseded: 1, processing: 1 } })
    })

    behaviour(
      make,
      'R116: an older value that comes late ends at once, whatever the newer one has become',
      async (test) => {
        const { ledger } = test
        const newer = versionOf('2026-01-31T10:00:00Z')
        await ledger.submit([newer])
        for (const when of ['queued', 'succeeded'] as const) {
          const late = versionOf('2026-01-31T09:59:59Z')
          expect(await (await test.another()).submit([late])).toEqual([
            { outcome: 'accepted', runId: late.id, superseded: [ended(late)] },
          ])
          expect(await ledger.item(idOf(late))).toMatchObject({
            state: 'superseded',
            reason: expect.stringContaining('2026-01-31T09:59:59Z'),
            counters: { attempts: 0 },
          })
          if (when === 'queued') expect((await workOne(ledger, SUCCEEDED)).itemId).toBe(idOf(newer))
        }
        expect(await claim(ledger)).toEqual([])
      },
    )

    behaviour(make, 'of many in one call the newest is left, in any order', async ({ ledger }) => {
      const runs = [3, 1, 4, 1, 5, 9, 2, 6].map(versionOf)
      const receipts = await ledger.submit(runs)
      const ended = receipts.flatMap((receipt) =>
        receipt.outcome === 'accepted' ? (receipt.superseded ?? []).map(({ itemId }) => itemId) : [],
      )
      expect(ended.toSorted()).toEqual(
        runs
          .filter((_, index) => index !== 5)
          .map((run) => idOf(run))
          .toSorted(),
      )
      expect((await claimOne(ledger)).runId).toBe(runs[5]?.id)
    })

    behaviour(
      make,
      'of equal versions, of different kinds, and without any, the later accepted is newer',
      async (test) => {
        const { ledger } = test
        const pairs = [
          [versionOf(7), versionOf('7.0')],
          [versionOf(8), versionOf('2020-01-01')],
          [versionOf('2021-01-01'), versionOf(8)],
          [versionOf(8), runAbout('p1', { rule: 'supersede' })],
        ]
        for (const [earlier = newRun(), later = newRun()] of pairs) {
          await ledger.submit([earlier])
          await ledger.submit([later])
          expect([await stateOf(ledger, idOf(earlier)), await stateOf(ledger, idOf(later))]).toEqual([
            'superseded',
            'queued',
          ])
        }
      },
    )

    behaviour(make, 'what is being sent is left alone: the newer one waits for it', async ({ ledger }) => {
      const [older, newer, newest] = [versionOf(1), versionOf(2), versionOf(3)]
      await ledger.submit([older])
      const item = await claimOne(ledger)
      await ledger.submit([newer])
      await ledger.submit([newest])
      expect(await claim(ledger)).toEqual([])
      expect(await stateOf(ledger, idOf(newer))).toBe('superseded')
      expect(await settle(ledger, item, SUCCEEDED)).toMatchObject({ state: 'succeeded', queued: [idOf(newest)] })
      expect((await claimOne(ledger)).itemId).toBe(idOf(newest))
    })

    for (const to of [
      RETRYING,
      { state: 'parked', dueAtMs: START_MS, reason: 'the breaker is open' },
      { state: 'queued', reason: 'given back' },
      deadLettered(),
      deadLettered({ cause: 'outage' }, START_MS),
    ] as const) {
      behaviour(
        make,
        `it is not tried again: instead of ${to.state} it ends, and the newer one goes`,
        async ({ ledger }) => {
          const [older, newer] = [versionOf(1), versionOf(2)]
          await ledger.submit([older])
          const item = await claimOne(ledger)
          await ledger.submit([newer])
          expect(await settle(ledger, item, to, { attempt: FAILED_ATTEMPT })).toEqual({
            outcome: 'settled',
            state: 'superseded',
            queued: [idOf(newer)],
          })
          expect(await ledger.item(idOf(older))).toMatchObject({
            state: 'superseded',
            deadLetter: undefined,
            dueAtMs: undefined,
            attempts: [{ outcome: 'failed' }],
          })
        },
      )
    }

    behaviour(make, 'an unknown outcome is never superseded: it becomes known first', async ({ ledger }) => {
      const [older, newer] = [versionOf(1), versionOf(2)]
      await ledger.submit([older])
      await workOne(ledger, unknownOutcome())
      expect(await ledger.submit([newer])).toEqual([{ outcome: 'accepted', runId: newer.id }])
      expect(await claim(ledger)).toEqual([])
      // A person says that it did not happen: then it need not happen any more.
      const order = { itemId: idOf(older), by: BY, dueAtMs: START_MS, knownNotApplied: true }
      expect(await ledger.replay([order], START_MS)).toEqual([
        { outcome: 'done', itemId: idOf(older), state: 'superseded' },
      ])
      expect((await claimOne(ledger)).itemId).toBe(idOf(newer))
    })

    behaviour(make, 'an unknown outcome that happened lets the newer one go', async ({ ledger }) => {
      const [older, newer] = [versionOf(1), versionOf(2)]
      await ledger.submit([older])
      await workOne(ledger, unknownOutcome())
      await ledger.submit([newer])
      await ledger.resolve([{ itemId: idOf(older), by: BY, output: 'null', reason: 'seen' }], START_MS)
      expect((await claimOne(ledger)).itemId).toBe(idOf(newer))
    })

    behaviour(
      make,
      'R116: a stale dead letter is ended by the newer value, and cannot be replayed',
      async ({ ledger }) => {
        const [older, newer] = [versionOf(1), versionOf(2)]
        await ledger.submit([older])
        await workOne(ledger, deadLettered(), { attempt: FAILED_ATTEMPT })
        expect(await ledger.submit([newer])).toMatchObject([{ superseded: [{ ...ended(older), attempts: 1 }] }])
        expect(await ledger.replay([{ itemId: idOf(older), by: BY, dueAtMs: START_MS }], START_MS)).toMatchObject([
          { outcome: 'refused', state: 'superseded' },
        ])
        expect((await claimOne(ledger)).itemId).toBe(idOf(newer))
      },
    )

    behaviour(
      make,
      'the newest stays the measure when it was cancelled: what is older is out of date',
      async ({ ledger }) => {
        const newest = versionOf(5)
        await ledger.submit([newest])
        await ledger.cancel([{ itemId: idOf(newest), by: BY, reason: 'stop' }], START_MS)
        const late = versionOf(4)
        await ledger.submit([late])
        expect(await stateOf(ledger, idOf(late))).toBe('superseded')
        await ledger.submit([versionOf(5)])
        await claimOne(ledger)
      },
    )

    behaviour(make, 'an edited payload brings a version of its own, newer or out of date', async ({ ledger }) => {
      const dead = newRun()
      const [first, second] = [versionOf(5), dead]
      await ledger.submit([first, second])
      const items = await claim(ledger)
      for (const item of items) {
        await settle(ledger, item, item.runId === dead.id ? deadLettered() : SUCCEEDED, { attempt: FAILED_ATTEMPT })
      }
      const order = { itemId: idOf(dead), by: BY, dueAtMs: START_MS, editedInput: '{}' }
      const turn = turnOf('p1', { rule: 'supersede', version: storedVersion(4) })
      expect(await ledger.replay([{ ...order, turn }], START_MS)).toMatchObject([{ state: 'superseded' }])
      const other = newRun()
      await ledger.submit([other])
      await workOne(ledger, deadLettered())
      const newer = turnOf('p1', { rule: 'supersede', version: storedVersion(6) })
      expect(await ledger.replay([{ ...order, itemId: idOf(other), turn: newer }], START_MS)).toMatchObject([
        { state: 'queued' },
      ])
      expect(await ledger.item(idOf(other))).toMatchObject({ edits: [{ by: BY }], counters: { replays: 1 } })
      await claimOne(ledger)
    })

    behaviour(
      make,
      'the steps that need it are superseded too; those that do not need it go on',
      async ({ ledger }) => {
        const turn = turnOf('p1', { rule: 'supersede' })
        const items = [
          newItem({ step: 'a', lane: 'a' }),
          newItem({ step: 'b', after: ['a'], turn }),
          newItem({ step: 'c', after: ['b'] }),
          newItem({ step: 'd', after: ['c'] }),
          newItem({ step: 'e', after: ['a'] }),
        ]
        const [older, newer] = [newRun({ items }), newRun({ items })]
        await ledger.submit([older])
        await ledger.submit([newer])
        expect((await ledger.run(older.id))?.items.map(({ step, state }) => [step, state])).toEqual([
          ['a', 'queued'],
          ['b', 'superseded'],
          ['c', 'superseded'],
          ['d', 'superseded'],
          ['e', 'waiting'],
        ])
        for (const item of await claim(ledger, { lane: 'a' })) await settle(ledger, item, SUCCEEDED)
        expect((await claim(ledger)).map(({ itemId }) => itemId).toSorted()).toEqual(
          [idOf(newer, 'b'), idOf(newer, 'e'), idOf(older, 'e')].toSorted(),
        )
      },
    )

    behaviour(
      make,
      'an outdated step takes later steps of its run along before they replace anything',
      async (test) => {
        const { ledger } = test
        const about = (entity: string, version: number) =>
          newRun({
            items: [
              newItem({ step: 'a', turn: turnOf('p1', { rule: 'supersede', version: storedVersion(version) }) }),
              newItem({ step: 'x', after: ['a'] }),
              newItem({ step: 'b', after: ['x'], turn: turnOf(entity, { series: 'b', rule: 'supersede' }) }),
            ],
          })
        const [newer, older] = [about('q1', 2), about('q1', 1)]
        await ledger.submit([newer])
        await ledger.submit([older])
        expect(await stateOf(ledger, idOf(newer, 'b'))).toBe('waiting')
        expect((await ledger.run(older.id))?.items.map(({ state }) => state)).toEqual([
          'superseded',
          'superseded',
          'superseded',
        ])
      },
    )

    behaviour(make, 'an optional step that is superseded degrades its run', async ({ ledger }) => {
      const turn = turnOf('p1', { rule: 'supersede' })
      const items = [newItem({ step: 'a', turn, optional: true }), newItem({ step: 'b', lane: 'b', after: ['a'] })]
      const older = newRun({ items })
      await ledger.submit([older])
      await ledger.submit([newRun({ items })])
      expect((await claim(ledger, { lane: 'b' })).map(({ itemId }) => itemId)).toEqual([idOf(older, 'b')])
    })

    behaviour(make, 'the newest version is remembered as long as runs are, then forgotten', async ({ ledger }) => {
      await ledger.submit([versionOf(5)])
      await workOne(ledger, SUCCEEDED)
      await ledger.retain({ endedBeforeMs: START_MS, nowMs: START_MS, limit: 10 })
      const [late, afterwards] = [versionOf(4), versionOf(4)]
      await ledger.submit([late])
      expect(await stateOf(ledger, idOf(late))).toBe('superseded')
      await ledger.retain({ endedBeforeMs: START_MS + 1, nowMs: START_MS, limit: 10 })
      await ledger.submit([afterwards])
      expect(await stateOf(ledger, idOf(afterwards))).toBe('queued')
    })
  })
}
