/** The statements that insert runs and their items. All columns of one row of each are arrays of the same length. */
import { keptIf, type Procedure, procedureOf } from './procedures.ts'

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
export function submitProcedures(s: string): { readonly any: Procedure; readonly alike: Procedure } {
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
