/** What operators did: who, what, when, from where. */
export const actions = {
  version: 3,
  name: 'actions',
  sql: `
CREATE TABLE actions (
  id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  by_whom TEXT NOT NULL,
  origin TEXT NOT NULL,
  what TEXT NOT NULL,
  target TEXT NOT NULL,
  reason TEXT NOT NULL,
  details TEXT NOT NULL,                          -- JSON
  outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_newest ON actions (at_ms, id);
`,
}
