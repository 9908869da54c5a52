/** `submit` of the port: the runs of many calls in one statement. */
import { dependentsOf, idTaken, stepsAbove } from '../new-runs.ts'
import type { NewItem, NewRun, SubmitReceipt, SupersededItem } from '../port.ts'
import { unmetOf } from '../turns.ts'
import { type Column, column, prepare, type Session, storable } from './connection.ts'
import type { Names } from './names.ts'
import { keptIf, type Procedure, procedureOf } from './procedures.ts'
import type { Transactor } from './transact.ts'
import { runThatSuperseded, type Turns } from './turns.ts'

export interface Submit {
  /** What {@link accept} needs to exist, made outside of its transaction. */
  prepareNames(runs: readonly NewRun[]): Promise<void>
  /** Inside a transaction, runs of which none is known; fails with a unique violation where one is. */
  acceptNew(session: Session, runs: readonly NewRun[]): Promise<Accepted>
  /**
   * The same as a transaction by itself, of no more than {@link MOST_ALONE} runs.
   * @param behind as of `WriteOptions`
   */
  acceptAlone(runs: readonly NewRun[], behind: () => string | undefined): Promise<Accepted>
  /** Inside a transaction with joins by `hash`, with runs that `assertRuns` let through. */
  accept(session: Session, runs: readonly NewRun[]): Promise<Accepted>
}

export interface Accepted {
  readonly receipts: SubmitReceipt[]
  /** The highest number of a run that was given; 0: none. */
  readonly newestRun: number
}

interface NewStep {
  readonly run: NewRun
  readonly item: NewItem
  readonly position: number
  /** Of its run in the statement, from 1. */
  readonly place: number
}

const LARGEST_CHUNK = 250
export const MOST_ALONE = LARGEST_CHUNK

const RUN_COLUMNS = `id, tenant, pipeline, key, book, item_count, created_at_ms, correlation_id, labels, input_fingerprint, input`
const RUN_ARRAYS = `$1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bigint[], $8::text[], $9::text[],
  $10::text[], $11::text[]`
const STEP_COLUMNS = `step, position, channel, state, due_at_ms, optional, unmet, updated_at_ms, not_before_ms, "after", dependents`
const STEP_ARRAYS = `$12::text[], $13::int[], $14::int[], $15::text[], $16::bigint[], $17::boolean[], $18::int[], $19::bigint[],
  $20::bigint[], $21::text[], $22::text[]`
/** Of the run of each step: its place, its tenant, its book. */
const PLACE_ARRAYS = `$23::int[], $24::text[], $25::int[]`

/** What is answered where all of them are new. */
export function allAccepted(runs: readonly NewRun[]): Accepted {
  return { receipts: runs.map((run) => ({ outcome: 'accepted', runId: run.id })), newestRun: 0 }
}

/** It takes places in the order of entities. */
export function isOrdered({ items }: NewRun): boolean {
  return items.some(({ turn }) => turn !== undefined)
}

/** New runs in one statement and transaction: what most submits are. */
export function submitProcedure(s: string): Procedure {
  return procedureOf(s, {
    name: 'submit',
    takes: `${RUN_ARRAYS}, ${STEP_ARRAYS}, ${PLACE_ARRAYS}`.split(',').map((array) => array.replace(/.*::/s, '')),
    returns: 'newest bigint',
    body: `RETURN QUERY ${newRunsText(s, keptIf(s, 'true'))};`,
  })
}

/**
 * The runs are numbered beforehand, so that the items need not look for theirs. What is known already is refused by the tables
 * themselves, which costs less than to ask them first.
 */
