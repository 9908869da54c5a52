/** `settle` of the port: the settlements of many calls in one statement, each fenced by its token. */
import { parseItemId } from '../../../core/ids.ts'
import type { ItemState } from '../../../core/item-state.ts'
import { isKeptWithItem } from '../../kept-success.ts'
import type { Settlement, SettleReceipt } from '../../port.ts'
import {
  type Column,
  column,
  prepare,
  type Scalar,
  type Session,
  steady,
  steadyColumn,
} from '../transactions/connection.ts'
import { LEASED, runOf } from './claimed.ts'
import { ENDS, type EndedRow, type QueuedItem, releasedIn, TAKES_ALONG } from './dependents.ts'
import type { Effects } from './effects.ts'
import type { KnownRuns } from './known-runs.ts'
import type { Lanes } from './lanes.ts'
import type { Turns } from './turns.ts'

export interface TimedSettlement {
  readonly settlement: Settlement
  readonly nowMs: number
}

export type Settle = (session: Session, settlements: readonly TimedSettlement[]) => Promise<SettleReceipt[]>

interface SettledRow extends Omit<EndedRow, 'tenant' | 'step' | 'run_id'> {
  /** Its place among those that were asked for. */
  place: number
}

/** Of all that have plainly succeeded. */
interface SucceededRow {
  /** Those that are settled, counted from 1; `null`: all. */
  places: number[] | null
  following: { ord: number; run: number; dependents: string | null; releases: boolean; entity: number | null }[] | null
}

interface Placed extends TimedSettlement {
  readonly place: number
  readonly at: NonNullable<ReturnType<typeof parseItemId>>
  /** The number of its run, where it was claimed here. */
  readonly knownRun: number | undefined
}

const LEASE_LOST: SettleReceipt = { outcome: 'lease_lost' }
const NOTHING: readonly string[] = []

export function prepareSettle(
  s: string,
  parts: {
    readonly effects: Effects
    readonly lanes: Lanes
    readonly knownRuns: KnownRuns
    readonly turns: Turns
  },
): Settle {
  const { effects, lanes, knownRuns: known, turns } = parts
  const settleAll = prepare<SettledRow>(settleText(s))
  const succeedAll = prepare<SucceededRow>(succeedText(s))

  async function settle(session: Session, entries: readonly TimedSettlement[]): Promise<SettleReceipt[]> {
    const placed = firstOfEach(entries, known)
    const rows = await write(session, placed)
    const settled = byPlace(rows)
    const done = entries.filter((_, place) => settled[place]).map((entry) => entry.settlement)
    for (const { settlement } of entries) known.forget(settlement.itemId)
    await effects.end(
      session,
      done.flatMap(({ effect, tenant, itemId: owner }) => (effect ? [{ ...effect, tenant, owner }] : [])),
    )
    await lanes.closeGates(
      session,
      done.flatMap(({ gate }) => (gate ? [gate] : [])),
    )
    const { queued, superseded } = await follow(session, byPlace(placed), rows)
    return entries.map((_, place) => {
      const row = settled[place]
      if (!row) return LEASE_LOST
      const state = superseded.has(place) ? 'superseded' : (row.state as ItemState)
      return { outcome: 'settled', state, queued: queued.get(place) ?? NOTHING }
    })
  }

  /** Both at once, in the order in which everybody takes several items (see `extendLeases`) each. */
  async function write(session: Session, placed: readonly Placed[]): Promise<SettledRow[]> {
    const plain = placed.filter(({ settlement }) => isPlainSuccess(settlement))
    const others = plain.length === placed.length ? [] : placed.filter(({ settlement }) => !isPlainSuccess(settlement))
    const [succeeded, rows] = await Promise.all([
      plain.length === 0 ? [] : session.rows(succeedAll, successColumns(plain)),
      others.length === 0 ? [] : session.rows(settleAll, settlementColumns(others)),
    ])
    return [...rows, ...succeeded.flatMap((answer) => settledOf(plain, answer))]
  }

  /** What each settlement has queued, told to the last of those that were needed, and which of them were superseded. */
  async function follow(
    session: Session,
    placed: readonly (Placed | undefined)[],
    rows: readonly SettledRow[],
  ): Promise<{ queued: ReadonlyMap<number, string[]>; superseded: ReadonlySet<number> }> {
    const queued = new Map<number, string[]>()
    const superseded = new Set<number>()
    const concerned = rows.flatMap((row) => {
      const entry = row.releases || row.takes_along || row.entity !== null ? placed[row.place] : undefined
      if (!entry) return []
      return [{ ...row, ...entry, tenant: entry.settlement.tenant, step: entry.at.step, run_id: entry.at.runId }]
    })
    // By time, as each call came with its own; nearly always there is one.
    for (const [nowMs, ended] of Map.groupBy(concerned, (row) => row.nowMs)) {
      const last = ended.toSorted((a, b) => b.place - a.place)
      const followed = await turns.follow(session, ended, nowMs)
      for (const item of followed.queued) {
        const cause = last.find((row) => isCauseOf(row, item)) ?? last[0]
        if (cause) queued.set(cause.place, [...(queued.get(cause.place) ?? []), item.itemId])
      }
      const ids = new Set(followed.superseded.map((item) => item.itemId))
      for (const row of ended) if (ids.has(row.settlement.itemId)) superseded.add(row.place)
    }
    return { queued, superseded }
  }

  return settle
}

