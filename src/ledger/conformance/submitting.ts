import { describe, expect } from 'vitest'
import { behaviour, chainRun, claim, idOf, type MakeStore, newItem, newRun, START_MS, stateOf } from './support.ts'

export function submitting(make: MakeStore): void {
  describe('submit', () => {
    behaviour(make, 'R030: what was accepted is there for every other connection, and after closing', async (test) => {
      const run = newRun({ labels: { campaign: 'spring' }, batch: 'file-1', input: '{"a":[1,null,"ä"]}' })
      expect(await test.ledger.submit([run])).toEqual([{ outcome: 'accepted', runId: run.id }])
      await test.ledger.close()
      const later = await test.another()
      expect(await later.run(run.id)).toMatchObject({
        id: run.id,
        tenant: run.tenant,
        pipeline: run.pipeline,
        key: run.key,
        input: { a: [1, null, 'ä'] },
        labels: { campaign: 'spring' },
        batch: 'file-1',
        correlationId: run.correlationId,
        createdAtMs: START_MS,
        items: [{ itemId: idOf(run), state: 'queued', dueAtMs: START_MS }],
      })
    })

    behaviour(make, 'R089 D17: a known key is not accepted again: duplicate or conflict', async ({ ledger }) => {
      const run = newRun({ key: 'ada' })
      const again = newRun({ key: 'ada' })
      const other = newRun({ key: 'ada', inputFingerprint: 'fingerprint-2' })
      await ledger.submit([run])
      expect(await ledger.submit([again, other])).toEqual([
        { outcome: 'duplicate', runId: run.id },
        { outcome: 'conflict', runId: run.id },
      ])
      expect(await ledger.balance({})).toMatchObject({ accepted: 1, balanced: true })
    })

    behaviour(make, 'R089: a key is known within the same call too', async ({ ledger }) => {
      const [first, second] = [newRun({ key: 'ada' }), newRun({ key: 'ada' })]
      expect(await ledger.submit([first, second])).toEqual([
        { outcome: 'accepted', runId: first.id },
        { outcome: 'duplicate', runId: first.id },
      ])
    })

    behaviour(make, 'a key belongs to its tenant and pipeline', async ({ ledger }) => {
      const runs = [
        newRun({ key: 'ada' }),
        newRun({ key: 'ada', tenant: 'acme' }),
        newRun({ key: 'ada', pipeline: 'p2' }),
      ]
      const receipts = await ledger.submit(runs)
      expect(receipts.map((receipt) => receipt.outcome)).toEqual(['accepted', 'accepted', 'accepted'])
    })

    behaviour(make, 'a run without a key repeats none, and goes by its id', async ({ ledger }) => {
      const { key: _key, inputFingerprint: _fingerprint, ...keyless } = newRun({ correlationId: 'request-7' })
      const { id } = newRun()
      const receipts = await ledger.submit([keyless, { ...keyless, id, correlationId: id, labels: { of: 'one' } }])
      expect(receipts.map((receipt) => receipt.outcome)).toEqual(['accepted', 'accepted'])
      expect(await ledger.run(keyless.id)).toMatchObject({ key: keyless.id, correlationId: 'request-7', labels: {} })
      expect(await ledger.run(id)).toMatchObject({ key: id, correlationId: id, labels: { of: 'one' } })
      const claimed = await claim(ledger)
      expect(claimed).toMatchObject([
        { runId: keyless.id, key: keyless.id, correlationId: 'request-7', labels: {} },
        { runId: id, key: id, correlationId: id, labels: { of: 'one' } },
      ])
      const found = await ledger.items({ key: id }, { limit: 10 })
      expect(found.rows.map((row) => row.runId)).toEqual([id])
      await expect(ledger.submit([keyless])).rejects.toMatchObject({ code: 'invalid_run' })
    })

    behaviour(make, 'two connections that submit one key at once: exactly one is accepted', async (test) => {
      const second = await test.another()
      const receipts = await Promise.all([
        test.ledger.submit([newRun({ key: 'ada' })]),
        second.submit([newRun({ key: 'ada' })]),
      ])
      expect(receipts.map(([receipt]) => receipt?.outcome).sort()).toEqual(['accepted', 'duplicate'])
    })

    behaviour(make, 'calls of one turn do not disturb each other: a bad run fails alone', async ({ ledger }) => {
      const good = [newRun(), newRun(), newRun()]
      const stolenId = newRun({ id: good[0]?.id ?? '' })
      const results = await Promise.allSettled([
        ...good.map((run) => ledger.submit([run])),
        ledger.submit([stolenId]),
        ledger.submit([newRun({ items: [] })]),
        ledger.submit([newRun({ items: [newItem({ after: ['missing'] })] })]),
      ])
      expect(results.map((result) => result.status)).toEqual([
        ...['fulfilled', 'fulfilled', 'fulfilled'],
        ...['rejected', 'rejected', 'rejected'],
      ])
      for (const result of results.slice(3)) expect(result).toMatchObject({ reason: { code: 'invalid_run' } })
      expect(await ledger.balance({})).toMatchObject({ accepted: 3, balanced: true })
    })

    behaviour(make, 'steps must come after those they need, each named once', async ({ ledger }) => {
      const wrong = [
        [newItem({ step: 'b', after: ['a'] }), newItem({ step: 'a' })],
        [newItem({ step: 'a' }), newItem({ step: 'a' })],
        [newItem({ step: 'a' }), newItem({ step: 'b', after: ['a', 'a'] })],
      ]
      for (const items of wrong) {
        await expect(ledger.submit([newRun({ items })])).rejects.toMatchObject({ code: 'invalid_run' })
      }
    })

    behaviour(make, 'R114: steps that need others wait; the rest is queued', async ({ ledger }) => {
      const run = chainRun()
      await ledger.submit([run])
      expect(await stateOf(ledger, idOf(run, 'a'))).toBe('queued')
      expect(await stateOf(ledger, idOf(run, 'b'))).toBe('waiting')
    })

    behaviour(make, 'a run may start later; times are kept to the millisecond', async ({ ledger }) => {
      const dueAtMs = START_MS + 86_400_001
      await ledger.submit([newRun({ items: [newItem({ dueAtMs })] })])
      expect(await ledger.channels()).toMatchObject([{ earliestDueMs: dueAtMs }])
    })
  })
}
