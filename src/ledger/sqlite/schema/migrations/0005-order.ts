/** Order per entity, and values that newer ones replace (R116). */
export const order = {
  version: 5,
  name: 'order',
  sql: `
-- What has an order: a product, a customer. Kept as long as the runs of its items, so that an older value is known as such.
CREATE TABLE entities (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  series TEXT NOT NULL,
  name TEXT NOT NULL,
  places INTEGER NOT NULL,                        -- given so far
  newest TEXT,                                    -- the newest version that was accepted, where there are versions
  newest_place INTEGER,                           -- of the newest value; NULL where newer ones replace nothing
  newest_item TEXT,                               -- which brought it
  updated_at_ms INTEGER NOT NULL,
  UNIQUE (tenant, series, name)
) STRICT;

-- Items of entities that have not ended: the lowest place that was not passed has its turn.
CREATE TABLE places (
  entity INTEGER NOT NULL,
  place INTEGER NOT NULL,
  item INTEGER NOT NULL UNIQUE,
  rule TEXT NOT NULL,
  standing TEXT NOT NULL,                         -- 'has_turn', 'waits', 'passed'
  PRIMARY KEY (entity, place)
) STRICT, WITHOUT ROWID;

ALTER TABLE items ADD COLUMN entity INTEGER;      -- NULL: of none, which is the usual case
CREATE INDEX items_of_entity ON items (entity) WHERE entity IS NOT NULL;
`,
} as const
