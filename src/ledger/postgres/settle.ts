/** `settle` of the port: the settlements of many calls in one statement, each fenced by its token. */
import { itemId, parseItemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type { Settlement, SettleReceipt } from '../port.ts'
import { column, prepare, type Scalar, type Session } from './connection.ts'
import { type Dependents, ENDS, type EndedRow, FOLLOW_UP_COLUMNS, releasedIn } from './dependents.ts'
import type { Effects } from './effects.ts'
import type { Lanes } from './lanes.ts'

export interface TimedSettlement {
  readonly settlement: Settlement
  readonly nowMs: number
}

export type Settle = (session: Session, settlements: readonly TimedSettlement[]) => Promise<SettleReceipt[]>

interface SettledRow extends EndedRow {
  ord: number
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
    const rows = await session.rows(settleAll, settlementColumns(firstOfEach(entries)))
    const settled = new Map(rows.map((row) => [row.ord - 1, row]))
    const done = entries.filter((_, index) => settled.has(index)).map((entry) => entry.settlement)
    await effects.end(
      session,
      done.flatMap(({ effect, tenant, itemId: owner }) => (effect ? [{ ...effect, tenant, owner }] : [])),
    )
    await lanes.closeGates(
      session,
      done.flatMap(({ gate }) => (gate ? [gate] : [])),
    )
    const queued = await queuedAfter(session, entries, rows)
    return entries.map((_, index) => {
      const row = settled.get(index)
      if (!row) return LEASE_LOST
      return { outcome: 'settled', state: row.state as ItemState, queued: queued.get(row.ord - 1) ?? NOTHING }
    })
  }

  /** What each settlement has queued; where several were needed, it is told to the last of them. */
  async function queuedAfter(
    session: Session,
    entries: readonly TimedSettlement[],
    rows: readonly SettledRow[],
  ): Promise<Map<number, string[]>> {
    const queued = new Map<number, string[]>()
    const concerned = rows.filter((row) => row.releases || row.takes_along)
    // By time, as each call came with its own; nearly always there is one.
    for (const [nowMs, ended] of Map.groupBy(concerned, (row) => entries[row.ord - 1]?.nowMs ?? 0)) {
      const last = ended.toSorted((a, b) => b.ord - a.ord)
      for (const item of await dependents.followUp(session, ended, nowMs)) {
        const cause = last.find((row) => row.run === item.run && stepsOf(row).includes(item.step))
        const index = (cause?.ord ?? 1) - 1
        queued.set(index, [...(queued.get(index) ?? []), itemId(cause?.run_id ?? '', item.step)])
      }
    }
    return queued
  }

  return settle
}

function settleText(s: string): string {
  return `WITH held AS (
    SELECT n.*, i.run, i.released AS was_released, i.cancel_reason,
      CASE WHEN i.cancel_reason IS NULL OR n.next IN ('succeeded', 'cancelled') THEN n.next ELSE 'cancelled' END AS state,
      i.cancel_reason IS NOT NULL AND n.next NOT IN ('succeeded', 'cancelled') AS overruled, i.recorded + 1 AS number
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[],
      $9::text[], $10::text[], $11::int[], $12::boolean[], $13::text[], $14::int[], $15::text[], $16::text[], $17::text[],
      $18::text[], $19::text[], $20::boolean[], $21::bigint[], $22::bigint[], $23::int[], $24::text[], $25::text[],
      $26::text[]) WITH ORDINALITY
      n (tenant, run_id, step, token, at_ms, next, reason, due_at_ms, output, external_id, slow_lane_tries, memo_said, memo,
        deferral, fingerprint, summary, hint, cause, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key,
        note, failure, ord)
    JOIN ${s}.runs r ON r.id = n.run_id AND r.tenant = n.tenant
    JOIN ${s}.items i ON i.run = r.no AND i.step = n.step AND i.tenant = n.tenant
    WHERE i.lease_token = n.token AND i.lease_until_ms IS NOT NULL
    ORDER BY i.run, i.step FOR UPDATE OF i),
  history AS (
    INSERT INTO ${s}.attempts (tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, status,
      idempotency_key, note, failure)
    SELECT tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, status, idempotency_key, note, failure
    FROM held WHERE outcome IS NOT NULL)
  UPDATE ${s}.items i SET lease_until_ms = NULL, lease_from_ms = NULL, lease_worker = NULL,
    attempts = i.attempts + CASE WHEN d.counts THEN 1 ELSE 0 END,
    recorded = i.recorded + CASE WHEN d.outcome IS NULL THEN 0 ELSE 1 END,
    deferrals = i.deferrals + coalesce(d.deferral, 0),
    state = d.state,
    reason = CASE WHEN d.overruled THEN d.cancel_reason ELSE d.reason END,
    updated_at_ms = d.at_ms,
    ended_at_ms = CASE WHEN d.state IN (${ENDS}) THEN d.at_ms END,
    due_at_ms = CASE WHEN NOT d.overruled THEN d.due_at_ms END,
    output = CASE WHEN NOT d.overruled THEN d.output END,
    external_id = CASE WHEN NOT d.overruled THEN d.external_id END,
    slow_lane_tries = CASE WHEN d.overruled THEN i.slow_lane_tries ELSE coalesce(d.slow_lane_tries, i.slow_lane_tries) END,
    memo = CASE WHEN d.memo_said THEN d.memo ELSE i.memo END,
    last_failure = coalesce(d.failure, i.last_failure),
    released = ${releasedIn('d.state')},
    fingerprint = CASE WHEN NOT d.overruled THEN d.fingerprint END,
    summary = CASE WHEN NOT d.overruled THEN d.summary END,
    hint = CASE WHEN NOT d.overruled THEN d.hint END,
    cause = CASE WHEN NOT d.overruled THEN d.cause END,
    dead_since_ms = CASE WHEN NOT d.overruled AND d.fingerprint IS NOT NULL THEN coalesce(i.dead_since_ms, d.at_ms) END
  FROM held d WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant
  RETURNING d.ord, ${FOLLOW_UP_COLUMNS}`
}

/** Each lease is settled once: whoever comes later with the same token has lost it. The places of all are kept. */
function firstOfEach(entries: readonly TimedSettlement[]): (TimedSettlement | undefined)[] {
  const seen = new Set<string>()
  return entries.map((entry) => {
    const fence = `${entry.settlement.itemId}#${entry.settlement.token}`
    if (seen.has(fence)) return undefined
    seen.add(fence)
    return entry
  })
}

function settlementColumns(entries: readonly (TimedSettlement | undefined)[]): (readonly Scalar[] | null)[] {
  const at = entries.map((entry) => entry && parseItemId(entry.settlement.itemId))
  const of = (pick: (settlement: Settlement, nowMs: number) => Scalar | undefined) =>
    column(entries, (entry) => entry && pick(entry.settlement, entry.nowMs))
  return [
    of(({ tenant }) => tenant) ?? [],
    column(at, (place) => place?.runId),
    column(at, (place) => place?.step),
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
  ]
}

type Column = (pick: (settlement: Settlement) => Scalar | undefined) => readonly Scalar[] | null

function deadLetterColumns(of: Column): (readonly Scalar[] | null)[] {
  const names = ['fingerprint', 'summary', 'hint', 'cause'] as const
  return names.map((name) => of(({ to }) => ('deadLetter' in to ? to.deadLetter[name] : null)))
}

function attemptColumns(of: Column): (readonly Scalar[] | null)[] {
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
