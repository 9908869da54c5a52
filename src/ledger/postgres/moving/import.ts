/** Writes what comes from another store: one batch at a time, inside a transaction. See `transfer.ts`. */
import { END_STATES } from '../../../core/item-state.ts'
import { ACTION_COLUMNS } from '../../actions.ts'
import { ACCEPTED, ARCHIVED_PREFIX } from '../../counts.ts'
import { JOB_COLUMNS, JOB_MEMBER_COLUMNS } from '../../jobs.ts'
import type {
  TransferBatch,
  TransferCounts,
  TransferredBook,
  TransferredHealth,
  TransferredLane,
  TransferredRun,
} from '../../transfer.ts'
import { NO_ROWS } from '../../transfer.ts'
import type { Names } from '../intake/names.ts'
import { labelsText } from '../intake/submit.ts'
import { prepare, type Session, storable } from '../transactions/connection.ts'

export interface Import {
  /** What {@link write} needs to exist, made in a transaction of its own. */
  prepareNames(batch: TransferBatch): Promise<void>
  /** Returns the highest number of a run; 0: none. */
  write(session: Session, batch: TransferBatch): Promise<number>
}

const RUN_COLUMNS = `tenant id pipeline key book item_count created_at_ms correlation_id labels input_fingerprint input`
const ITEM_COLUMNS = `tenant run step position channel book state due_at_ms lease_until_ms lease_token lease_from_ms
  lease_worker attempts deferrals crashes replays recorded edits attempts_before_budget budget_from_ms slow_lane_tries
  optional unmet released first_attempt_at_ms updated_at_ms ended_at_ms not_before_ms reason cancel_reason external_id
  fingerprint summary hint cause dead_since_ms after dependents memo last_failure output`
const ATTEMPT_COLUMNS = `tenant run step number outcome counts started_at_ms ended_at_ms status idempotency_key note failure`
const EDIT_COLUMNS = 'tenant run step number replay by at_ms input'
const OPERATION_COLUMNS = 'tenant run step what by at_ms note'
const EFFECT_COLUMNS = 'tenant key fingerprint owner done reserved_until_ms keep_until_ms external_id output'

