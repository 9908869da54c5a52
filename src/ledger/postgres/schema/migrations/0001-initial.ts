/**
 * The first schema.
 *
 * Runs are numbered in the order in which they were accepted; everything else refers to that number and to the tenant, which
 * every unique key carries, so that the tables can be partitioned or distributed by it. `channels`, `books`, `lanes` and
 * `health` are small and the same for all tenants.
 *
 * Indexes on hot states are partial: their size follows the work at hand and never the history. The history itself
 * (attempts, operations) is partitioned by the number of the run, which is time in the order of acceptance: lookups by run
 * meet one partition, and old partitions are dropped whole.
 *
 * The books are moved by triggers, so that no way of changing an item can forget them. Each transaction adds to rows of its
 * own slot, so that no two writers wait for each other; a reader sums the slots.
 */
export const initial = {
  version: 1,
  name: 'initial',
  sql: (s: string): string => `
CREATE TABLE ${s}.lanes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane text COLLATE "C" NOT NULL UNIQUE,
  gate_until_ms bigint NOT NULL DEFAULT 0,
  gate_reason text NOT NULL DEFAULT '',
  suspended_at_ms bigint,
  suspended_reason text
) WITH (fillfactor = 50);

-- Where items wait: a lane and an endpoint, as one small number.
CREATE TABLE ${s}.channels (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane text COLLATE "C" NOT NULL,
  endpoint text COLLATE "C" NOT NULL,
  UNIQUE (lane, endpoint)
);

-- What the balance is struck per.
CREATE TABLE ${s}.books (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  UNIQUE (batch, pipeline)
);

-- kind: 'accepted' (counted when runs come in), a state (moved with each transition), 'archived:' and a state.
CREATE TABLE ${s}.tallies (
  book integer NOT NULL,
  kind text COLLATE "C" NOT NULL,
  slot bigint NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (book, kind, slot)
) WITH (fillfactor = 50);

-- Numbers for writers: processes, and transactions of users that submit joins.
CREATE SEQUENCE ${s}.writers;

-- The newest transaction of each writer, as part of that transaction: how a writer that lost its connection while it
-- committed finds out what became of it. Whoever asks voids what has not committed, so that it never will.
CREATE TABLE ${s}.commits (
  writer bigint NOT NULL,
  slot integer NOT NULL,
  number bigint NOT NULL,
  voided bigint NOT NULL DEFAULT -1,
  at_ms bigint NOT NULL,
  PRIMARY KEY (writer, slot),
  CONSTRAINT commit_not_voided CHECK (number > voided)
) WITH (fillfactor = 50);

-- Rows to be locked, and counters that must grow in the order of commits.
CREATE TABLE ${s}.turns (name text PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO ${s}.turns (name, value) VALUES ('health', 0), ('reclaim', 0);

CREATE TABLE ${s}.runs (
  no bigint GENERATED ALWAYS AS IDENTITY,
  tenant text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  key text COLLATE "C",                           -- NULL: nothing else is the same operation
  book integer NOT NULL,
  item_count integer NOT NULL,
  created_at_ms bigint NOT NULL,
  correlation_id text NOT NULL,
  labels text NOT NULL,
  input_fingerprint text,                         -- only with a key
  input text NOT NULL,
  PRIMARY KEY (no, tenant),
  UNIQUE (id, tenant)
);
CREATE UNIQUE INDEX runs_key ON ${s}.runs (key, pipeline, tenant) WHERE key IS NOT NULL;

CREATE TABLE ${s}.items (
  tenant text COLLATE "C" NOT NULL,
  run bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  position integer NOT NULL,
  channel integer NOT NULL,
  book integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  due_at_ms bigint,                               -- only while it can be claimed
  lease_until_ms bigint,                          -- only while processing; the lease is the attempt, written ahead
  lease integer,                                  -- the slot of its lease; says nothing when it is not processing any more
  lease_token bigint NOT NULL DEFAULT 0,          -- grows with each claim, never used again
  lease_from_ms bigint,
  lease_worker text,
  attempts integer NOT NULL DEFAULT 0,
  deferrals integer NOT NULL DEFAULT 0,
  crashes integer NOT NULL DEFAULT 0,
  replays integer NOT NULL DEFAULT 0,
  recorded integer NOT NULL DEFAULT 0,            -- rows in attempts
  edits integer NOT NULL DEFAULT 0,               -- rows in edits
  attempts_before_budget integer NOT NULL DEFAULT 0,
  budget_from_ms bigint,                          -- NULL: since acceptance
  slow_lane_tries integer NOT NULL DEFAULT 0,
  optional boolean NOT NULL,
  unmet integer NOT NULL,                         -- steps in "after" that have not released it
  released boolean NOT NULL DEFAULT false,        -- true: its dependents need not wait for it any more
  first_attempt_at_ms bigint,
  updated_at_ms bigint NOT NULL,
  ended_at_ms bigint,
  not_before_ms bigint,                           -- of a waiting item: its earliest due time
  reason text,                                    -- NULL: the usual one of its state
  cancel_reason text,                             -- not NULL: asked for while it was processing
  external_id text,
  fingerprint text,                               -- the facts of a dead letter, while it is one
  summary text,
  hint text,
  cause text,
  dead_since_ms bigint,
  "after" text,                                   -- JSON array of steps; NULL: none
  dependents text,                                -- JSON array of the steps right after it; NULL: none
  memo text,
  last_failure text,                              -- of the newest attempt that failed
  output text,
  success_from_ms bigint,                         -- the attempt that ended it: only where there is no more to tell of that
  success_at_ms bigint,
  success_status integer,
  success_key text,
  PRIMARY KEY (run, step, tenant)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
        autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX items_due ON ${s}.items (channel, due_at_ms, run, step) WHERE due_at_ms IS NOT NULL;
CREATE INDEX items_dead ON ${s}.items (fingerprint) WHERE fingerprint IS NOT NULL;

-- What was claimed together, so that leases need no index entry for each item: how many of them are still out, and where to
-- look for them when leases end. A slot is used again.
CREATE TABLE ${s}.leases (
  channel integer NOT NULL,
  slot integer NOT NULL,
  until_ms bigint NOT NULL,                       -- no lease of its items ends before
  open integer NOT NULL,                          -- items that are still processing
  runs bigint[] NOT NULL,                         -- theirs
  PRIMARY KEY (channel, slot),
  CHECK (open >= 0)
) WITH (fillfactor = 50);

-- Append-only: what was tried, written when the claim ends; but for a success without remarks, which its item keeps.
CREATE TABLE ${s}.attempts (
  tenant text COLLATE "C" NOT NULL,
  run bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  number integer NOT NULL,
  outcome text NOT NULL,
  counts boolean NOT NULL,
  started_at_ms bigint NOT NULL,
  ended_at_ms bigint NOT NULL,
  status integer,
  idempotency_key text,
  note text,
  failure text,
  PRIMARY KEY (run, step, number, tenant)
) PARTITION BY RANGE (run);
CREATE TABLE ${s}.attempts_rest PARTITION OF ${s}.attempts DEFAULT;

-- What people and the engine did to an item.
CREATE SEQUENCE ${s}.operation_numbers;
CREATE TABLE ${s}.operations (
  tenant text COLLATE "C" NOT NULL,
  run bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  number bigint NOT NULL DEFAULT nextval('${s}.operation_numbers'),
  what text NOT NULL,
  by text NOT NULL,
  at_ms bigint NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (run, step, number, tenant)
) PARTITION BY RANGE (run);
CREATE TABLE ${s}.operations_rest PARTITION OF ${s}.operations DEFAULT;

-- What replays were asked to send instead of the input.
CREATE TABLE ${s}.edits (
  tenant text COLLATE "C" NOT NULL,
  run bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  number integer NOT NULL,
  replay integer NOT NULL,
  by text NOT NULL,
  at_ms bigint NOT NULL,
  input text NOT NULL,
  PRIMARY KEY (run, step, number, tenant)
);

-- Operations with a key of their own: reserved before they are sent, confirmed when they are done.
CREATE TABLE ${s}.effects (
  tenant text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  owner text COLLATE "C" NOT NULL,
  done boolean NOT NULL,
  reserved_until_ms bigint NOT NULL,
  keep_until_ms bigint NOT NULL,
  external_id text,
  output text,
  PRIMARY KEY (tenant, key),
  CHECK (done = (output IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX effects_reserved ON ${s}.effects (owner) WHERE NOT done;
CREATE INDEX effects_expiry ON ${s}.effects (keep_until_ms);

-- Shared health; revisions count over all records in the order of commits, so that "what changed since" is one range.
CREATE TABLE ${s}.health (
  key text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  state text NOT NULL,
  updated_at_ms bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX health_changes ON ${s}.health (revision);

CREATE FUNCTION ${s}.tally_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
    SELECT book, 'accepted', coalesce(nullif(current_setting('holdfast.slot', true), ''), '0')::bigint, sum(item_count)
    FROM new_runs GROUP BY book ORDER BY book
    ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_runs AFTER INSERT ON ${s}.runs REFERENCING NEW TABLE AS new_runs
  FOR EACH STATEMENT EXECUTE FUNCTION ${s}.tally_runs();

CREATE FUNCTION ${s}.tally_items() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  own_slot bigint := coalesce(nullif(current_setting('holdfast.slot', true), ''), '0')::bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
      SELECT book, state, own_slot, count(*) FROM new_items GROUP BY book, state ORDER BY book, state
      ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
      SELECT book, state, own_slot, sum(moved) FROM (
        SELECT book, state, -count(*) AS moved FROM old_items GROUP BY book, state
        UNION ALL
        SELECT book, state, count(*) FROM new_items GROUP BY book, state) moves
      GROUP BY book, state HAVING sum(moved) <> 0 ORDER BY book, state
      ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count;
  ELSE
    INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
      SELECT book, kind, own_slot, moved FROM (
        SELECT book, state AS kind, -count(*) AS moved FROM old_items GROUP BY book, state
        UNION ALL
        SELECT book, 'archived:' || state, count(*) FROM old_items GROUP BY book, state) moves
      ORDER BY book, kind
      ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_new_items AFTER INSERT ON ${s}.items REFERENCING NEW TABLE AS new_items
  FOR EACH STATEMENT EXECUTE FUNCTION ${s}.tally_items();
CREATE TRIGGER tally_moved_items AFTER UPDATE ON ${s}.items REFERENCING OLD TABLE AS old_items NEW TABLE AS new_items
  FOR EACH STATEMENT EXECUTE FUNCTION ${s}.tally_items();
CREATE TRIGGER tally_archived_items AFTER DELETE ON ${s}.items REFERENCING OLD TABLE AS old_items
  FOR EACH STATEMENT EXECUTE FUNCTION ${s}.tally_items();
`,
} as const
