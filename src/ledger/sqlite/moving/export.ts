/** A store as a stream of records, in the order of acceptance: see `transfer.ts`. */
import type { ItemState } from '../../../core/item-state.ts'
import { ACTION_COLUMNS } from '../../actions.ts'
import { ARCHIVED_PREFIX } from '../../counts.ts'
import { JOB_COLUMNS, JOB_MEMBER_COLUMNS } from '../../jobs.ts'
import type {
  TransferBatch,
  TransferCounts,
  TransferredAction,
  TransferredBook,
  TransferredChannel,
  TransferredEffect,
  TransferredEntity,
  TransferredHealth,
  TransferredJob,
  TransferredJobMember,
  TransferredLane,
  TransferredRun,
} from '../../transfer.ts'
import { NO_ROWS } from '../../transfer.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import { prepareItemExport } from './export-items.ts'

/** Texts of one batch, which are all in memory. */
const BATCH_BYTES = 4_000_000

/** What comes next, and after what. */
type Place =
  | { readonly next: 'lanes' | 'books' | 'health' | 'end' }
  | { readonly next: 'actions' | 'jobs'; readonly after: string }
  | { readonly next: 'job_members'; readonly after: readonly [job: string, position: number] }
  | { readonly next: 'entities' | 'runs'; readonly after: number }
  | { readonly next: 'effects'; readonly after: readonly [tenant: string, key: string] }

type EntityRow = TransferredEntity & { readonly id: number }
type RunRow = Omit<TransferredRun, 'items'> & { readonly bytes: number }

const FIRST_EFFECT = ['', ''] as const
const FIRST_MEMBER = ['', 0] as const

type Content = DistributiveOmit<TransferBatch, 'reaches'>
type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never

interface Read {
  readonly batch: Content | undefined
  readonly next: Place
}

/** Everything, or what follows on a place that was reached. The store must be closed for work. */
export function* exportBatches(
  database: Database,
  reached: string | undefined,
  batchItems: number,
): Generator<TransferBatch> {
  const readRuns = prepareRuns(database, batchItems)
  let place: Place = reached === undefined ? { next: 'lanes' } : (JSON.parse(reached) as Place)
  while (place.next !== 'end') {
    const { batch, next } = readAt(place)
    if (batch) yield { ...batch, reaches: JSON.stringify(next) }
    place = next
  }

  function readAt(at: Place): Read {
    switch (at.next) {
      case 'lanes':
        return { batch: readLanes(database), next: { next: 'books' } }
      case 'books':
        return { batch: readBooks(database), next: { next: 'entities', after: 0 } }
      case 'entities':
        return upToEntity(readEntities(database, at.after, batchItems))
      case 'runs':
        return upTo(readRuns(at.after))
      case 'effects':
        return upToEffect(readEffects(database, at.after, batchItems))
      case 'actions':
        return upToAction(readActions(database, at.after, batchItems))
      case 'jobs':
        return upToJob(readJobs(database, at.after, batchItems))
      case 'job_members':
        return upToMember(readMembers(database, at.after, batchItems))
      default:
        return { batch: readHealth(database), next: { next: 'end' } }
    }
  }
}

function upToEntity(rows: readonly EntityRow[]): Read {
  const last = rows.at(-1)
  if (!last) return { batch: undefined, next: { next: 'runs', after: 0 } }
  const entities = rows.map(({ id: _, ...entity }) => entity)
  return { batch: { kind: 'entities', entities, records: 0 }, next: { next: 'entities', after: last.id } }
}

function upTo(runs: readonly TransferredRun[]): Read {
  const last = runs.at(-1)
  if (!last) return { batch: undefined, next: { next: 'effects', after: FIRST_EFFECT } }
  return { batch: { kind: 'runs', runs, records: runs.length }, next: { next: 'runs', after: last.no } }
}

function upToEffect(effects: readonly TransferredEffect[]): Read {
  const last = effects.at(-1)
  if (!last) return { batch: undefined, next: { next: 'actions', after: '' } }
  const next = { next: 'effects', after: [last.tenant, last.key] } as const
  return { batch: { kind: 'effects', effects, records: effects.length }, next }
}

function upToAction(actions: readonly TransferredAction[]): Read {
  const last = actions.at(-1)
  if (!last) return { batch: undefined, next: { next: 'jobs', after: '' } }
  return { batch: { kind: 'actions', actions, records: actions.length }, next: { next: 'actions', after: last.id } }
}

function upToJob(jobs: readonly TransferredJob[]): Read {
  const last = jobs.at(-1)
  if (!last) return { batch: undefined, next: { next: 'job_members', after: FIRST_MEMBER } }
  return { batch: { kind: 'jobs', jobs, records: jobs.length }, next: { next: 'jobs', after: last.id } }
}

function upToMember(members: readonly TransferredJobMember[]): Read {
  const last = members.at(-1)
  if (!last) return { batch: undefined, next: { next: 'health' } }
  const next = { next: 'job_members', after: [last.job, last.position] } as const
  return { batch: { kind: 'job_members', members, records: members.length }, next }
}

function readLanes(database: Database): Content {
  const lanes = prepare<TransferredLane>(
    database,
    'SELECT lane, gate_until_ms, gate_reason, suspended_at_ms, suspended_reason FROM lanes ORDER BY lane',
  ).all()
  const channels = prepare<TransferredChannel>(database, 'SELECT lane, endpoint FROM channels ORDER BY id').all()
  return { kind: 'lanes', lanes, channels, records: 0 }
}

