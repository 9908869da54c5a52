/** What operators did: who, what, when, from where. Few rows, of no tenant: they stay in one place. */
export const actions = {
  version: 2,
  name: 'actions',
  sql: (s: string): string => `
CREATE TABLE ${s}.actions (
  id text PRIMARY KEY,
  at_ms bigint NOT NULL,
  by_whom text NOT NULL,
  origin text NOT NULL,
  what text NOT NULL,
  target text NOT NULL,
  reason text NOT NULL,
  details text NOT NULL,
  outcome text NOT NULL
);
CREATE INDEX actions_newest ON ${s}.actions (at_ms, id);
`,
}
