/** `settle` of the port: the settlements of many calls in one statement, each fenced by its token. */
import { itemId, parseItemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type { Settlement, SettleReceipt } from '../port.ts'
import { LEASED, runOf } from './claimed.ts'
import { type Column, column, prepare, type Scalar, type Session } from './connection.ts'
import { type Dependents, ENDS, type EndedRow, releasedIn, TAKES_ALONG } from './dependents.ts'
import type { Effects } from './effects.ts'
import type { Lanes } from './lanes.ts'

export interface TimedSettlement {
  readonly settlement: Settlement
  readonly nowMs: number
}

export type Settle = (session: Session, settlements: readonly TimedSettlement[]) => Promise<SettleReceipt[]>

interface SettledRow extends Omit<EndedRow, 'tenant' | 'step' | 'run_id'> {
  /** Its place among those that were asked for. */
  place: number
}

interface Placed extends TimedSettlement {
  readonly place: number
  readonly at: NonNullable<ReturnType<typeof parseItemId>>
}

const LEASE_LOST: SettleReceipt = { outcome: 'lease_lost' }
const NOTHING: readonly string[] = []

export function prepareSettle(
  s: string,
  parts: { readonly dependents: Dependents; readonly effects: Effects; readonly lanes: Lanes },
): Settle {
  const { dependents, effects, lanes } = parts
  const settleAll = prepare<SettledRow>(settleText(s))

  async function settle(session: Session, entries: readonly TimedSettlement[]): Promise<SettleReceipt[]> {
    const placed = firstOfEach(entries)
    const rows = placed.length === 0 ? [] : await session.rows(settleAll, settlementColumns(placed))
    const settled = new Map(rows.map((row) => [row.place, row]))
    const done = entries.filter((_, place) => settled.has(place)).map((entry) => entry.settlement)
    await effects.end(
      session,
      done.flatMap(({ effect, tenant, itemId: owner }) => (effect ? [{ ...effect, tenant, owner }] : [])),
    )
    await lanes.closeGates(
      session,
      done.flatMap(({ gate }) => (gate ? [gate] : [])),
    )
    const byPlace = new Map(placed.map((entry) => [entry.place, entry]))
    const queued = await queuedAfter(session, byPlace, rows)
    return entries.map((_, place) => {
      const row = settled.get(place)
      if (!row) return LEASE_LOST
      return { outcome: 'settled', state: row.state as ItemState, queued: queued.get(place) ?? NOTHING }
    })
  }

  /** What each settlement has queued; where several were needed, it is told to the last of them. */
  async function queuedAfter(
    session: Session,
    byPlace: ReadonlyMap<number, Placed>,
    rows: readonly SettledRow[],
  ): Promise<Map<number, string[]>> {
    const queued = new Map<number, string[]>()
    const concerned = rows.flatMap((row) => {
      const entry = row.releases || row.takes_along ? byPlace.get(row.place) : undefined
      if (!entry) return []
      return [{ ...row, ...entry, tenant: entry.settlement.tenant, step: entry.at.step, run_id: entry.at.runId }]
    })
    // By time, as each call came with its own; nearly always there is one.
    for (const [nowMs, ended] of Map.groupBy(concerned, (row) => row.nowMs)) {
      const last = ended.toSorted((a, b) => b.place - a.place)
      for (const item of await dependents.followUp(session, ended, nowMs)) {
        const cause = last.find((row) => row.run === item.run && stepsOf(row).includes(item.step))
        if (!cause) continue
        queued.set(cause.place, [...(queued.get(cause.place) ?? []), itemId(cause.run_id, item.step)])
      }
    }
    return queued
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
    FROM (SELECT u.*, ${runOf(s, 'u')} AS run FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[],
      $9::text[], $10::text[], $11::int[], $12::boolean[], $13::text[], $14::int[], $15::text[], $16::text[], $17::text[],
      $18::text[], $19::text[], $20::boolean[], $21::bigint[], $22::bigint[], $23::int[], $24::text[], $25::text[],
      $26::text[], $27::int[])
      u (tenant, run_id, step, token, at_ms, next, reason, due_at_ms, output, external_id, slow_lane_tries, memo_said, memo,
        deferral, fingerprint, summary, hint, cause, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key,
        note, failure, place) OFFSET 0) n
    WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant
      AND i.lease_token = n.token AND ${LEASED}
    RETURNING n.place, i.tenant, i.run, i.step, i.state, i.dependents, i.recorded, n.outcome, n.counts,
      n.started_at_ms, n.ended_at_ms, n.status, n.idempotency_key, n.note, n.failure,
      CASE WHEN i.released THEN NOT (SELECT o.released FROM ${s}.items o
        WHERE o.run = i.run AND o.step = i.step AND o.tenant = i.tenant) ELSE false END AS releases,
      ${TAKES_ALONG} AS takes_along),
  history AS (
    INSERT INTO ${s}.attempts (tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, status,
      idempotency_key, note, failure)
    SELECT tenant, run, step, recorded, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key, note, failure
    FROM settled WHERE outcome IS NOT NULL)
  SELECT place, run, state, dependents, releases, takes_along FROM settled`
}

/**
 * Each lease is settled once: whoever comes later with the same token has lost it. In the order in which everybody takes
 * several items (see `extendLeases`).
 */
function firstOfEach(entries: readonly TimedSettlement[]): Placed[] {
  const seen = new Set<string>()
  const placed: Placed[] = []
  for (const [place, { settlement, nowMs }] of entries.entries()) {
    const fence = `${settlement.itemId}#${settlement.token}`
    const at = parseItemId(settlement.itemId)
    if (!at || seen.has(fence)) continue
    seen.add(fence)
    placed.push({ place, at, settlement, nowMs })
  }
  return placed.sort((a, b) => (a.settlement.itemId < b.settlement.itemId ? -1 : 1))
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

function stepsOf(row: EndedRow): string[] {
  return JSON.parse(row.dependents ?? '[]') as string[]
}
