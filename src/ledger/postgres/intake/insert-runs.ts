/** The statements that insert runs and their items. All columns of one row of each are arrays of the same length. */
import { CALLED_AT_MS, keptIf, type Procedure, procedureOf } from '../transactions/procedures.ts'
import { findTaker, leasedText, TAKER } from '../work/standing.ts'

const RUN_COLUMNS = `id, tenant, pipeline, key, book, item_count, created_at_ms, correlation_id, labels, input_fingerprint, input`
const RUN_ARRAYS = `$1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bigint[], $8::text[], $9::text[],
  $10::text[], $11::text[]`
const STEP_COLUMNS = `step, position, channel, state, due_at_ms, optional, unmet, updated_at_ms, not_before_ms, "after", dependents`
const STEP_ARRAYS = `$12::text[], $13::int[], $14::int[], $15::text[], $16::bigint[], $17::boolean[], $18::int[], $19::bigint[],
  $20::bigint[], $21::text[], $22::text[]`
/** Of the run of each step: its place, its tenant, its book. */
const PLACE_ARRAYS = `$23::int[], $24::text[], $25::int[]`

/** What the parameters of {@link alikeRunsText} are. */
const ALIKE_TYPES = `text[] text[] text[] text text int bigint text
  text[] int[] int[] text[] bigint[] boolean[] int[] bigint[] bigint[] text[] text[]`.split(/\s+/)

/** New runs in one statement and transaction: what most submits are. */
export function submitProcedures(s: string): {
  readonly any: Procedure
  readonly alike: Procedure
  readonly awaited: Procedure
} {
  const types = `${RUN_ARRAYS}, ${STEP_ARRAYS}, ${PLACE_ARRAYS}`.split(',').map((array) => array.replace(/.*::/s, ''))
  const returns = 'newest bigint'
  return {
    any: procedureOf(s, {
      ...{ name: 'submit', takes: types, returns },
      body: `RETURN QUERY ${newRunsText(s, keptIf(s, 'true'))};`,
    }),
    alike: procedureOf(s, {
      ...{ name: 'submit_alike', takes: ALIKE_TYPES, returns },
      body: `RETURN QUERY ${alikeRunsText(s, keptIf(s, 'true'))};`,
    }),
    awaited: procedureOf(s, {
      ...{
        name: 'submit_awaited',
        takes: [...ALIKE_TYPES, 'text', 'text', 'int', 'int', 'text'],
        returns: `${returns}, leased boolean`,
        variables: `${TAKER} now_ms bigint;`,
      },
      body: `now_ms := ${CALLED_AT_MS};${findTaker(s, { channel: '$22', lane: '$23', now: 'now_ms' })}
      RETURN QUERY ${awaitedRunText(s, keptIf(s, 'EXISTS (SELECT 1 FROM accepted)'))};`,
    }),
  }
}

/**
 * The runs are numbered beforehand, so that the items need not look for theirs. What is known already is refused by the tables
 * themselves, which costs less than to ask them first.
 */
export function newRunsText(s: string, kept = ''): string {
  return `WITH numbers AS MATERIALIZED (
       SELECT array_agg(nextval('${s}.runs_no_seq')) AS no FROM generate_series(1, cardinality($1::text[]))),
     accepted AS (
       INSERT INTO ${s}.runs (no, ${RUN_COLUMNS}) OVERRIDING SYSTEM VALUE
       SELECT (SELECT no FROM numbers)[ord], ${RUN_COLUMNS}
       FROM unnest(${RUN_ARRAYS}) WITH ORDINALITY n (${RUN_COLUMNS}, ord)),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, book, ${STEP_COLUMNS})
       SELECT tenant, (SELECT no FROM numbers)[place], book, ${STEP_COLUMNS}
       FROM unnest(${STEP_ARRAYS}, ${PLACE_ARRAYS})
         n (${STEP_COLUMNS}, place, tenant, book))
     ${kept && `, kept AS (${kept})`}
     SELECT no[cardinality(no)] AS newest FROM numbers`
}

