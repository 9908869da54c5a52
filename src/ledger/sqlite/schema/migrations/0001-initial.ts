/**
 * The first schema.
 *
 * Runs are numbered in the order in which they were accepted; everything else refers to that number, which keeps keys and
 * indexes small and makes "newest first" a scan of a primary key. What the hot path touches is one small row per item;
 * the payload stays with the run. Indexes on hot states are partial, so their size follows the work at hand and
 * never the history.
 *
 * Items are written in the order in which they will be claimed, so their pages are full from the start. `room` is what
 * other databases call a fill factor: without it nearly every claim would split pages, which doubles what each commit
 * writes.
 */
export const initial = {
  version: 1,
  name: 'initial',
  sql: `
-- Where items wait: a lane and an endpoint, as one small number.
CREATE TABLE channels (
  id INTEGER PRIMARY KEY,
  lane TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  UNIQUE (lane, endpoint)
) STRICT;

CREATE TABLE lanes (
  lane TEXT PRIMARY KEY,
  gate_until_ms INTEGER NOT NULL DEFAULT 0,
  gate_reason TEXT NOT NULL DEFAULT '',
  suspended_at_ms INTEGER,
  suspended_reason TEXT
) STRICT, WITHOUT ROWID;

-- What the balance is struck per.
CREATE TABLE books (
  id INTEGER PRIMARY KEY,
  batch TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  UNIQUE (batch, pipeline)
) STRICT;

-- kind: 'accepted' (counted when runs come in), a state (moved with each transition), 'archived:' and a state.
CREATE TABLE tallies (
  book INTEGER NOT NULL,
  kind TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (book, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  key TEXT NOT NULL,
  book INTEGER NOT NULL,
  item_count INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  correlation_id TEXT NOT NULL,
  labels TEXT NOT NULL,
  input_fingerprint TEXT NOT NULL,
  input TEXT NOT NULL,
  UNIQUE (key, pipeline, tenant)
) STRICT;

CREATE TABLE items (
  run INTEGER NOT NULL,
  step TEXT NOT NULL,
  position INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  book INTEGER NOT NULL,
  state TEXT NOT NULL,
  due_at_ms INTEGER,                              -- only while it can be claimed
  lease_until_ms INTEGER,                         -- only while processing; the lease is the attempt, written ahead
  lease_token INTEGER NOT NULL DEFAULT 0,         -- grows with each claim, never used again
  lease_from_ms INTEGER,
  lease_worker TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  deferrals INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  replays INTEGER NOT NULL DEFAULT 0,
  recorded INTEGER NOT NULL DEFAULT 0,            -- rows in attempts
  edits INTEGER NOT NULL DEFAULT 0,               -- rows in edits
  attempts_before_budget INTEGER NOT NULL DEFAULT 0,
  budget_from_ms INTEGER,                         -- NULL: since acceptance
  slow_lane_tries INTEGER NOT NULL DEFAULT 0,
  optional INTEGER NOT NULL,
  unmet INTEGER NOT NULL,                         -- steps in "after" that have not released it
  released INTEGER NOT NULL DEFAULT 0,            -- 1: its dependents need not wait for it any more
  first_attempt_at_ms INTEGER,
  updated_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  not_before_ms INTEGER,                          -- of a waiting item: its earliest due time
  reason TEXT,                                    -- NULL: the usual one of its state
  cancel_reason TEXT,                             -- not NULL: asked for while it was processing
  external_id TEXT,
  fingerprint TEXT,                               -- the facts of a dead letter, while it is one
  summary TEXT,
  hint TEXT,
  cause TEXT,
  dead_since_ms INTEGER,
  "after" TEXT,                                   -- JSON array of steps; NULL: none
  dependents TEXT,                                -- JSON array of the steps right after it; NULL: none
  memo TEXT,
  output TEXT,
  room BLOB,                                      -- until its first claim: bytes that the lease will need
  PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE INDEX items_due ON items (channel, due_at_ms, run, step) WHERE due_at_ms IS NOT NULL;
CREATE INDEX items_leased ON items (channel, lease_until_ms) WHERE lease_until_ms IS NOT NULL;
CREATE INDEX items_dead ON items (fingerprint) WHERE fingerprint IS NOT NULL;

-- Append-only: what was tried, written when the claim ends.
CREATE TABLE attempts (
  run INTEGER NOT NULL,
  step TEXT NOT NULL,
  number INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  counts INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER NOT NULL,
  status INTEGER,
  idempotency_key TEXT,
  note TEXT,
  failure TEXT,
  PRIMARY KEY (run, step, number)
) STRICT, WITHOUT ROWID;

-- What replays were asked to send instead of the input.
CREATE TABLE edits (
  run INTEGER NOT NULL,
  step TEXT NOT NULL,
  number INTEGER NOT NULL,
  replay INTEGER NOT NULL,
  by TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  input TEXT NOT NULL,
  PRIMARY KEY (run, step, number)
) STRICT;

-- What people and the engine did to an item.
CREATE TABLE operations (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  step TEXT NOT NULL,
  what TEXT NOT NULL,
  by TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE INDEX operations_of_item ON operations (run, step);

-- Operations with a key of their own: reserved before they are sent, confirmed when they are done.
CREATE TABLE effects (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  owner TEXT NOT NULL,
  done INTEGER NOT NULL,
  reserved_until_ms INTEGER NOT NULL,
  keep_until_ms INTEGER NOT NULL,
  external_id TEXT,
  output TEXT,
  PRIMARY KEY (tenant, key),
  CHECK ((done = 1) = (output IS NOT NULL))
) STRICT;
CREATE INDEX effects_reserved ON effects (owner) WHERE done = 0;
CREATE INDEX effects_expiry ON effects (keep_until_ms);

-- Shared health; revisions count over all records, so that "what changed since" is one range.
CREATE TABLE health (
  key TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX health_changes ON health (revision);
`,
} as const