export function prepareImport(s: string, names: Names): Import {
  const insertRuns = prepare<{ id: string; no: number }>(
    `${insertText(s, 'runs', RUN_COLUMNS)} ORDER BY n.no RETURNING id, no`,
  )
  const insertItems = prepare(insertText(s, 'items', ITEM_COLUMNS))
  const leaseAgain = prepare(
    // Each item has a lease of its own: who claimed what together does not matter any more.
    `WITH leased AS (
       SELECT i.tenant, i.run, i.step, i.channel, i.lease_until_ms,
         coalesce((SELECT max(l.slot) FROM ${s}.leases l WHERE l.channel = i.channel), -1)
           + row_number() OVER (PARTITION BY i.channel ORDER BY i.run, i.step) AS slot
       FROM ${s}.items i WHERE i.run = ANY ($1::bigint[]) AND i.lease_until_ms IS NOT NULL),
     made AS (
       INSERT INTO ${s}.leases (channel, slot, until_ms, open, runs)
       SELECT channel, slot, lease_until_ms, 1, ARRAY[run] FROM leased)
     UPDATE ${s}.items i SET lease = n.slot FROM leased n WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant`,
  )
  const insertEntities = prepare(
    insertText(s, 'entities', 'tenant series name places newest newest_place newest_item updated_at_ms'),
  )
  const takePlaces = prepare(
    `WITH n AS MATERIALIZED (
       SELECT n.*, e.id AS entity
       FROM json_to_recordset($1::json) n (tenant text, run bigint, step text, entity_series text, entity_name text,
         place bigint, place_rule text, place_standing text)
       JOIN ${s}.entities e ON e.series = n.entity_series AND e.name = n.entity_name AND e.tenant = n.tenant),
     placed AS (
       INSERT INTO ${s}.places (tenant, entity, place, run, step, rule, standing)
       SELECT tenant, entity, place, run, step, place_rule, place_standing FROM n WHERE place IS NOT NULL)
     UPDATE ${s}.items i SET entity = n.entity FROM n WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant`,
  )
  const insertAttempts = prepare(insertText(s, 'attempts', ATTEMPT_COLUMNS))
  const insertEdits = prepare(insertText(s, 'edits', EDIT_COLUMNS))
  const insertOperations = prepare(insertText(s, 'operations', OPERATION_COLUMNS))
  const insertEffects = prepare(insertText(s, 'effects', EFFECT_COLUMNS))
  const insertActions = prepare(insertText(s, 'actions', ACTION_COLUMNS.replaceAll(',', '')))
  const insertJobs = prepare(insertText(s, 'jobs', JOB_COLUMNS.replaceAll(',', '')))
  const insertMembers = prepare(insertText(s, 'job_members', JOB_MEMBER_COLUMNS.replaceAll(',', '')))
  const insertHealth = prepare(insertText(s, 'health', 'key revision state updated_at_ms'))
  const reachRevision = prepare(`UPDATE ${s}.turns SET value = greatest(value, $1) WHERE name = 'health'`)
  const insertLanes = prepare(
    `${insertText(s, 'lanes', 'lane gate_until_ms gate_reason suspended_at_ms suspended_reason')}
     ON CONFLICT (lane) DO UPDATE SET gate_until_ms = excluded.gate_until_ms, gate_reason = excluded.gate_reason,
       suspended_at_ms = excluded.suspended_at_ms, suspended_reason = excluded.suspended_reason`,
  )
  // Forgotten runs were accepted once; those that are there are counted by the triggers of their tables.
  const addTallies = prepare(
    `INSERT INTO ${s}.tallies AS t (book, kind, slot, count)
     SELECT n.book, n.kind, current_setting('holdfast.slot')::bigint, n.count
     FROM json_to_recordset($1::json) n (book int, kind text, count bigint)
     ON CONFLICT (book, kind, slot) DO UPDATE SET count = t.count + excluded.count`,
  )

  async function writeRuns(session: Session, runs: readonly TransferredRun[]): Promise<number> {
    const rows = runs.map((run) => ({
      ...run,
      items: undefined,
      book: names.book(run.batch, run.pipeline),
      labels: labelsText(JSON.parse(run.labels) as Record<string, string>),
    }))
    const accepted = await session.rows(insertRuns, [jsonOf(rows)])
    const numbers = new Map(accepted.map(({ id, no }) => [id, no]))
    const items = runs.flatMap(({ tenant, id, items, ...run }) => {
      const [no, book] = [numbers.get(storable(id)), names.book(run.batch, run.pipeline)]
      return items.map((item) => ({ ...item, tenant, book, run: no }))
    })
    const placed = items.map(({ history: _, ...item }) => ({
      ...item,
      channel: names.channel(item.lane, item.endpoint)?.channel,
    }))
    await session.rows(insertItems, [jsonOf(placed)])
    const leased = items.filter(({ lease_until_ms }) => lease_until_ms !== null).map(({ run }) => run as number)
    if (leased.length > 0) await session.rows(leaseAgain, [leased])
    const ofEntities = placed.filter(({ entity_name }) => entity_name !== null)
    if (ofEntities.length > 0) await session.rows(takePlaces, [jsonOf(ofEntities)])
    for (const [kind, insert] of [
      ['attempts', insertAttempts],
      ['edits', insertEdits],
      ['operations', insertOperations],
    ] as const) {
      const past = items.flatMap(({ tenant, run, step, history }) =>
        history[kind].map((entry) => ({ ...entry, tenant, run, step })),
      )
      if (past.length > 0) await session.rows(insert, [jsonOf(past)])
    }
    return accepted.reduce((newest, { no }) => Math.max(newest, no), 0)
  }

  async function writeBooks(session: Session, books: readonly TransferredBook[]): Promise<void> {
    const tallies = books.flatMap(({ batch, pipeline, archived }) => {
      const book = names.book(batch, pipeline)
      const ends = END_STATES.map((state) => ({ book, kind: ARCHIVED_PREFIX + state, count: archived[state] ?? 0 }))
      const count = ends.reduce((sum, end) => sum + end.count, 0)
      return [...ends, { book, kind: ACCEPTED, count }].filter((tally) => tally.count > 0)
    })
    if (tallies.length > 0) await session.rows(addTallies, [jsonOf(tallies)])
  }

  async function writeLanes(session: Session, lanes: readonly TransferredLane[]): Promise<void> {
    if (lanes.length > 0) await session.rows(insertLanes, [jsonOf(lanes)])
  }

  async function writeHealth(session: Session, health: readonly TransferredHealth[]): Promise<void> {
    if (health.length === 0) return
    await session.rows(insertHealth, [jsonOf(health)])
    await session.rows(reachRevision, [Math.max(...health.map(({ revision }) => revision))])
  }

  return {
    async prepareNames(batch) {
      if (batch.kind === 'lanes') await names.make(batch.channels, [])
      if (batch.kind === 'books') await names.make([], batch.books)
      // Known from before, unless this is the process that goes on.
      if (batch.kind === 'runs') {
        await names.make(
          batch.runs.flatMap((run) => run.items),
          batch.runs,
        )
      }
    },
    async write(session, batch) {
      if (batch.kind === 'runs') return writeRuns(session, batch.runs)
      if (batch.kind === 'lanes') await writeLanes(session, batch.lanes)
      if (batch.kind === 'books') await writeBooks(session, batch.books)
      if (batch.kind === 'entities') await session.rows(insertEntities, [jsonOf(batch.entities)])
      if (batch.kind === 'effects') await session.rows(insertEffects, [jsonOf(batch.effects)])
      if (batch.kind === 'actions') await session.rows(insertActions, [jsonOf(batch.actions)])
      if (batch.kind === 'jobs') await session.rows(insertJobs, [jsonOf(batch.jobs)])
      if (batch.kind === 'job_members') await session.rows(insertMembers, [jsonOf(batch.members)])
      if (batch.kind === 'health') await writeHealth(session, batch.health)
      return 0
    },
  }
}

/** Rows as one JSON text, whose fields are named like the columns; of what is not named, the default is taken. */
function insertText(s: string, table: string, columns: string): string {
  const named = columns.split(/\s+/).map((column) => `"${column}"`)
  return `INSERT INTO ${s}.${table} (${named.join(', ')}) SELECT ${named.map((column) => `n.${column}`).join(', ')}
    FROM json_populate_recordset(NULL::${s}.${table}, $1::json) n`
}

function jsonOf(rows: readonly object[]): string {
  return JSON.stringify(rows, (_, value: unknown) => (typeof value === 'string' ? storable(value) : value))
}

export async function countRows(session: Session, s: string): Promise<TransferCounts> {
  const tables = Object.keys(NO_ROWS) as (keyof TransferCounts)[]
  const kept = { attempts: ` + (SELECT count(success_at_ms) FROM ${s}.items)` } as Record<string, string>
  const counts = tables.map((table) => `(SELECT count(*) FROM ${s}.${table})${kept[table] ?? ''} AS ${table}`)
  const [row] = await session.once<TransferCounts>(`SELECT ${counts.join(', ')}`)
  return row ?? NO_ROWS
}