/** Of runs that differ in nothing but their ids and inputs: what all of them share is said once. */
export function alikeRunsText(s: string, kept = ''): string {
  return `WITH numbers AS MATERIALIZED (
       SELECT array_agg(nextval('${s}.runs_no_seq')) AS no FROM generate_series(1, cardinality($1::text[]))),
     accepted AS (
       INSERT INTO ${s}.runs (no, id, tenant, pipeline, book, item_count, created_at_ms, correlation_id, labels, input)
         OVERRIDING SYSTEM VALUE
       SELECT n.no, n.id, $4::text, $5::text, $6::int, cardinality($9::text[]), $7::bigint, coalesce(n.correlation_id, n.id),
         $8::text, n.input
       FROM unnest((SELECT no FROM numbers), $1::text[], $2::text[], $3::text[]) n (no, id, correlation_id, input)),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, book, ${STEP_COLUMNS})
       SELECT $4::text, n.no, $6::int, ${STEP_COLUMNS}
       FROM unnest((SELECT no FROM numbers)) n (no) CROSS JOIN unnest($9::text[], $10::int[], $11::int[], $12::text[],
         $13::bigint[], $14::boolean[], $15::int[], $16::bigint[], $17::bigint[], $18::text[], $19::text[]) i (${STEP_COLUMNS}))
     ${kept && `, kept AS (${kept})`}
     SELECT no[cardinality(no)] AS newest FROM numbers`
}

/**
 * Of one run, as {@link alikeRunsText} with a key (`$20`) and the fingerprint of what it brings (`$21`), whose first item is leased to the
 * `taker`, if there is one: its channel is `$22`. Whoever that is is told of it by a notification of
 * `$24`: of the transaction itself, so that it comes if that does. Nothing is answered, and nothing kept, where the run is known.
 */
function awaitedRunText(s: string, kept: string): string {
  const isLeased = `(taker.slot IS NOT NULL AND i.state = 'queued')`
  const ifLeased = (value: string, otherwise = 'NULL') => `CASE WHEN ${isLeased} THEN ${value} ELSE ${otherwise} END`
  return `WITH accepted AS (
       INSERT INTO ${s}.runs (id, tenant, pipeline, key, book, item_count, created_at_ms, correlation_id, labels, input_fingerprint, input)
       VALUES ($1[1], $4::text, $5::text, $20, $6::int, cardinality($9::text[]), $7::bigint, coalesce($2[1], $1[1]), $8::text, $21, $3[1])
       ON CONFLICT DO NOTHING RETURNING no),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, book, step, position, channel, optional, unmet, updated_at_ms, not_before_ms, "after",
         dependents, state, due_at_ms, lease_until_ms, lease, lease_token, lease_from_ms, lease_worker, first_attempt_at_ms)
       SELECT $4::text, n.no, $6::int, step, position, channel, optional, unmet, updated_at_ms, not_before_ms, "after", dependents,
         ${ifLeased(`'processing'`, 'i.state')}, ${ifLeased('NULL', 'i.due_at_ms')}, ${ifLeased('taker.until_ms')},
         ${ifLeased('taker.slot')}, ${ifLeased('1', '0')}, ${ifLeased('now_ms')}, ${ifLeased('taker.worker')},
         ${ifLeased('now_ms')}
       FROM accepted n CROSS JOIN unnest($9::text[], $10::int[], $11::int[], $12::text[], $13::bigint[], $14::boolean[], $15::int[],
         $16::bigint[], $17::bigint[], $18::text[], $19::text[]) i (${STEP_COLUMNS})),
     lease AS (
       INSERT INTO ${s}.leases (channel, slot, until_ms, open, runs)
       SELECT $22, taker.slot, taker.until_ms, 1, ARRAY[no] FROM accepted WHERE taker.slot IS NOT NULL
       ON CONFLICT (channel, slot) DO UPDATE SET until_ms = excluded.until_ms, open = excluded.open, runs = excluded.runs),
     taken AS (
       UPDATE ${s}.standing_claims SET room = room - 1, given = given + 1
       WHERE EXISTS (SELECT 1 FROM accepted) AND taker.slot IS NOT NULL AND channel = $22 AND worker = taker.worker),
     kept AS (${kept})
     SELECT no AS newest, CASE WHEN taker.slot IS NULL THEN false
       ELSE pg_notify($24, ${leasedText('no')})::text IS NOT NULL END AS leased FROM accepted`
}

/** Of runs of which some may be known by their keys. The rows come, and are numbered, in the order in which they were given. */
export function unknownRunsText(s: string): string {
  return `WITH accepted AS (
       INSERT INTO ${s}.runs (${RUN_COLUMNS}) SELECT ${RUN_COLUMNS} FROM unnest(${RUN_ARRAYS}) n (${RUN_COLUMNS})
       ON CONFLICT DO NOTHING RETURNING id, tenant, no, book),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, book, ${STEP_COLUMNS})
       SELECT r.tenant, r.no, r.book, ${STEP_COLUMNS}
       FROM unnest(${STEP_ARRAYS}, $23::text[]) n (${STEP_COLUMNS}, run_id) JOIN accepted r ON r.id = n.run_id)
     SELECT count(*) AS accepted, max(no) AS newest,
       CASE WHEN count(*) < cardinality($1::text[]) THEN coalesce(json_agg(id), '[]') END AS ids FROM accepted`
}
