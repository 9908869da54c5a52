/** A store that an older Holdfast left on a server opens, with everything in it, and goes on. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import {
  START_MS as AT,
  claim,
  ENDPOINT,
  expectAudited,
  FAILURE,
  idOf,
  LANE,
  newItem,
  newRun,
  SUCCEEDED,
  settle,
  stateOf,
} from '../../conformance/support.ts'
import { openPostgresLedger, type PostgresLedger } from '../index.ts'
import { MIGRATIONS } from './migrations/index.ts'

const UNTIL = AT + 30_000
const SUSPENDED = 'mail/default'

let server: PostgresServer
let stores = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

/**
 * What version 2 wrote for: a success after a failure (1), a chain of three whose second is a dead letter that was replayed with
 * an edit (2), a run without a key that is leased and has reserved its effect (3), one that is queued (4), one that will be tried
 * again (5), one of which nobody knows whether it happened (6), and one that was forgotten (7, in the books only).
 */
const VERSION_2_ROWS = (s: string): string => `
INSERT INTO ${s}.lanes (lane, gate_until_ms, gate_reason) VALUES ('${LANE}', ${AT - 1}, 'was closed');
INSERT INTO ${s}.lanes (lane, suspended_at_ms, suspended_reason) VALUES ('${SUSPENDED}', ${AT}, 'by ada');
INSERT INTO ${s}.channels (lane, endpoint) VALUES ('${LANE}', '${ENDPOINT}');
INSERT INTO ${s}.books (batch, pipeline) VALUES ('file-1', 'onboard');
INSERT INTO ${s}.runs (no, tenant, id, pipeline, key, book, item_count, created_at_ms, correlation_id, labels,
    input_fingerprint, input) OVERRIDING SYSTEM VALUE VALUES
  (1, 'acme', 'run-1', 'onboard', 'ada', 1, 1, ${AT}, 'request-1', '{"campaign":"spring"}', 'f-1', '{"n":1}'),
  (2, 'default', 'run-2', 'onboard', 'bob', 1, 3, ${AT}, 'run-2', '{}', 'f-2', '{"n":2}'),
  (3, 'default', 'run-3', 'onboard', NULL, 1, 1, ${AT}, 'run-3', '{}', NULL, '{"n":3}'),
  (4, 'default', 'run-4', 'onboard', 'cyd', 1, 1, ${AT}, 'run-4', '{}', 'f-4', '{"n":4}'),
  (5, 'default', 'run-5', 'onboard', NULL, 1, 1, ${AT}, 'run-5', '{}', NULL, '{"n":5}'),
  (6, 'default', 'run-6', 'onboard', NULL, 1, 1, ${AT}, 'run-6', '{}', NULL, '{"n":6}'),
  (7, 'default', 'run-7', 'onboard', NULL, 1, 1, ${AT}, 'run-7', '{}', NULL, '{"n":7}');
SELECT setval('${s}.runs_no_seq', 7);
INSERT INTO ${s}.items (tenant, run, step, position, channel, book, state, due_at_ms, lease_token, attempts, recorded, optional,
    unmet, released, first_attempt_at_ms, updated_at_ms, ended_at_ms, output, external_id, "after", dependents) VALUES
  ('acme', 1, 'crm', 0, 1, 1, 'succeeded', NULL, 2, 2, 2, false, 0, false, ${AT}, ${AT}, ${AT + 9}, '{"id":7}', '7', NULL, NULL),
  ('default', 2, 'z', 0, 1, 1, 'succeeded', NULL, 1, 1, 1, false, 0, true, ${AT}, ${AT}, ${AT + 9}, '{"z":1}', NULL, NULL, '["b"]'),
  ('default', 2, 'b', 1, 1, 1, 'dead_lettered', NULL, 2, 1, 2, false, 0, false, ${AT}, ${AT}, NULL, NULL, NULL, '["z"]', '["a"]'),
  ('default', 2, 'a', 2, 1, 1, 'waiting', NULL, 0, 0, 0, false, 1, false, NULL, ${AT}, NULL, NULL, NULL, '["b"]', NULL),
  ('default', 3, 'crm', 0, 1, 1, 'processing', NULL, 3, 0, 0, false, 0, false, ${AT}, ${AT}, NULL, NULL, NULL, NULL, NULL),
  ('default', 4, 'crm', 0, 1, 1, 'queued', ${AT}, 0, 0, 0, false, 0, false, NULL, ${AT}, NULL, NULL, NULL, NULL, NULL),
  ('default', 5, 'crm', 0, 1, 1, 'retrying', ${AT + 50}, 1, 1, 1, false, 0, false, ${AT}, ${AT}, NULL, NULL, NULL, NULL, NULL),
  ('default', 6, 'crm', 0, 1, 1, 'unknown_outcome', NULL, 1, 1, 1, false, 0, false, ${AT}, ${AT}, NULL, NULL, NULL, NULL, NULL),
  ('default', 7, 'crm', 0, 1, 1, 'cancelled', NULL, 0, 0, 0, false, 0, false, NULL, ${AT}, ${AT}, NULL, NULL, NULL, NULL);
UPDATE ${s}.items SET success_from_ms = ${AT + 2}, success_at_ms = ${AT + 3}, success_status = 201 WHERE run = 1;
UPDATE ${s}.items SET success_from_ms = ${AT}, success_at_ms = ${AT + 1}, success_status = 200 WHERE run = 2 AND step = 'z';
UPDATE ${s}.items SET lease = 1, lease_until_ms = ${UNTIL}, lease_from_ms = ${AT}, lease_worker = 'worker-1' WHERE run = 3;
INSERT INTO ${s}.leases (channel, slot, until_ms, open, runs) VALUES (1, 1, ${UNTIL}, 1, '{3}');
UPDATE ${s}.items SET fingerprint = 'f', summary = 's', hint = 'h', cause = 'data', dead_since_ms = ${AT}, crashes = 1,
  replays = 1, edits = 1, memo = '{"looks":1}', reason = 'failed for good', attempts_before_budget = 1,
  budget_from_ms = ${AT + 5} WHERE run = 2 AND step = 'b';
UPDATE ${s}.items SET fingerprint = 'u', summary = 's', hint = 'h', cause = 'outage', dead_since_ms = ${AT} WHERE run = 6;
INSERT INTO ${s}.attempts (tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, status, note, failure) VALUES
  ('acme', 1, 'crm', 1, 'failed', true, ${AT}, ${AT + 1}, 503, NULL, '${JSON.stringify(FAILURE)}'),
  ('default', 2, 'b', 1, 'crashed', false, ${AT}, ${AT + 1}, NULL, 'lost', NULL),
  ('default', 2, 'b', 2, 'failed', true, ${AT + 2}, ${AT + 3}, 422, NULL, '${JSON.stringify(FAILURE)}'),
  ('default', 5, 'crm', 1, 'failed', true, ${AT}, ${AT + 1}, 503, NULL, '${JSON.stringify(FAILURE)}'),
  ('default', 6, 'crm', 1, 'failed', true, ${AT}, ${AT + 1}, NULL, NULL, '${JSON.stringify(FAILURE)}');
UPDATE ${s}.items SET last_failure = '${JSON.stringify(FAILURE)}' WHERE recorded > 0 AND state <> 'succeeded';
INSERT INTO ${s}.edits (tenant, run, step, number, replay, by, at_ms, input)
  VALUES ('default', 2, 'b', 1, 1, 'cli:ada', ${AT}, '{"n":22}');
INSERT INTO ${s}.operations (tenant, run, step, what, by, at_ms, note)
  VALUES ('default', 2, 'b', 'replay', 'cli:ada', ${AT}, 'was dead_lettered');
INSERT INTO ${s}.effects (tenant, key, fingerprint, owner, done, reserved_until_ms, keep_until_ms, output) VALUES
  ('default', 'crm:3', 'f-3', 'run-3.crm', false, ${UNTIL}, ${UNTIL + 1000}, NULL),
  ('acme', 'crm:1', 'f-1', 'run-1.crm', true, ${AT}, ${UNTIL + 1000}, '{"id":7}');
INSERT INTO ${s}.health (key, revision, state, updated_at_ms) VALUES ('breaker:crm', 1, '{"open":true}', ${AT});
UPDATE ${s}.turns SET value = 1 WHERE name = 'health';
INSERT INTO ${s}.actions (id, at_ms, by_whom, origin, what, target, reason, details, outcome)
  VALUES ('action-1', ${AT}, 'ada', 'cli', 'suspend', '${SUSPENDED}', 'by ada', '{}', 'done');
DELETE FROM ${s}.items WHERE run = 7;
DELETE FROM ${s}.runs WHERE no = 7;
`

