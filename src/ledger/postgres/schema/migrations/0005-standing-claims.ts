/** Claims that workers leave with the store (decision 035). */
export const standingClaims = {
  version: 5,
  name: 'standing claims',
  sql: (s: string): string => `
-- What workers wait for. Unlogged: a server that starts anew has none, and they leave theirs again.
CREATE UNLOGGED TABLE ${s}.standing_claims (
  channel integer NOT NULL,
  worker text COLLATE "C" NOT NULL,
  writer bigint NOT NULL,                         -- its process
  listener integer NOT NULL,                      -- the session in which that hears what is leased to it
  room integer NOT NULL,                          -- items that may still be leased to it
  given integer NOT NULL,                         -- items that were, since it left this claim
  lane_concurrency bigint NOT NULL,
  lease_ms bigint NOT NULL,
  until_ms bigint NOT NULL,
  PRIMARY KEY (channel, worker)
) WITH (fillfactor = 50);
`,
} as const
