/**
 * Fewer and smaller rows for what happens most: a run of one step, without a key of its own, that succeeds at first try.
 * docs/decisions/009 tells what each change saves.
 *
 * Runs and items share one sequence of numbers: a run has the number of its first item, and its other items follow it. So
 * an item is found by one number, in the order in which it was accepted, and needs no index on its run.
 */
export const leanRows = {
  version: 2,
  name: 'lean-rows',
  sql: `
DROP INDEX items_due;
DROP INDEX items_leased;
DROP INDEX items_dead;
DROP INDEX operations_of_item;
ALTER TABLE runs RENAME TO old_runs;
ALTER TABLE items RENAME TO old_items;
ALTER TABLE attempts RENAME TO old_attempts;
ALTER TABLE edits RENAME TO old_edits;
ALTER TABLE operations RENAME TO old_operations;

-- A pipeline of a tenant: what keys are unique within.
CREATE TABLE flows (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  UNIQUE (tenant, pipeline)
) STRICT;

CREATE TABLE runs (
  no INTEGER PRIMARY KEY,                         -- the number of its first item; the others follow it
  id TEXT NOT NULL UNIQUE,
  flow INTEGER NOT NULL,
  book INTEGER NOT NULL,
  item_count INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  key TEXT,                                       -- NULL: it came without one
  input_fingerprint TEXT,                         -- of a run with a key: tells a repetition from a conflict
  correlation_id TEXT,                            -- NULL: its own id
  labels TEXT,                                    -- NULL: none
  input TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_keyed ON runs (key, flow) WHERE key IS NOT NULL;

-- What one claim leased to one worker. Which items still belong to it, they say themselves; 'items' tells where to look.
CREATE TABLE leases (
  id INTEGER PRIMARY KEY,
  channel INTEGER NOT NULL,
  worker TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  open INTEGER NOT NULL,                          -- its items that are still processing; gone with the last one
  items TEXT NOT NULL                             -- JSON array of all it began with
) STRICT;
CREATE INDEX leases_of_channel ON leases (channel);

-- The columns that claims and settlements read come first: SQLite reads a row from its beginning.
CREATE TABLE items (
  no INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  step TEXT NOT NULL,
  channel INTEGER NOT NULL,
  book INTEGER NOT NULL,
  state TEXT NOT NULL,
  due_at_ms INTEGER,                              -- only while it can be claimed
  lease INTEGER,                                  -- only while processing; the lease is the attempt, written ahead
  lease_token INTEGER NOT NULL DEFAULT 0,         -- grows with each claim, never used again
  attempts INTEGER NOT NULL DEFAULT 0,
  deferrals INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  replays INTEGER NOT NULL DEFAULT 0,
  recorded INTEGER NOT NULL DEFAULT 0,            -- attempts on record: the rows in attempts, and the one of 'success'
  edits INTEGER NOT NULL DEFAULT 0,               -- rows in edits
  attempts_before_budget INTEGER NOT NULL DEFAULT 0,
  budget_from_ms INTEGER,                         -- NULL: since acceptance
  slow_lane_tries INTEGER NOT NULL DEFAULT 0,
  first_attempt_at_ms INTEGER,
  optional INTEGER NOT NULL,
  cancel_reason TEXT,                             -- not NULL: asked for while it was processing
  fingerprint TEXT,                               -- the facts of a dead letter, while it is one
  "after" TEXT,                                   -- JSON array of steps; NULL: none
  dependents TEXT,                                -- JSON array of the steps right after it; NULL: none
  memo TEXT,
  unmet INTEGER NOT NULL,                         -- steps in "after" that have not released it
  released INTEGER NOT NULL DEFAULT 0,            -- 1: its dependents need not wait for it any more
  updated_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  not_before_ms INTEGER,                          -- of a waiting item: its earliest due time
  reason TEXT,                                    -- NULL: the usual one of its state
  output TEXT,
  external_id TEXT,
  success_from_ms INTEGER,                        -- the attempt that succeeded, where it needs no row of its own
  success_at_ms INTEGER,
  success_status INTEGER,
  success_key TEXT,
  summary TEXT,
  hint TEXT,
  cause TEXT,
  dead_since_ms INTEGER,
  room BLOB                                       -- until its first end: bytes that a lease and an end will need
) STRICT;
CREATE INDEX items_due ON items (channel, due_at_ms) WHERE due_at_ms IS NOT NULL;
CREATE INDEX items_dead ON items (fingerprint) WHERE fingerprint IS NOT NULL;

-- What attempts failed with, as JSON. Numbers are never used again.
CREATE TABLE failures (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  text TEXT NOT NULL
) STRICT;

-- Append-only: what was tried, written when the claim ends.
CREATE TABLE attempts (
  item INTEGER NOT NULL,
  number INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  counts INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER NOT NULL,
  status INTEGER,
  idempotency_key TEXT,
  note TEXT,
  failure INTEGER,
  PRIMARY KEY (item, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_failure ON attempts (failure) WHERE failure IS NOT NULL;

-- What replays were asked to send instead of the input.
CREATE TABLE edits (
  item INTEGER NOT NULL,
  number INTEGER NOT NULL,
  replay INTEGER NOT NULL,
  by TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  input TEXT NOT NULL,
  PRIMARY KEY (item, number)
) STRICT;

-- What people and the engine did to an item.
CREATE TABLE operations (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL,
  what TEXT NOT NULL,
  by TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE INDEX operations_of_item ON operations (item);

-- What a store of version 1 holds moves over.
CREATE TABLE renumbered (run INTEGER PRIMARY KEY, no INTEGER NOT NULL) STRICT;
INSERT INTO renumbered SELECT no, 1 + sum(item_count) OVER (ORDER BY no) - item_count FROM old_runs;

INSERT INTO flows (tenant, pipeline) SELECT DISTINCT tenant, pipeline FROM old_runs;

INSERT INTO runs
  SELECT n.no, r.id, f.id, r.book, r.item_count, r.created_at_ms, nullif(r.key, r.id),
    CASE WHEN r.key <> r.id THEN r.input_fingerprint END, nullif(r.correlation_id, r.id), nullif(r.labels, '{}'), r.input
  FROM old_runs r JOIN renumbered n ON n.run = r.no JOIN flows f ON f.tenant = r.tenant AND f.pipeline = r.pipeline
  ORDER BY r.no;

INSERT INTO leases
  SELECT n.no + i.position, i.channel, i.lease_worker, i.lease_from_ms, i.lease_until_ms, 1, json_array(n.no + i.position)
  FROM old_items i JOIN renumbered n ON n.run = i.run WHERE i.lease_until_ms IS NOT NULL;

INSERT INTO items
  SELECT n.no + i.position, n.no, i.step, i.channel, i.book, i.state, i.due_at_ms,
    CASE WHEN i.lease_until_ms IS NOT NULL THEN n.no + i.position END, i.lease_token, i.attempts, i.deferrals, i.crashes,
    i.replays, i.recorded, i.edits, i.attempts_before_budget, i.budget_from_ms, i.slow_lane_tries, i.first_attempt_at_ms,
    i.optional, i.cancel_reason, i.fingerprint, i."after", i.dependents, i.memo, i.unmet, i.released, i.updated_at_ms,
    i.ended_at_ms, i.not_before_ms, i.reason, i.output, i.external_id, NULL, NULL, NULL, NULL, i.summary, i.hint, i.cause,
    i.dead_since_ms, i.room
  FROM old_items i JOIN renumbered n ON n.run = i.run ORDER BY n.no + i.position;

INSERT INTO failures (text) SELECT DISTINCT failure FROM old_attempts WHERE failure IS NOT NULL;

INSERT INTO attempts
  SELECT n.no + i.position, a.number, a.outcome, a.counts, a.started_at_ms, a.ended_at_ms, a.status, a.idempotency_key,
    a.note, f.id
  FROM old_attempts a JOIN old_items i ON i.run = a.run AND i.step = a.step JOIN renumbered n ON n.run = a.run
    LEFT JOIN failures f ON f.text = a.failure
  ORDER BY a.run, i.position, a.number;

INSERT INTO edits
  SELECT n.no + i.position, e.number, e.replay, e.by, e.at_ms, e.input
  FROM old_edits e JOIN old_items i ON i.run = e.run AND i.step = e.step JOIN renumbered n ON n.run = e.run;

INSERT INTO operations
  SELECT o.id, n.no + i.position, o.what, o.by, o.at_ms, o.note
  FROM old_operations o JOIN old_items i ON i.run = o.run AND i.step = o.step JOIN renumbered n ON n.run = o.run;

DROP TABLE old_attempts;
DROP TABLE old_edits;
DROP TABLE old_operations;
DROP TABLE old_items;
DROP TABLE old_runs;
DROP TABLE renumbered;
`,
} as const