/** Once asked for, only a success is stronger than a cancellation. */
const OVERRULED = `(i.cancel_reason IS NOT NULL AND n.next NOT IN ('succeeded', 'cancelled'))`
const STATE = `(CASE WHEN ${OVERRULED} THEN 'cancelled' ELSE n.next END)`
const unlessOverruled = (value: string): string => `CASE WHEN NOT ${OVERRULED} THEN ${value} END`

/**
 * One pass over the items: whether a lease is still held is a condition of the change itself, which waits for whoever
 * changes the same item. What the item was before is read as of the beginning of the statement, where that matters.
 */
function settleText(s: string): string {
  return `WITH settled AS (
    UPDATE ${s}.items i SET lease_until_ms = NULL, lease_from_ms = NULL, lease_worker = NULL,
      attempts = i.attempts + CASE WHEN n.counts THEN 1 ELSE 0 END,
      recorded = i.recorded + CASE WHEN n.outcome IS NULL THEN 0 ELSE 1 END,
      deferrals = i.deferrals + coalesce(n.deferral, 0),
      state = ${STATE},
      reason = CASE WHEN ${OVERRULED} THEN i.cancel_reason ELSE n.reason END,
      updated_at_ms = n.at_ms,
      ended_at_ms = CASE WHEN ${STATE} IN (${ENDS}) THEN n.at_ms END,
      due_at_ms = ${unlessOverruled('n.due_at_ms')},
      output = ${unlessOverruled('n.output')},
      external_id = ${unlessOverruled('n.external_id')},
      slow_lane_tries = coalesce(${unlessOverruled('n.slow_lane_tries')}, i.slow_lane_tries),
      memo = CASE WHEN n.memo_said THEN n.memo ELSE i.memo END,
      last_failure = coalesce(n.failure, i.last_failure),
      released = ${releasedIn(STATE)},
      fingerprint = ${unlessOverruled('n.fingerprint')},
      summary = ${unlessOverruled('n.summary')},
      hint = ${unlessOverruled('n.hint')},
      cause = ${unlessOverruled('n.cause')},
      dead_since_ms = CASE WHEN NOT ${OVERRULED} AND n.fingerprint IS NOT NULL THEN coalesce(i.dead_since_ms, n.at_ms) END
    FROM (SELECT u.*, coalesce(u.known_run, ${runOf(s, 'u')}) AS run FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[],
      $9::text[], $10::text[], $11::int[], $12::boolean[], $13::text[], $14::int[], $15::text[], $16::text[], $17::text[],
      $18::text[], $19::text[], $20::boolean[], $21::bigint[], $22::bigint[], $23::int[], $24::text[], $25::text[],
      $26::text[], $27::int[], $28::bigint[])
      u (tenant, run_id, step, token, at_ms, next, reason, due_at_ms, output, external_id, slow_lane_tries, memo_said, memo,
        deferral, fingerprint, summary, hint, cause, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key,
        note, failure, place, known_run) OFFSET 0) n
    WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant
      AND i.lease_token = n.token AND ${LEASED}
    RETURNING n.place, i.tenant, i.run, i.step, i.state, i.dependents, i.entity, i.channel, i.lease, i.recorded, n.outcome, n.counts,
      n.started_at_ms, n.ended_at_ms, n.status, n.idempotency_key, n.note, n.failure,
      CASE WHEN i.released THEN NOT (SELECT o.released FROM ${s}.items o
        WHERE o.run = i.run AND o.step = i.step AND o.tenant = i.tenant) ELSE false END AS releases,
      ${TAKES_ALONG} AS takes_along),
  history AS (
    INSERT INTO ${s}.attempts (tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, status,
      idempotency_key, note, failure)
    SELECT tenant, run, step, recorded, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key, note, failure
    FROM settled WHERE outcome IS NOT NULL),
  ${leasesReturned(s)}
  SELECT place, run, state, dependents, entity, releases, takes_along FROM settled`
}