async function openedFromVersion2(): Promise<PostgresLedger> {
  const schema = `version_2_${++stores}`
  const applied = MIGRATIONS.slice(0, 2)
  await server.sql(`CREATE SCHEMA ${schema};
    CREATE TABLE ${schema}.migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    ${applied.map(({ version, name, sql }) => `${sql(schema)}; INSERT INTO ${schema}.migrations VALUES (${version}, '${name}');`).join('\n')}`)
  await server.sql(VERSION_2_ROWS(schema))
  const ledger = await openPostgresLedger({ url: server.url, schema, clock: impatientClock() })
  expect(ledger.migrationReport).toEqual({
    fromVersion: 2,
    toVersion: 5,
    applied: ['jobs', 'order', 'standing claims'],
  })
  return ledger
}

it('a store of version 2 keeps everything: runs, items, history, leases, effects, lanes, balance', async () => {
  const ledger = await openedFromVersion2()
  await expectAudited(ledger)
  expect(await ledger.balance({})).toMatchObject({
    accepted: 9,
    states: { succeeded: 2, queued: 1, processing: 1, retrying: 1, unknown_outcome: 1, dead_lettered: 1, waiting: 1 },
  })
  expect(await ledger.item('run-1.crm')).toMatchObject({
    tenant: 'acme',
    key: 'ada',
    state: 'succeeded',
    output: { id: 7 },
    externalId: '7',
    labels: { campaign: 'spring' },
    correlationId: 'request-1',
    attempts: [
      { number: 1, outcome: 'failed', status: 503, failure: FAILURE },
      { number: 2, outcome: 'succeeded', status: 201, startedAtMs: AT + 2, endedAtMs: AT + 3, counts: true },
    ],
  })
  expect(await ledger.item('run-2.b')).toMatchObject({
    key: 'bob',
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
  expect((await ledger.lanes()).find(({ lane }) => lane === SUSPENDED)).toMatchObject({
    suspended: { reason: 'by ada' },
  })
  expect((await ledger.readHealth(0)).records).toMatchObject([{ key: 'breaker:crm' }])
  expect((await ledger.actions({}, { limit: 10 })).rows).toMatchObject([{ id: 'action-1', target: SUSPENDED }])
  await ledger.close()
})

it('and work goes on in it: leases, keys, effects, the slow steps of a run', async () => {
  const ledger = await openedFromVersion2()
  const again = newRun({ id: 'run-8', key: 'cyd', pipeline: 'onboard', batch: 'file-1', inputFingerprint: 'f-4' })
  expect(await ledger.submit([again, { ...again, inputFingerprint: 'other' }])).toEqual([
    { outcome: 'duplicate', runId: 'run-4' },
    { outcome: 'conflict', runId: 'run-4' },
  ])
  const leased = { itemId: 'run-3.crm', tenant: 'default', token: 3 }
  const stale = { ...leased, token: 2 }
  expect(await ledger.extendLeases([leased, stale], UNTIL + 1)).toEqual([stale])
  const effect = { key: 'crm:3', done: true, output: '{"id":3}' } as const
  expect((await settle(ledger, leased, SUCCEEDED, { effect })).outcome).toBe('settled')
  const known = { tenant: 'default', key: 'crm:3', fingerprint: 'f-3', owner: 'run-9.crm', reservedUntilMs: UNTIL }
  const [receipt] = await ledger.beginEffects([{ ...known, keepUntilMs: UNTIL + 1000 }], AT)
  expect(receipt).toMatchObject({ outcome: 'done', output: '{"id":3}' })
  expect((await claim(ledger, { nowMs: AT + 50 })).map((item) => item.runId)).toEqual(['run-4', 'run-5'])
  await ledger.replay([{ itemId: 'run-2.b', by: 'cli:ada', dueAtMs: AT }], AT)
  const [replayed] = await claim(ledger, { nowMs: AT })
  expect(replayed).toMatchObject({ input: '{"n":22}', outputs: { z: '{"z":1}' }, lastFailure: FAILURE })
  expect(replayed && (await settle(ledger, replayed, SUCCEEDED))).toMatchObject({ queued: ['run-2.a'] })
  await expectAudited(ledger)
  await ledger.close()
})

it('and what came later works beside what was there: the order of entities, bulk jobs', async () => {
  const ledger = await openedFromVersion2()
  const turn = { series: 'onboard.crm', entity: 'p1', rule: 'continue' } as const
  const [first, second] = [newRun({ items: [newItem({ turn })] }), newRun({ items: [newItem({ turn })] })]
  await ledger.submit([first, second])
  expect(await stateOf(ledger, idOf(second))).toBe('waiting')
  const claimed = await claim(ledger, { nowMs: AT + 60 })
  const own = claimed.find(({ runId }) => runId === first.id)
  expect(own && (await settle(ledger, own, SUCCEEDED))).toMatchObject({ queued: [idOf(second)] })
  expect((await ledger.jobs({ open: true }, { limit: 10 })).rows).toEqual([])
  await expectAudited(ledger)
  await ledger.close()
})
