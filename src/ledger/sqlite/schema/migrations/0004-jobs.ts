/** What operators asked for in bulk, and the items that it is about. */
export const jobs = {
  version: 4,
  name: 'jobs',
  sql: `
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  ended_at_ms INTEGER,                            -- NULL: there is something to do
  state TEXT NOT NULL                             -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE job_members (
  job TEXT NOT NULL,
  position INTEGER NOT NULL,
  item_id TEXT NOT NULL,
  replays_before INTEGER NOT NULL,
  refused TEXT,
  PRIMARY KEY (job, position),
  UNIQUE (job, item_id)
) STRICT, WITHOUT ROWID;
`,
}