/**
 * What happens most: a first try, or any other, that succeeds and has nothing more to tell. It ends its item, so nothing
 * overrules it; the attempt lies in the row that is written anyway. Only what is out of the ordinary is answered row by row.
 */
function succeedText(s: string): string {
  return `WITH settled AS (
    UPDATE ${s}.items i SET lease_until_ms = NULL, lease_from_ms = NULL, lease_worker = NULL, attempts = i.attempts + 1,
      recorded = i.recorded + 1, state = 'succeeded', reason = n.reason, updated_at_ms = n.at_ms, ended_at_ms = n.at_ms,
      output = n.output, external_id = n.external_id, released = ${releasedIn(`'succeeded'`)},
      fingerprint = NULL, summary = NULL, hint = NULL, cause = NULL, dead_since_ms = NULL,
      success_from_ms = n.from_ms, success_at_ms = n.to_ms, success_status = n.status, success_key = n.key
    FROM (SELECT v.*, coalesce(v.known_run, ${runOf(s, 'v')}) AS run FROM (
        SELECT u.known_run, ${steady('u.tenant', '$2::text[]')} AS tenant, u.run_id, ${steady('u.step', '$4::text[]')} AS step,
          u.token, ${steady('u.at_ms', '$6::bigint[]')} AS at_ms, u.reason, ${steady('u.output', '$8::text[]')} AS output,
          u.external_id, u.from_ms, u.to_ms, u.status, u.key, u.ord
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
          $9::text[], $10::bigint[], $11::bigint[], $12::int[], $13::text[]) WITH ORDINALITY
          u (known_run, tenant, run_id, step, token, at_ms, reason, output, external_id, from_ms, to_ms, status, key, ord)) v
      OFFSET 0) n
    WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant AND i.lease_token = n.token AND ${LEASED}
    RETURNING n.ord, i.run, i.dependents, i.entity, i.channel, i.lease,
      CASE WHEN i.released THEN NOT (SELECT o.released FROM ${s}.items o
        WHERE o.run = i.run AND o.step = i.step AND o.tenant = i.tenant) ELSE false END AS releases),
  ${leasesReturned(s)}
  SELECT CASE WHEN count(*) < cardinality($5::bigint[]) THEN coalesce(json_agg(ord), '[]') END AS places,
    json_agg(json_build_object('ord', ord, 'run', run, 'dependents', dependents, 'releases', releases, 'entity', entity))
      FILTER (WHERE releases OR entity IS NOT NULL) AS following
  FROM settled`
}

/** The places of items that are `settled` are free again. */
function leasesReturned(s: string): string {
  return `returned AS (
    UPDATE ${s}.leases l SET open = l.open - n.items, runs = CASE WHEN l.open = n.items THEN '{}' ELSE l.runs END
    FROM (SELECT channel, lease, count(*) AS items FROM settled GROUP BY channel, lease ORDER BY channel, lease) n
    WHERE l.channel = n.channel AND l.slot = n.lease)`
}

function byPlace<Row extends { readonly place: number }>(rows: readonly Row[]): (Row | undefined)[] {
  const placed: (Row | undefined)[] = []
  for (const row of rows) placed[row.place] = row
  return placed
}

/**
 * Each lease is settled once: whoever comes later with the same token has lost it. In the order in which everybody takes
 * several items (see `extendLeases`).
 */
function firstOfEach(entries: readonly TimedSettlement[], known: KnownRuns): Placed[] {
  const seen = new Set<string>()
  const placed: Placed[] = []
  let place = -1
  for (const { settlement, nowMs } of entries) {
    place += 1
    const at = parseItemId(settlement.itemId)
    if (!at || (seen.has(settlement.itemId) && placed.some((other) => isOfSameLease(other.settlement, settlement))))
      continue
    seen.add(settlement.itemId)
    placed.push({ place, at, knownRun: known.runOf(settlement.itemId), settlement, nowMs })
  }
  return placed.sort((a, b) => (a.settlement.itemId < b.settlement.itemId ? -1 : 1))
}

function isOfSameLease(one: Settlement, other: Settlement): boolean {
  return one.itemId === other.itemId && one.token === other.token
}