function readBooks(database: Database): Content {
  const rows = prepare<{ batch: string; pipeline: string; kind: string | null; count: number }>(
    database,
    `SELECT b.batch, b.pipeline, t.kind, t.count FROM books b
     LEFT JOIN tallies t ON t.book = b.id AND t.kind LIKE '${ARCHIVED_PREFIX}%' AND t.count <> 0 ORDER BY b.id`,
  ).all()
  const books = [...Map.groupBy(rows, ({ batch, pipeline }) => JSON.stringify([batch, pipeline])).values()]
  return { kind: 'books', books: books.map(toBook), records: 0 }
}

function readEntities(database: Database, after: number, batchItems: number): EntityRow[] {
  return prepare<EntityRow>(
    database,
    `SELECT id, tenant, series, name, places, newest, newest_place, newest_item, updated_at_ms FROM entities
     WHERE id > ? ORDER BY id LIMIT ?`,
  ).all(after, batchItems)
}

function toBook(
  rows: readonly { batch: string; pipeline: string; kind: string | null; count: number }[],
): TransferredBook {
  const archived: Partial<Record<ItemState, number>> = {}
  for (const { kind, count } of rows) {
    if (kind !== null) archived[kind.slice(ARCHIVED_PREFIX.length) as ItemState] = count
  }
  return { batch: rows[0]?.batch ?? '', pipeline: rows[0]?.pipeline ?? '', archived }
}

function prepareRuns(database: Database, batchItems: number): (after: number) => TransferredRun[] {
  const readItems = prepareItemExport(database)
  const select = prepare<RunRow>(
    database,
    `SELECT r.no, r.id, f.tenant, f.pipeline, r.key, b.batch, r.item_count, r.created_at_ms,
       coalesce(r.correlation_id, r.id) AS correlation_id, coalesce(r.labels, '{}') AS labels, r.input_fingerprint, r.input,
       octet_length(r.input) + (SELECT coalesce(sum(octet_length(i.output)), 0) FROM items i
         WHERE i.no >= r.no AND i.no < r.no + r.item_count) AS bytes
     FROM runs r CROSS JOIN flows f ON f.id = r.flow CROSS JOIN books b ON b.id = r.book
     WHERE r.no > ? ORDER BY r.no`,
  )
  return (after) => {
    const rows: RunRow[] = []
    let room = { items: batchItems, bytes: BATCH_BYTES }
    for (const row of select.iterate(after)) {
      rows.push(row)
      room = { items: room.items - row.item_count, bytes: room.bytes - row.bytes }
      if (room.items <= 0 || room.bytes <= 0) break
    }
    const [first, last] = [rows[0], rows.at(-1)]
    if (!first || !last) return []
    const items = Map.groupBy(readItems(first.no, last.no + last.item_count), (item) => item.run)
    return rows.map(({ bytes: _, ...row }) => ({ ...row, items: items.get(row.no)?.map(({ item }) => item) ?? [] }))
  }
}

function readEffects(
  database: Database,
  [tenant, key]: readonly [string, string],
  batchItems: number,
): TransferredEffect[] {
  const rows = prepare<Omit<TransferredEffect, 'done'> & { done: number }>(
    database,
    `SELECT tenant, key, fingerprint, owner, done, reserved_until_ms, keep_until_ms, external_id, output FROM effects
     WHERE (tenant, key) > (?, ?) ORDER BY tenant, key`,
  ).iterate(tenant, key)
  const effects: TransferredEffect[] = []
  let bytes = 0
  for (const row of rows) {
    effects.push({ ...row, done: row.done === 1 })
    bytes += row.output?.length ?? 0
    if (effects.length >= batchItems || bytes >= BATCH_BYTES) break
  }
  return effects
}

function readActions(database: Database, after: string, batchItems: number): TransferredAction[] {
  return prepare<TransferredAction>(
    database,
    `SELECT ${ACTION_COLUMNS} FROM actions WHERE id > ? ORDER BY id LIMIT ?`,
  ).all(after, batchItems)
}

function readJobs(database: Database, after: string, batchItems: number): TransferredJob[] {
  const sql = `SELECT ${JOB_COLUMNS} FROM jobs WHERE id > ? ORDER BY id LIMIT ?`
  return prepare<TransferredJob>(database, sql).all(after, batchItems)
}

function readMembers(
  database: Database,
  [job, position]: readonly [string, number],
  batchItems: number,
): TransferredJobMember[] {
  return prepare<TransferredJobMember>(
    database,
    `SELECT ${JOB_MEMBER_COLUMNS} FROM job_members WHERE (job, position) > (?, ?) ORDER BY job, position LIMIT ?`,
  ).all(job, position, batchItems)
}

function readHealth(database: Database): Content {
  const health = prepare<TransferredHealth>(
    database,
    'SELECT key, revision, state, updated_at_ms FROM health ORDER BY revision',
  ).all()
  return { kind: 'health', health, records: 0 }
}

export function countRows(database: Database): TransferCounts {
  const row = prepare<{ -readonly [Name in keyof TransferCounts]: number }>(
    database,
    `SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM items) AS items,
       (SELECT count(*) FROM attempts) + (SELECT count(success_from_ms) FROM items) AS attempts,
       (SELECT count(*) FROM edits) AS edits, (SELECT count(*) FROM operations) AS operations,
       (SELECT count(*) FROM effects) AS effects, (SELECT count(*) FROM entities) AS entities,
       (SELECT count(*) FROM places) AS places, (SELECT count(*) FROM actions) AS actions,
       (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM job_members) AS job_members,
       (SELECT count(*) FROM health) AS health`,
  ).get()
  return row ?? NO_ROWS
}
