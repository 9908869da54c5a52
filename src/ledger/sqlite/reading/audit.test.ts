/** The audit finds what is wrong: each kind of damage is planted through a raw connection, behind the ledger's back. */

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { runAbout } from '../../conformance/ordering.ts'
import {
  attempt,
  chainRun,
  claim,
  deadLettered,
  FAILED_ATTEMPT,
  idOf,
  newRun,
  SUCCEEDED,
  settle,
} from '../../conformance/support.ts'
import type { AuditReport, Ledger } from '../../port.ts'
import { openSqliteLedger } from '../index.ts'
import { temporaryFolder } from '../test-support.ts'
import { connect } from '../transactions/connection.ts'
import { AUDIT_CHECKS } from './audit-checks.ts'

/** Damage, and the checks that must see it. */
const DAMAGES: readonly (readonly [check: string, sql: string])[] = [
  ['runs_complete', `DELETE FROM items WHERE step = 'b'`],
  ['accepted_is_found', `DELETE FROM items WHERE step = 'b'`],
  ['tallies_agree', `UPDATE tallies SET count = count + 1 WHERE kind = 'succeeded'`],
  ['accepted_is_found', `UPDATE tallies SET count = count - 1 WHERE kind = 'accepted'`],
  ['items_booked', `UPDATE items SET state = 'lost' WHERE state = 'succeeded'`],
  ['states_known', `UPDATE items SET state = 'lost' WHERE state = 'succeeded'`],
  ['items_booked', `UPDATE items SET book = 77 WHERE state = 'succeeded'`],
  ['items_belong', `UPDATE items SET channel = 77 WHERE state = 'succeeded'`],
  ['items_belong', 'DELETE FROM runs WHERE no = 1'],
  ['processing_is_leased', `UPDATE items SET lease = NULL WHERE state = 'processing'`],
  ['processing_is_leased', `UPDATE items SET lease = 1 WHERE state = 'succeeded'`],
  ['processing_is_leased', 'DELETE FROM leases'],
  ['processing_is_leased', `UPDATE leases SET items = '[]'`],
  ['leases_counted', 'UPDATE leases SET open = open + 1'],
  ['leases_counted', `UPDATE items SET lease = NULL WHERE state = 'processing'`],
  ['leases_counted', `INSERT INTO leases VALUES (99, 1, 'worker', 1, 2, 0, '[]')`],
  ['due_is_claimable', `UPDATE items SET due_at_ms = 5 WHERE state = 'succeeded'`],
  ['due_is_claimable', `UPDATE items SET due_at_ms = NULL WHERE state = 'retrying'`],
  ['waiting_for_something', `UPDATE items SET unmet = 0 WHERE state = 'waiting'`],
  ['waiting_for_something', `UPDATE items SET unmet = 2 WHERE state = 'waiting'`],
  ['waiting_for_something', `UPDATE places SET standing = 'has_turn'`],
  ['turns_in_order', `UPDATE places SET standing = 'has_turn'`],
  ['turns_in_order', `UPDATE places SET standing = 'waits'`],
  ['turns_in_order', `UPDATE places SET standing = 'passed'`],
  ['turns_kept', 'DELETE FROM places'],
  ['turns_kept', 'UPDATE items SET entity = NULL'],
  ['no_orphan_places', 'UPDATE places SET item = 99 WHERE place = 2'],
  ['order_kept', `UPDATE items SET state = 'queued', due_at_ms = 1 WHERE state = 'waiting'`],
  ['no_waiting_for_ever', `UPDATE items SET state = 'cancelled', ended_at_ms = 1, fingerprint = NULL WHERE step = 'a'`],
  ['released_rightly', `UPDATE items SET released = 1 WHERE step = 'a'`],
  ['ended_at_known', `UPDATE items SET ended_at_ms = NULL WHERE state = 'succeeded'`],
  ['output_of_success', `UPDATE items SET output = NULL WHERE state = 'succeeded'`],
  ['dead_letters_explained', `UPDATE items SET hint = NULL WHERE state = 'dead_lettered'`],
  ['attempts_counted', `UPDATE items SET attempts = attempts + 1 WHERE state = 'retrying'`],
  ['attempts_counted', 'UPDATE attempts SET counts = 0'],
  ['attempts_numbered', 'DELETE FROM attempts'],
  ['attempts_numbered', 'UPDATE attempts SET number = 2'],
  ['success_kept_whole', `UPDATE items SET success_at_ms = NULL WHERE state = 'succeeded'`],
  ['success_kept_whole', `UPDATE items SET success_from_ms = 1, success_at_ms = 1 WHERE state = 'retrying'`],
  ['attempts_counted', `UPDATE items SET success_at_ms = NULL, success_from_ms = NULL WHERE state = 'succeeded'`],
  ['past_begins_with_a_claim', `UPDATE items SET lease_token = 0 WHERE state = 'retrying'`],
  ['past_begins_with_a_claim', `UPDATE items SET memo = '{}' WHERE state = 'waiting'`],
  ['edits_counted', `UPDATE items SET edits = 1 WHERE state = 'retrying'`],
  ['failures_known', 'DELETE FROM failures'],
  ['failures_named', `INSERT INTO failures (text) VALUES ('{}')`],
  ['no_orphan_attempts', `UPDATE attempts SET item = 99`],
  ['no_orphan_edits', `INSERT INTO edits VALUES (99, 1, 1, 'b', 1, '1')`],
  ['no_orphan_operations', `INSERT INTO operations (item, what, by, at_ms, note) VALUES (99, 'w', 'b', 1, 'n')`],
]

