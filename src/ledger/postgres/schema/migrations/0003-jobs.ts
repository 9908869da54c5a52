/** What operators asked for in bulk, and the items that it is about. Of no tenant: they stay in one place. */
export const jobs = {
  version: 3,
  name: 'jobs',
  sql: (s: string): string => `
CREATE TABLE ${s}.jobs (
  id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  ended_at_ms bigint,                             -- NULL: there is something to do
  state text NOT NULL                             -- JSON
);

CREATE TABLE ${s}.job_members (
  job text COLLATE "C" NOT NULL,
  position integer NOT NULL,
  item_id text COLLATE "C" NOT NULL,
  replays_before integer NOT NULL,
  refused text,
  PRIMARY KEY (job, position),
  UNIQUE (job, item_id)
);
`,
}