function newRunsText(s: string, kept = ''): string {
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

export function prepareSubmit(s: string, names: Names, turns: Turns, { call }: Pick<Transactor, 'call'>): Submit {
  const insert = prepare<{ accepted: number; newest: number | null; ids: string[] | null }>(
    // The rows come, and are numbered, in the order in which they were given.
    `WITH accepted AS (
       INSERT INTO ${s}.runs (${RUN_COLUMNS}) SELECT ${RUN_COLUMNS} FROM unnest(${RUN_ARRAYS}) n (${RUN_COLUMNS})
       ON CONFLICT DO NOTHING RETURNING id, tenant, no, book),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, book, ${STEP_COLUMNS})
       SELECT r.tenant, r.no, r.book, ${STEP_COLUMNS}
       FROM unnest(${STEP_ARRAYS}, $23::text[]) n (${STEP_COLUMNS}, run_id) JOIN accepted r ON r.id = n.run_id)
     SELECT count(*) AS accepted, max(no) AS newest,
       CASE WHEN count(*) < cardinality($1::text[]) THEN coalesce(json_agg(id), '[]') END AS ids FROM accepted`,
  )
  const insertNew = prepare<{ newest: number }>(newRunsText(s))
  const insertAlone = prepare<{ newest: number }>(submitProcedure(s).call)
  const selectKnown = prepare<{ known: [id: string, inputFingerprint: string] | null }>(
    // As a subquery, which is answered by the index whatever joins are allowed.
    `SELECT (SELECT json_build_array(r.id, r.input_fingerprint) FROM ${s}.runs r
       WHERE r.key = n.key AND r.pipeline = n.pipeline AND r.tenant = n.tenant) AS known
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY n (key, pipeline, tenant, ord) ORDER BY n.ord`,
  )

  async function acceptNew(session: Session, runs: readonly NewRun[]): Promise<Accepted> {
    // Sent one after the other without waiting, so that the server is busy with the first while the next is put together.
    const answers = await Promise.all(
      chunksOf(runs).map((chunk, index) => {
        if (index > 0) session.sendNow()
        return session.rows(insertNew, newColumns(chunk))
      }),
    )
    return { ...allAccepted(runs), newestRun: Math.max(0, ...answers.map(([row]) => row?.newest ?? 0)) }
  }

  function acceptAlone(runs: readonly NewRun[], behind: () => string | undefined): Promise<Accepted> {
    return call(insertAlone, newColumns(runs), {
      behind,
      read: ([row]) => ({ ...allAccepted(runs), newestRun: row?.newest ?? 0 }),
      unheard: () => allAccepted(runs),
    })
  }

  function newColumns(runs: readonly NewRun[]): Column[] {
    const steps = stepsOf(runs)
    return [
      ...runColumns(runs, names),
      ...itemColumns(steps, names),
      column(steps, ({ place }) => place),
      column(steps, ({ run }) => run.tenant),
      column(steps, ({ run }) => names.book(run.batch, run.pipeline)),
    ]
  }

  async function accept(session: Session, runs: readonly NewRun[]): Promise<Accepted> {
    const fresh = firstOfEach(runs)
    const answers = await Promise.all(
      chunksOf(fresh).map((chunk, index) => {
        if (index > 0) session.sendNow()
        return insertChunk(session, chunk)
      }),
    )
    const isAccepted = new Set(answers.flatMap(({ accepted }) => accepted))
    const receipts = await receiptsOfKnown(
      session,
      runs.filter((run) => !isAccepted.has(run)),
    )
    const superseded = await takePlaces(
      session,
      fresh.filter((run) => isAccepted.has(run) && isOrdered(run)),
    )
    return {
      receipts: runs.map((run) => receipts.get(run) ?? acceptedReceipt(run, superseded.get(run.id))),
      newestRun: Math.max(0, ...answers.map(({ newest }) => newest)),
    }
  }

  /** What was superseded, by the run that did it. */
  async function takePlaces(session: Session, runs: readonly NewRun[]): Promise<Map<string, SupersededItem[]>> {
    const newcomers = runs.flatMap(({ tenant, id: runId, items }) =>
      items.flatMap(({ step, turn }) => (turn ? [{ tenant, runId, step, turn, above: stepsAbove(step, items) }] : [])),
    )
    const nowMs = Math.max(0, ...runs.map((run) => run.createdAtMs))
    const { superseded } = await turns.join(session, newcomers, nowMs)
    const byRun = Map.groupBy(superseded, runThatSuperseded)
    return new Map(
      [...byRun].map(([runId, ended]) => [
        runId,
        ended.map(({ itemId, reason, attempts }) => ({ itemId, reason, attempts })),
      ]),
    )
  }

  async function insertChunk(session: Session, runs: readonly NewRun[]) {
    const steps = stepsOf(runs)
    const [row] = await session.rows(insert, [
      ...runColumns(runs, names),
      ...itemColumns(steps, names),
      column(steps, ({ run }) => run.id),
    ])
    const ids = row?.ids && new Set(row.ids)
    return { accepted: ids ? runs.filter((run) => ids.has(storable(run.id))) : runs, newest: row?.newest ?? 0 }
  }

  async function receiptsOfKnown(session: Session, runs: readonly NewRun[]): Promise<Map<NewRun, SubmitReceipt>> {
    const receipts = new Map<NewRun, SubmitReceipt>()
    if (runs.length === 0) return receipts
    const rows = await session.rows(selectKnown, [
      column(runs, (run) => run.key),
      column(runs, (run) => run.pipeline),
      column(runs, (run) => run.tenant),
    ])
    for (const [index, run] of runs.entries()) {
      const known = rows[index]?.known
      if (!known) throw idTaken(run)
      receipts.set(run, { outcome: known[1] === run.inputFingerprint ? 'duplicate' : 'conflict', runId: known[0] })
    }
    return receipts
  }

  return {
    prepareNames: (runs) =>
      names.make(
        runs.flatMap((run) => run.items),
        runs,
      ),
    acceptNew,
    acceptAlone,
    accept,
  }
}

function acceptedReceipt({ id: runId }: NewRun, superseded: readonly SupersededItem[] | undefined): SubmitReceipt {
  return { outcome: 'accepted', runId, ...(superseded && { superseded }) }
}

function chunksOf(runs: readonly NewRun[]): (readonly NewRun[])[] {
  const chunks: (readonly NewRun[])[] = []
  for (let from = 0; from < runs.length; from += LARGEST_CHUNK) chunks.push(runs.slice(from, from + LARGEST_CHUNK))
  return chunks
}

/** Of runs with one id or one key, the first: one statement does not see what it has inserted itself. */
function firstOfEach(runs: readonly NewRun[]): NewRun[] {
  const ids = new Set<string>()
  const keys = new Set<string>()
  return runs.filter((run) => {
    const key = run.key === undefined ? undefined : JSON.stringify([run.tenant, run.pipeline, run.key])
    if (ids.has(run.id) || (key !== undefined && keys.has(key))) return false
    ids.add(run.id)
    if (key !== undefined) keys.add(key)
    return true
  })
}

function runColumns(runs: readonly NewRun[], names: Names): Column[] {
  return [
    column(runs, (run) => run.id),
    column(runs, (run) => run.tenant),
    column(runs, (run) => run.pipeline),
    column(runs, (run) => run.key),
    column(runs, (run) => names.book(run.batch, run.pipeline)),
    column(runs, (run) => run.items.length),
    column(runs, (run) => run.createdAtMs),
    column(runs, (run) => run.correlationId),
    column(runs, (run) => labelsText(run.labels)),
    column(runs, (run) => run.inputFingerprint),
    column(runs, (run) => run.input),
  ]
}

function stepsOf(runs: readonly NewRun[]): NewStep[] {
  return runs.flatMap((run, index) =>
    run.items.map((item, position): NewStep => ({ run, item, position, place: index + 1 })),
  )
}

function itemColumns(steps: readonly NewStep[], names: Names): Column[] {
  return [
    column(steps, ({ item }) => item.step),
    column(steps, ({ position }) => position),
    column(steps, ({ item }) => names.channel(item.lane, item.endpoint)?.channel),
    column(steps, ({ item }) => (unmetOf(item) > 0 ? 'waiting' : 'queued')),
    column(steps, ({ item }) => (unmetOf(item) > 0 ? null : item.dueAtMs)),
    column(steps, ({ item }) => item.optional),
    column(steps, ({ item }) => unmetOf(item)),
    column(steps, ({ run }) => run.createdAtMs),
    column(steps, ({ run, item }) => (unmetOf(item) > 0 && item.dueAtMs > run.createdAtMs ? item.dueAtMs : null)),
    column(steps, ({ item }) => listText(item.after)),
    column(steps, ({ run, item }) => listText(dependentsOf(item.step, run.items))),
  ]
}

function listText(steps: readonly string[]): string | null {
  return steps.length === 0 ? null : JSON.stringify(steps)
}

/** Filtered by PostgreSQL's own JSON, which knows neither NUL nor halves of surrogate pairs. */
export function labelsText(labels: NewRun['labels']): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return '{}'
  return JSON.stringify(Object.fromEntries(entries.map((pair) => pair.map((text) => storable(text.toWellFormed())))))
}
