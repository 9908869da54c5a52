/** `submit` of the port: the runs of many calls in one statement. */
import { dependentsOf, idTaken } from '../new-runs.ts'
import type { NewItem, NewRun, SubmitReceipt } from '../port.ts'
import { column, prepare, type Scalar, type Session, storable } from './connection.ts'
import type { Names } from './names.ts'

export interface Submit {
  /** What {@link accept} needs to exist, made outside of its transaction. */
  prepareNames(runs: readonly NewRun[]): Promise<void>
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
}

const LARGEST_CHUNK = 250

export function prepareSubmit(s: string, names: Names): Submit {
  const insert = prepare<{ accepted: number; newest: number | null; ids: string[] | null }>(
    // The rows come, and are numbered, in the order in which they were given.
    `WITH accepted AS (
       INSERT INTO ${s}.runs (id, tenant, pipeline, key, book, item_count, created_at_ms, correlation_id, labels,
         input_fingerprint, input)
       SELECT id, tenant, pipeline, key, book, item_count, created_at_ms, correlation_id, labels, input_fingerprint, input
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bigint[], $8::text[],
         $9::text[], $10::text[], $11::text[]) n (id, tenant, pipeline, key, book, item_count, created_at_ms,
         correlation_id, labels, input_fingerprint, input)
       ON CONFLICT DO NOTHING RETURNING id, tenant, no, book),
     steps AS (
       INSERT INTO ${s}.items (tenant, run, step, position, channel, book, state, due_at_ms, optional, unmet,
         updated_at_ms, not_before_ms, "after", dependents)
       SELECT r.tenant, r.no, n.step, n.position, n.channel, r.book, n.state, n.due_at_ms, n.optional, n.unmet,
         n.updated_at_ms, n.not_before_ms, n.needs, n.dependents
       FROM unnest($12::text[], $13::text[], $14::int[], $15::int[], $16::text[], $17::bigint[], $18::boolean[],
         $19::int[], $20::bigint[], $21::bigint[], $22::text[], $23::text[]) n (run_id, step, position, channel, state,
         due_at_ms, optional, unmet, updated_at_ms, not_before_ms, needs, dependents)
       JOIN accepted r ON r.id = n.run_id)
     SELECT count(*) AS accepted, max(no) AS newest,
       CASE WHEN count(*) < cardinality($1::text[]) THEN coalesce(json_agg(id), '[]') END AS ids FROM accepted`,
  )
  const selectKnown = prepare<{ known: [id: string, inputFingerprint: string] | null }>(
    // As a subquery, which is answered by the index whatever joins are allowed.
    `SELECT (SELECT json_build_array(r.id, r.input_fingerprint) FROM ${s}.runs r
       WHERE r.key = n.key AND r.pipeline = n.pipeline AND r.tenant = n.tenant) AS known
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY n (key, pipeline, tenant, ord) ORDER BY n.ord`,
  )

  async function accept(session: Session, runs: readonly NewRun[]): Promise<Accepted> {
    const fresh = firstOfEach(runs)
    // Sent one after the other without waiting, so that the server is busy with the first while the next is put together.
    const answers = await Promise.all(chunksOf(fresh).map((chunk) => insertChunk(session, chunk)))
    const isAccepted = new Set(answers.flatMap(({ accepted }) => accepted))
    const receipts = await receiptsOfKnown(
      session,
      runs.filter((run) => !isAccepted.has(run)),
    )
    return {
      receipts: runs.map((run) => receipts.get(run) ?? { outcome: 'accepted', runId: run.id }),
      newestRun: Math.max(0, ...answers.map(({ newest }) => newest)),
    }
  }

  async function insertChunk(session: Session, runs: readonly NewRun[]) {
    const [row] = await session.rows(insert, [...runColumns(runs, names), ...itemColumns(runs, names)])
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
    accept,
  }
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

function runColumns(runs: readonly NewRun[], names: Names): (readonly Scalar[] | null)[] {
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

function itemColumns(runs: readonly NewRun[], names: Names): (readonly Scalar[] | null)[] {
  const steps = runs.flatMap((run) => run.items.map((item, position): NewStep => ({ run, item, position })))
  return [
    column(steps, ({ run }) => run.id),
    column(steps, ({ item }) => item.step),
    column(steps, ({ position }) => position),
    column(steps, ({ item }) => names.channel(item.lane, item.endpoint)?.channel),
    column(steps, ({ item }) => (item.after.length > 0 ? 'waiting' : 'queued')),
    column(steps, ({ item }) => (item.after.length > 0 ? null : item.dueAtMs)),
    column(steps, ({ item }) => item.optional),
    column(steps, ({ item }) => item.after.length),
    column(steps, ({ run }) => run.createdAtMs),
    column(steps, ({ run, item }) => (item.after.length > 0 && item.dueAtMs > run.createdAtMs ? item.dueAtMs : null)),
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
