/** Order per entity, and values that newer ones replace (R116). */
export const order = {
  version: 4,
  name: 'order',
  sql: (s: string): string => `
-- What has an order: a product, a customer. Its row is locked by whoever gives or takes places. Kept as long as the
-- runs of its items, so that an older value is known as such.
CREATE TABLE ${s}.entities (
  id bigint GENERATED ALWAYS AS IDENTITY,
  tenant text COLLATE "C" NOT NULL,
  series text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  places bigint NOT NULL,                         -- given so far
  newest text COLLATE "C",                        -- the newest version that was accepted, where there are versions
  newest_place bigint,                            -- of the newest value; NULL where newer ones replace nothing
  newest_item text,                               -- which brought it
  updated_at_ms bigint NOT NULL,
  PRIMARY KEY (id, tenant),
  UNIQUE (series, name, tenant)
) WITH (fillfactor = 50);

-- Items of entities that have not ended: the lowest place that was not passed has its turn.
CREATE TABLE ${s}.places (
  tenant text COLLATE "C" NOT NULL,
  entity bigint NOT NULL,
  place bigint NOT NULL,
  run bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  rule text COLLATE "C" NOT NULL,
  standing text COLLATE "C" NOT NULL,             -- 'has_turn', 'waits', 'passed'
  PRIMARY KEY (entity, place, tenant),
  UNIQUE (run, step, tenant)
) WITH (fillfactor = 50);

ALTER TABLE ${s}.items ADD COLUMN entity bigint;  -- NULL: of none, which is the usual case
CREATE INDEX items_of_entity ON ${s}.items (entity) WHERE entity IS NOT NULL;
`,
} as const
