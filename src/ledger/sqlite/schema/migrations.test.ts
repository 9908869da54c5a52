/** A store that an older Holdfast left behind opens, with everything in it, and goes on. */

import { join } from 'node:path'
import { expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { claim, expectAudited, FAILURE, LANE, SUCCEEDED, settle } from '../../conformance/support.ts'
import type { Ledger } from '../../port.ts'
import { openSqliteLedger } from '../index.ts'
import { temporaryFolder } from '../test-support.ts'
import { connect } from '../transactions/connection.ts'
import { MIGRATIONS } from './migrations/index.ts'

const AT = 1_767_225_600_123
const UNTIL = AT + 30_000

/**
 * What version 1 wrote for: a success after a failure (1), a chain of three whose second is a dead letter that was replayed
 * with an edit and cancelled on the way (2), a run without a key that is leased (3), one that is queued (4).
 */
const VERSION_1_ROWS = `
INSERT INTO lanes (lane) VALUES ('${LANE}');
INSERT INTO channels VALUES (1, '${LANE}', 'POST /contacts');
INSERT INTO books VALUES (1, 'file-1', 'onboard');
INSERT INTO tallies VALUES (1, 'accepted', 7), (1, 'succeeded', 2), (1, 'dead_lettered', 1), (1, 'waiting', 1),
  (1, 'processing', 1), (1, 'queued', 1), (1, 'archived:succeeded', 1);
INSERT INTO runs VALUES
  (4, 'run-1', 'acme', 'onboard', 'ada', 1, 1, ${AT}, 'request-1', '{"campaign":"spring"}', 'f-1', '{"n":1}'),
  (5, 'run-2', 'default', 'onboard', 'bob', 1, 3, ${AT}, 'run-2', '{}', 'f-2', '{"n":2}'),
  (7, 'run-3', 'default', 'onboard', 'run-3', 1, 1, ${AT}, 'run-3', '{}', 'f-3', '{"n":3}'),
  (8, 'run-4', 'default', 'onboard', 'cyd', 1, 1, ${AT}, 'run-4', '{}', 'f-4', '{"n":4}');
INSERT INTO items (run, step, position, channel, book, state, due_at_ms, lease_token, attempts, recorded, optional, unmet,
    released, first_attempt_at_ms, updated_at_ms, ended_at_ms, output, external_id, "after", dependents)
  VALUES
  (4, 'crm', 0, 1, 1, 'succeeded', NULL, 2, 2, 2, 0, 0, 0, ${AT}, ${AT}, ${AT + 9}, '{"id":7}', '7', NULL, NULL),
  (5, 'z', 0, 1, 1, 'succeeded', NULL, 1, 1, 1, 0, 0, 1, ${AT}, ${AT}, ${AT + 9}, '{"z":1}', NULL, NULL, '["b"]'),
  (5, 'b', 1, 1, 1, 'dead_lettered', NULL, 2, 1, 2, 0, 0, 0, ${AT}, ${AT}, NULL, NULL, NULL, '["z"]', '["a"]'),
  (5, 'a', 2, 1, 1, 'waiting', NULL, 0, 0, 0, 0, 1, 0, NULL, ${AT}, NULL, NULL, NULL, '["b"]', NULL),
  (7, 'crm', 0, 1, 1, 'processing', NULL, 3, 0, 0, 0, 0, 0, ${AT}, ${AT}, NULL, NULL, NULL, NULL, NULL),
  (8, 'crm', 0, 1, 1, 'queued', ${AT}, 0, 0, 0, 0, 0, 0, NULL, ${AT}, NULL, NULL, NULL, NULL, NULL);
UPDATE items SET lease_until_ms = ${UNTIL}, lease_from_ms = ${AT}, lease_worker = 'worker-1' WHERE run = 7;
UPDATE items SET room = zeroblob(48) WHERE run = 8;
UPDATE items SET fingerprint = 'f', summary = 's', hint = 'h', cause = 'data', dead_since_ms = ${AT}, crashes = 1,
  replays = 1, edits = 1, memo = '{"looks":1}', reason = 'failed for good', attempts_before_budget = 1,
  budget_from_ms = ${AT + 5} WHERE run = 5 AND step = 'b';
INSERT INTO attempts (run, step, number, outcome, counts, started_at_ms, ended_at_ms, status, note, failure) VALUES
  (4, 'crm', 1, 'failed', 1, ${AT}, ${AT + 1}, 503, NULL, '${JSON.stringify(FAILURE)}'),
  (4, 'crm', 2, 'succeeded', 1, ${AT + 2}, ${AT + 3}, 201, NULL, NULL),
  (5, 'z', 1, 'succeeded', 1, ${AT}, ${AT + 1}, 200, NULL, NULL),
  (5, 'b', 1, 'crashed', 0, ${AT}, ${AT + 1}, NULL, 'lost', NULL),
  (5, 'b', 2, 'failed', 1, ${AT + 2}, ${AT + 3}, 422, NULL, '${JSON.stringify(FAILURE)}');
INSERT INTO edits VALUES (5, 'b', 1, 1, 'cli:ada', ${AT}, '{"n":22}');
INSERT INTO operations (run, step, what, by, at_ms, note) VALUES (5, 'b', 'replay', 'cli:ada', ${AT}, 'was dead_lettered');
`

async function openedFromVersion1(): Promise<{ ledger: Ledger; remove: () => Promise<void> }> {
  const folder = temporaryFolder()
  const path = join(folder.path, 'ledger.db')
  const old = connect(path, { busyWaitMs: 0 })
  old.exec(MIGRATIONS[0]?.sql ?? '')
  old.exec(VERSION_1_ROWS)
  old.exec('PRAGMA user_version = 1; PRAGMA application_id = 0x486f6c64')
  old.close()
  const ledger = await openSqliteLedger({ path, clock: impatientClock() })
  expect(ledger.migrationReport).toMatchObject({ fromVersion: 1, applied: ['lean-rows', 'actions', 'jobs', 'order'] })
  const remove = async (): Promise<void> => {
    await ledger.close()
    await folder.remove()
  }
  return { ledger, remove }
}

it('a store of version 1 keeps everything: runs, items, history, leases, balance', async () => {
  const { ledger, remove } = await openedFromVersion1()
  await expectAudited(ledger)
  expect(await ledger.balance({})).toMatchObject({ accepted: 7, states: { succeeded: 3, queued: 1, processing: 1 } })
  expect(await ledger.item('run-1.crm')).toMatchObject({
    tenant: 'acme',
    key: 'ada',
    state: 'succeeded',
    output: { id: 7 },
    externalId: '7',
    labels: { campaign: 'spring' },
    correlationId: 'request-1',
    counters: { attempts: 2 },
    attempts: [
      { number: 1, outcome: 'failed', status: 503, failure: FAILURE },
      { number: 2, outcome: 'succeeded', status: 201, startedAtMs: AT + 2, endedAtMs: AT + 3, counts: true },
    ],
  })
  expect((await ledger.run('run-2'))?.items.map((item) => [item.step, item.state])).toEqual([
    ['z', 'succeeded'],
    ['b', 'dead_lettered'],
    ['a', 'waiting'],
  ])
  expect(await ledger.item('run-2.b')).toMatchObject({
    key: 'bob',
    labels: {},
    correlationId: 'run-2',
    deadLetter: { fingerprint: 'f', sinceMs: AT },
    edits: [{ input: { n: 22 }, by: 'cli:ada' }],
    attempts: [{ outcome: 'crashed', note: 'lost' }, { outcome: 'failed' }],
    operations: [{ what: 'replay', note: 'was dead_lettered' }],
    dependents: ['a'],
    memo: '{"looks":1}',
  })
  expect(await ledger.item('run-3.crm')).toMatchObject({
    key: 'run-3',
    lease: { workerId: 'worker-1', untilMs: UNTIL, startedAtMs: AT },
  })
  await remove()
})

it('and work goes on in it: keys, leases, the slow steps of a run', async () => {
  const { ledger, remove } = await openedFromVersion1()
  const keyed = {
    tenant: 'default',
    pipeline: 'onboard',
    labels: {},
    batch: 'file-1',
    correlationId: 'c',
    createdAtMs: AT,
  }
  const items = [{ step: 'crm', lane: LANE, endpoint: 'POST /contacts', after: [], dueAtMs: AT, optional: false }]
  const again = { ...keyed, id: 'run-5', key: 'cyd', input: '{"n":4}', inputFingerprint: 'f-4', items }
  expect(await ledger.submit([again, { ...again, inputFingerprint: 'other' }, { ...again, key: 'new' }])).toEqual([
    { outcome: 'duplicate', runId: 'run-4' },
    { outcome: 'conflict', runId: 'run-4' },
    { outcome: 'accepted', runId: 'run-5' },
  ])
  const leased = { itemId: 'run-3.crm', tenant: 'default', token: 3 }
  const stale = { ...leased, token: 2 }
  expect(await ledger.extendLeases([leased, stale], UNTIL + 1)).toEqual([stale])
  expect((await settle(ledger, leased, SUCCEEDED)).outcome).toBe('settled')
  expect((await claim(ledger, { nowMs: AT })).map((item) => item.runId)).toEqual(['run-4', 'run-5'])
  await ledger.replay([{ itemId: 'run-2.b', by: 'cli:ada', dueAtMs: AT }], AT)
  const [replayed] = await claim(ledger, { nowMs: AT })
  expect(replayed).toMatchObject({
    input: '{"n":22}',
    outputs: { z: '{"z":1}' },
    lastFailure: FAILURE,
    memo: undefined,
  })
  const receipt = replayed && (await settle(ledger, replayed, SUCCEEDED))
  expect(receipt).toMatchObject({ outcome: 'settled', queued: ['run-2.a'] })
  await expectAudited(ledger)
  await remove()
})