function isPlainSuccess({ to, attempt, memo, deferral }: Settlement): boolean {
  if (to.state !== 'succeeded' || memo !== undefined || deferral || !attempt) return false
  return isKeptWithItem(attempt)
}

function settledOf(plain: readonly Placed[], { places, following }: SucceededRow): SettledRow[] {
  const settled = places ? places.flatMap((ord) => plain[ord - 1] ?? []) : plain
  const followed = new Map(following?.map((row) => [plain[row.ord - 1]?.place, row]))
  return settled.map(({ place }) => {
    const { run = 0, dependents = null, releases = false, entity = null } = followed.get(place) ?? {}
    return { place, run, state: 'succeeded', dependents, releases, takes_along: false, entity }
  })
}

function successColumns(entries: readonly Placed[]): Column[] {
  const of = (pick: (settlement: Settlement) => Scalar | undefined) =>
    column(entries, ({ settlement }) => pick(settlement))
  return [
    column(entries, ({ knownRun }) => knownRun),
    steadyColumn(entries, ({ settlement }) => settlement.tenant),
    column(entries, ({ at, knownRun }) => (knownRun === undefined ? at.runId : null)),
    steadyColumn(entries, ({ at }) => at.step),
    of(({ token }) => token),
    steadyColumn(entries, ({ nowMs }) => nowMs),
    of(({ to }) => (to.state === 'succeeded' ? to.note : null)),
    steadyColumn(entries, ({ settlement: { to } }) => (to.state === 'succeeded' ? to.output : '')),
    of(({ to }) => (to.state === 'succeeded' ? to.externalId : null)),
    of(({ attempt }) => attempt?.startedAtMs),
    of(({ attempt }) => attempt?.endedAtMs),
    of(({ attempt }) => attempt?.status),
    of(({ attempt }) => attempt?.idempotencyKey),
  ]
}

function settlementColumns(entries: readonly Placed[]): Column[] {
  const of = (pick: (settlement: Settlement, nowMs: number) => Scalar | undefined) =>
    column(entries, (entry) => pick(entry.settlement, entry.nowMs))
  return [
    of(({ tenant }) => tenant),
    column(entries, ({ at }) => at.runId),
    column(entries, ({ at }) => at.step),
    of(({ token }) => token),
    of((_, nowMs) => nowMs),
    of(({ to }) => to.state),
    of(({ to }) => (to.state === 'succeeded' ? to.note : to.reason)),
    of(({ to }, nowMs) => (to.state === 'queued' ? nowMs : 'dueAtMs' in to ? to.dueAtMs : null)),
    of(({ to }) => (to.state === 'succeeded' ? to.output : null)),
    of(({ to }) => (to.state === 'succeeded' ? to.externalId : null)),
    of(({ to }) => (to.state === 'dead_lettered' ? to.slowLaneTries : null)),
    of(({ memo }) => (memo === undefined ? null : true)),
    of(({ memo }) => memo),
    of(({ deferral }) => (deferral ? 1 : null)),
    ...deadLetterColumns(of),
    ...attemptColumns(of),
    column(entries, ({ place }) => place),
    column(entries, ({ knownRun }) => knownRun),
  ]
}

type ColumnOf = (pick: (settlement: Settlement) => Scalar | undefined) => Column

function deadLetterColumns(of: ColumnOf): Column[] {
  const names = ['fingerprint', 'summary', 'hint', 'cause'] as const
  return names.map((name) => of(({ to }) => ('deadLetter' in to ? to.deadLetter[name] : null)))
}

function attemptColumns(of: ColumnOf): Column[] {
  return [
    of(({ attempt }) => attempt?.outcome),
    of(({ attempt }) => attempt?.counts),
    of(({ attempt }) => attempt?.startedAtMs),
    of(({ attempt }) => attempt?.endedAtMs),
    of(({ attempt }) => attempt?.status),
    of(({ attempt }) => attempt?.idempotencyKey),
    of(({ attempt }) => attempt?.note),
    of(({ attempt }) => (attempt?.failure === undefined ? null : JSON.stringify(attempt.failure))),
  ]
}

function isCauseOf(row: EndedRow, item: QueuedItem): boolean {
  if (item.entity !== undefined) return row.entity === item.entity
  return row.run === item.run && stepsOf(row).includes(item.step)
}

function stepsOf(row: EndedRow): string[] {
  return JSON.parse(row.dependents ?? '[]') as string[]
}