describe('audit', () => {
  it.each(DAMAGES)('%s: %s', async (name, sql) => {
    const report = await auditAfter(sql)
    expect(report.balanced).toBe(false)
    const check = report.checks.find((each) => each.name === name)
    expect(check?.violations).toBeGreaterThan(0)
    expect(check?.examples.length).toBeGreaterThan(0)
  })

  it('has damage planted for each of its checks', () => {
    const planted = new Set(DAMAGES.map(([name]) => name))
    expect(AUDIT_CHECKS.map((check) => check.name).filter((name) => !planted.has(name))).toEqual([])
  })

  it('names the item that is wrong, and no more than ten', async () => {
    const one = await auditAfter(`UPDATE items SET output = NULL WHERE state = 'succeeded'`)
    expect(one.checks.find((check) => check.name === 'output_of_success')?.examples).toEqual([
      expect.stringMatching(/^0192f7c0-.*\.crm$/),
    ])
    const many = await auditAfter(`UPDATE items SET ended_at_ms = 1`)
    expect(many.checks.find((check) => check.name === 'ended_at_known')).toMatchObject({
      violations: 15,
      examples: { length: 10 },
    })
  })

  it('sees every row of a store of several slices', async () => {
    const { ledger, damage, remove } = await openStore()
    await ledger.submit(Array.from({ length: 2500 }, () => newRun()))
    damage('UPDATE items SET due_at_ms = NULL WHERE no > 5')
    const report = await ledger.audit()
    expect(report.checks.find((check) => check.name === 'due_is_claimable')?.violations).toBe(2495)
    expect(report.balance.accepted).toBe(2500)
    await ledger.close()
    await remove()
  })
})

/** A store with items in many states, damaged. */
async function auditAfter(sql: string): Promise<AuditReport> {
  const { ledger, damage, remove } = await openStore()
  await fill(ledger)
  expect((await ledger.audit()).balanced).toBe(true)
  damage(sql)
  const report = await ledger.audit()
  await ledger.close()
  await remove()
  return report
}

async function openStore() {
  const folder = temporaryFolder()
  const path = join(folder.path, 'ledger.db')
  const ledger = await openSqliteLedger({ path, clock: impatientClock() })
  const damage = (sql: string): void => {
    using raw = connect(path, { busyWaitMs: 100 })
    raw.exec(sql)
  }
  return { ledger, damage, remove: folder.remove }
}

/** One chain that is stuck, one success, one retry, one in processing, eleven queued, and one that waits for its turn. */
async function fill(ledger: Ledger): Promise<void> {
  const runs = [chainRun(), newRun(), newRun(), newRun()]
  await ledger.submit(runs)
  const ends = [
    [deadLettered(), {}],
    [SUCCEEDED, { attempt: attempt() }],
    [{ state: 'retrying', dueAtMs: 5, reason: 'r' }, { attempt: FAILED_ATTEMPT }],
  ] as const
  const claimed = await claim(ledger)
  expect(claimed.map((item) => item.itemId)).toEqual(runs.map((run) => idOf(run)))
  for (const [index, [to, extra]] of ends.entries()) {
    const item = claimed[index] ?? expect.fail('all were due')
    await settle(ledger, item, to, extra)
  }
  await ledger.submit([...Array.from({ length: 9 }, () => newRun()), runAbout('p1'), runAbout('p1')])
}
