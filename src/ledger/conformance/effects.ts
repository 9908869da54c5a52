import { describe, expect } from 'vitest'
import type { EffectReceipt, Ledger, NewEffect } from '../port.ts'
import {
  behaviour,
  claim,
  claimOne,
  FAILED_ATTEMPT,
  idOf,
  type MakeStore,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  unknownOutcome,
} from './support.ts'

const RESERVED_UNTIL_MS = START_MS + 60_000
const KEEP_UNTIL_MS = START_MS + 72 * 3_600_000

function effect(parts: Partial<NewEffect> = {}): NewEffect {
  return {
    tenant: 'default',
    key: 'onboard.crm:ada',
    fingerprint: 'f-1',
    owner: 'call-1',
    reservedUntilMs: RESERVED_UNTIL_MS,
    keepUntilMs: KEEP_UNTIL_MS,
    ...parts,
  }
}

async function begin(ledger: Ledger, parts: Partial<NewEffect> = {}, nowMs = START_MS): Promise<EffectReceipt> {
  const [receipt] = await ledger.beginEffects([effect(parts)], nowMs)
  return receipt as EffectReceipt
}

const STARTED: EffectReceipt = { outcome: 'started' }

export function effects(make: MakeStore): void {
  describe('effects', () => {
    behaviour(make, 'R091: a reservation is on disk before anything is sent, and others see it', async (test) => {
      expect(await begin(test.ledger)).toEqual(STARTED)
      await test.ledger.close()
      const other = await test.another()
      expect(await begin(other, { owner: 'call-2' })).toEqual({
        outcome: 'in_progress',
        owner: 'call-1',
        reservedUntilMs: RESERVED_UNTIL_MS,
      })
    })

    behaviour(make, 'R089: what is done gives its result and is not done again', async ({ ledger }) => {
      await begin(ledger)
      const done = { tenant: 'default', owner: 'call-1', key: effect().key, done: true, output: '{"id":"42"}' } as const
      await ledger.endEffects([{ ...done, externalId: '42' }], START_MS)
      const receipt = { outcome: 'done', output: '{"id":"42"}', externalId: '42' }
      expect(await begin(ledger, { owner: 'call-2' })).toEqual(receipt)
      expect(await begin(ledger)).toEqual(receipt)
    })

    behaviour(make, 'D17: the same key with other content is refused', async ({ ledger }) => {
      await begin(ledger)
      const mismatch = { outcome: 'mismatch', owner: 'call-1' }
      expect(await begin(ledger, { owner: 'call-2', fingerprint: 'f-2' })).toEqual(mismatch)
      const done = { tenant: 'default', owner: 'call-1', key: effect().key, done: true, output: '1' } as const
      await ledger.endEffects([done], START_MS)
      expect(await begin(ledger, { owner: 'call-2', fingerprint: 'f-2' })).toEqual(mismatch)
    })

    behaviour(
      make,
      'the owner may begin again, also with a corrected payload: that is its retry',
      async ({ ledger }) => {
        await begin(ledger)
        expect(await begin(ledger)).toEqual(STARTED)
        expect(await begin(ledger, { fingerprint: 'f-2' })).toEqual(STARTED)
        expect(await begin(ledger, { owner: 'call-2', fingerprint: 'f-2' })).toMatchObject({ outcome: 'in_progress' })
      },
    )

    behaviour(make, 'R097: nobody reported back: unknown, until someone who knows ends it', async ({ ledger }) => {
      await begin(ledger)
      expect(await begin(ledger, { owner: 'call-2' }, RESERVED_UNTIL_MS - 1)).toMatchObject({ outcome: 'in_progress' })
      const unknown = { outcome: 'unknown', owner: 'call-1' }
      expect(await begin(ledger, { owner: 'call-2' }, RESERVED_UNTIL_MS)).toEqual(unknown)
      expect(await begin(ledger, { owner: 'call-2' }, RESERVED_UNTIL_MS)).toEqual(unknown)
      const verdict = { tenant: 'default', owner: 'call-1', key: effect().key, done: false } as const
      await ledger.endEffects([verdict], RESERVED_UNTIL_MS)
      expect(await begin(ledger, { owner: 'call-2' }, RESERVED_UNTIL_MS)).toEqual(STARTED)
    })

    behaviour(make, 'what surely had no effect is free again', async ({ ledger }) => {
      await begin(ledger)
      await ledger.endEffects([{ tenant: 'default', owner: 'call-1', key: effect().key, done: false }], START_MS)
      expect(await begin(ledger, { owner: 'call-2', fingerprint: 'f-2' })).toEqual(STARTED)
    })

    behaviour(make, 'only the owner ends a reservation, and what is done stays done', async ({ ledger }) => {
      await begin(ledger)
      const end = { tenant: 'default', key: effect().key } as const
      await ledger.endEffects([{ ...end, owner: 'call-2', done: false }], START_MS)
      expect(await begin(ledger, { owner: 'call-3' })).toMatchObject({ outcome: 'in_progress' })
      await ledger.endEffects([{ ...end, owner: 'call-1', done: true, output: '1' }], START_MS)
      await ledger.endEffects([{ ...end, owner: 'call-1', done: false }], START_MS)
      expect(await begin(ledger, { owner: 'call-3' })).toMatchObject({ outcome: 'done', output: '1' })
    })

    behaviour(make, 'D19: it is forgotten when its time is over', async ({ ledger }) => {
      await begin(ledger)
      await ledger.endEffects(
        [{ tenant: 'default', owner: 'call-1', key: effect().key, done: true, output: '1' }],
        START_MS,
      )
      expect(await begin(ledger, { owner: 'call-2' }, KEEP_UNTIL_MS - 1)).toMatchObject({ outcome: 'done' })
      expect(await begin(ledger, { owner: 'call-2', keepUntilMs: KEEP_UNTIL_MS + 9 }, KEEP_UNTIL_MS)).toEqual(STARTED)
    })

    behaviour(make, 'keys belong to their tenant; several are begun at once, each with its receipt', async (test) => {
      const other = await test.another()
      await begin(other)
      const receipts = await test.ledger.beginEffects(
        [
          effect({ owner: 'call-2' }),
          effect({ owner: 'call-2', tenant: 'acme' }),
          effect({ owner: 'call-2', key: 'k' }),
        ],
        START_MS,
      )
      expect(receipts.map((receipt) => receipt.outcome)).toEqual(['in_progress', 'started', 'started'])
    })

    behaviour(make, 'R099: a settlement confirms the reservation of its item, or releases it', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const owner = idOf(run)
      const item = await claimOne(ledger)
      await begin(ledger, { owner })
      await settle(
        ledger,
        item,
        { state: 'retrying', dueAtMs: START_MS, reason: '503' },
        { attempt: FAILED_ATTEMPT, effect: { key: effect().key, done: false } },
      )
      expect(await begin(ledger, { owner: 'call-2' })).toEqual(STARTED)
      await ledger.endEffects([{ tenant: 'default', owner: 'call-2', key: effect().key, done: false }], START_MS)
      const again = await claimOne(ledger)
      await begin(ledger, { owner })
      await settle(ledger, again, SUCCEEDED, { effect: { key: effect().key, done: true, output: '{"id":"42"}' } })
      expect(await begin(ledger, { owner: 'call-2' })).toEqual({ outcome: 'done', output: '{"id":"42"}' })
    })

    behaviour(make, 'R091: a settlement without a lease does not touch the reservation', async ({ ledger }) => {
      const run = newRun()
      await ledger.submit([run])
      const item = await claimOne(ledger)
      await begin(ledger, { owner: item.itemId })
      const stale = { ...item, token: item.token + 1 }
      await settle(ledger, stale, SUCCEEDED, { effect: { key: effect().key, done: true, output: '1' } })
      expect(await begin(ledger, { owner: 'call-2' })).toMatchObject({ outcome: 'in_progress' })
    })

    behaviour(make, "a person's word on the item is its word on the reservation too", async ({ ledger }) => {
      const [happened, not] = [newRun({ key: 'happened' }), newRun({ key: 'not' })]
      await ledger.submit([happened, not])
      for (const item of await claim(ledger)) {
        await begin(ledger, { owner: item.itemId, key: item.key })
        await settle(ledger, item, unknownOutcome())
      }
      const resolved = { itemId: idOf(happened), by: 'cli:ada', output: '{"id":"7"}', reason: 'seen in the CRM' }
      const nowMs = START_MS
      await ledger.resolve([resolved], nowMs)
      await ledger.replay([{ itemId: idOf(not), by: 'cli:ada', knownNotApplied: true, dueAtMs: nowMs }], nowMs)
      const others = { owner: 'call-9' }
      expect(await begin(ledger, { ...others, key: 'happened' })).toEqual({ outcome: 'done', output: '{"id":"7"}' })
      expect(await begin(ledger, { ...others, key: 'not' })).toEqual(STARTED)
    })
  })
}
