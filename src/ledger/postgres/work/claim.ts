/** `channels`, the claims, `reclaimExpired` and `extendLeases` of the port. */
import { parseItemId } from '../../../core/ids.ts'
import type {
  ChannelDue,
  ChannelRef,
  ClaimedItem,
  ClaimRequest,
  DueQuestion,
  Fence,
  ReclaimRequest,
} from '../../port.ts'
import type { Names } from '../intake/names.ts'
import { column, prepare, type Session, type SqlValue } from '../transactions/connection.ts'
import { keptIf, type Procedure, procedureOf } from '../transactions/procedures.ts'
import type { Transactor } from '../transactions/transact.ts'
import { CLAIMED_COLUMNS, CLAIMED_NAMES, CLAIMED_TYPES, type ClaimedRow, LEASED, runOf, toClaimed } from './claimed.ts'
import type { KnownRuns } from './known-runs.ts'
import { leasesOfLane } from './lanes.ts'

export interface Claims {
  channels(): Promise<ChannelDue[]>
  countDue(channels: readonly DueQuestion[], nowMs: number): Promise<number[]>
  /** What a request asks for; `undefined`: of nothing that exists. */
  plan(request: ClaimRequest): Promise<ClaimPlan | undefined>
  /**
   * Inside a transaction, where the lanes of the plan are locked: what is counted as leased then includes what others have
   * just claimed.
   */
  lease(session: Session, plan: ClaimPlan): Promise<ClaimedItem[]>
  /** The same with everything around it, as a transaction by itself: with nothing to settle, of one channel. */
  leaseAlone(plan: ClaimPlan): Promise<ClaimedItem[]>
  reclaimExpired(request: ReclaimRequest): Promise<ClaimedItem[]>
  extendLeases(fences: readonly Fence[], leaseUntilMs: number): Promise<Fence[]>
}

interface PlannedChannel extends ChannelRef {
  /** Its number. */
  readonly laneNumber: number
  readonly limit: number
  readonly laneConcurrency: number
}

export interface ClaimPlan {
  readonly nowMs: number
  /** By their numbers. */
  readonly channels: ReadonlyMap<number, PlannedChannel>
  /** Their numbers. */
  readonly lanes: readonly number[]
  readonly values: readonly SqlValue[]
}

/** "Without limit" may be infinite, which no SQL number is. */
const MOST = 1e9
/** What one claim brings of one channel. */
const LARGEST_CLAIM = 10_000
const NOWHERE = { lane: '', endpoint: '', laneNumber: 0 }
const NO_CHANNEL = [0, NOWHERE] as const
/** So that the row of a lease stays small enough to be changed in its place. */
const ITEMS_PER_LEASE = 200

const NEW_LEASE = `state = 'processing', reason = NULL, due_at_ms = NULL, lease_until_ms = $2::bigint, lease_worker = $3::text,
  lease_from_ms = $1::bigint, updated_at_ms = $1::bigint, first_attempt_at_ms = coalesce(i.first_attempt_at_ms, $1::bigint),
  lease_token = i.lease_token + 1`

export function prepareClaims(
  s: string,
  { read, write, call }: Transactor,
  { names, knownRuns }: { readonly names: Names; readonly knownRuns: KnownRuns },
): Claims {
  const selectChannels = prepare<{ lane: string; endpoint: string; due_at_ms: number }>(
    // A skip scan: one probe of the index per channel that holds claimable items, however many wait in it.
    `WITH RECURSIVE busy (channel) AS (
       (SELECT channel FROM ${s}.items WHERE due_at_ms IS NOT NULL ORDER BY channel LIMIT 1)
       UNION ALL
       SELECT (SELECT i.channel FROM ${s}.items i WHERE i.due_at_ms IS NOT NULL AND i.channel > busy.channel
               ORDER BY i.channel LIMIT 1)
       FROM busy WHERE busy.channel IS NOT NULL)
     SELECT c.lane, c.endpoint, first.due_at_ms FROM busy JOIN ${s}.channels c ON c.id = busy.channel
     CROSS JOIN LATERAL (SELECT i.due_at_ms FROM ${s}.items i
       WHERE i.due_at_ms IS NOT NULL AND i.channel = c.id ORDER BY i.due_at_ms LIMIT 1) first`,
  )
  const selectCounts = prepare<{ due: number }>(
    `SELECT (SELECT count(*) FROM (
         SELECT 1 FROM ${s}.items i
         WHERE i.channel = a.channel AND i.due_at_ms IS NOT NULL AND i.due_at_ms <= $1::bigint LIMIT a.most) found) AS due
     FROM unnest($2::int[], $3::bigint[]) WITH ORDINALITY a (channel, most, ord) ORDER BY a.ord`,
  )
  const leaseAlone = prepare<ClaimedRow>(leaseProcedure(s).call)
  const selectLeased = prepare<ClaimedRow>(
    // By the transaction that was the last to change them. What they were before is gone: they are as what was given back and is
    // claimed again.
    `SELECT ${CLAIMED_COLUMNS(s)}
     FROM ${s}.leases l CROSS JOIN LATERAL unnest(l.runs) own (run)
     JOIN ${s}.items i ON i.run = own.run AND i.channel = l.channel AND i.lease = l.slot AND ${LEASED}
     JOIN ${s}.runs r ON r.no = i.run AND r.tenant = i.tenant
     CROSS JOIN LATERAL (SELECT 'queued' AS was, i.lease_from_ms AS was_due_ms, NULL::bigint AS lost_from_ms) d
     WHERE l.channel = $3 AND l.open > 0
       AND i.xmin = (SELECT c.xmin FROM ${s}.commits c WHERE c.writer = $1 AND c.slot = $2)`,
  )
  const leaseOfOne = prepare<ClaimedRow>(leaseText(s, takenOfOne(s), CLAIMED_NAMES))
  const leaseOfSeveral = prepare<ClaimedRow>(leaseText(s, takenOfSeveral(s), `${CLAIMED_NAMES}, channel`))
  const takeOver = prepare<ClaimedRow & ChannelRef>(
    // Their places in the leases stay theirs; when those end was a lower bound, and still is.
    `WITH lost AS MATERIALIZED (
       SELECT DISTINCT l.channel, l.slot, unnest(l.runs) AS run FROM ${s}.leases l
       WHERE l.open > 0 AND l.until_ms <= $1::bigint),
     due AS (
       SELECT i.tenant, i.run, i.step, i.state AS was, i.lease_until_ms AS was_due_ms, i.lease_from_ms AS lost_from_ms,
         i.recorded, c.lane AS lane_name, c.endpoint
       FROM lost l JOIN ${s}.items i ON i.run = l.run AND i.channel = l.channel AND i.lease = l.slot
       JOIN ${s}.channels c ON c.id = i.channel
       WHERE ${LEASED} AND i.lease_until_ms <= $1::bigint
       ORDER BY i.lease_until_ms, i.run, i.step LIMIT $4 FOR UPDATE OF i SKIP LOCKED),
     crashed AS (
       INSERT INTO ${s}.attempts (tenant, run, step, number, outcome, counts, started_at_ms, ended_at_ms, note)
       SELECT tenant, run, step, recorded + 1, 'crashed', false, coalesce(lost_from_ms, $1::bigint), $1::bigint,
         'its worker did not report back before its lease ended' FROM due)
     UPDATE ${s}.items i SET ${NEW_LEASE}, crashes = i.crashes + 1, recorded = i.recorded + 1
     FROM due d JOIN ${s}.runs r ON r.no = d.run AND r.tenant = d.tenant
     WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant
     RETURNING ${CLAIMED_COLUMNS(s)}, d.lane_name AS lane, d.endpoint`,
  )
  const extend = prepare<{ id: string; step: string; token: number; channel: number; lease: number }>(
    `WITH held AS (
       SELECT i.tenant, i.run, i.step, n.run_id AS id, n.token
       FROM (SELECT u.*, ${runOf(s, 'u')} AS run
         FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) u (tenant, run_id, step, token) OFFSET 0) n
       JOIN ${s}.items i ON i.run = n.run AND i.step = n.step AND i.tenant = n.tenant
       WHERE i.lease_token = n.token AND ${LEASED}
       ORDER BY n.run_id, i.step FOR UPDATE OF i)
     UPDATE ${s}.items i SET lease_until_ms = greatest(i.lease_until_ms, $1::bigint) FROM held h
     WHERE i.run = h.run AND i.step = h.step AND i.tenant = h.tenant
     RETURNING h.id, h.step, h.token, i.channel, i.lease`,
  )
  const lookLater = prepare(
    // As long as an item is leased its slot is not used again, and the ends of leases only grow.
    `WITH ends AS (
       SELECT l.channel, l.slot, min(i.lease_until_ms) AS until_ms
       FROM (SELECT DISTINCT channel, slot FROM unnest($1::int[], $2::int[]) u (channel, slot)) n
       JOIN ${s}.leases l ON l.channel = n.channel AND l.slot = n.slot CROSS JOIN LATERAL unnest(l.runs) own (run)
       JOIN ${s}.items i ON i.run = own.run AND i.channel = l.channel AND i.lease = l.slot AND ${LEASED}
       GROUP BY l.channel, l.slot ORDER BY l.channel, l.slot)
     UPDATE ${s}.leases l SET until_ms = e.until_ms FROM ends e WHERE l.channel = e.channel AND l.slot = e.slot`,
  )

  function claimedOf<Row extends ClaimedRow>(
    rows: readonly Row[],
    nowMs: number,
    channelOf: (row: Row) => Pick<PlannedChannel, 'lane' | 'endpoint' | 'laneNumber'>,
  ): ClaimedItem[] {
    return inOrder(rows).map((row) => {
      const channel = channelOf(row)
      const item = toClaimed(row, { channel, nowMs })
      knownRuns.remember(item.itemId, row.run, channel.laneNumber)
      return item
    })
  }

  async function plan(request: ClaimRequest): Promise<ClaimPlan | undefined> {
    await names.find(request.channels)
    const asked = request.channels.flatMap((channel) => {
      const numbers = names.channel(channel.lane, channel.endpoint)
      return numbers && channel.limit > 0 ? [{ ...channel, number: numbers.channel, laneNumber: numbers.lane }] : []
    })
    if (asked.length === 0) return undefined
    return {
      nowMs: request.nowMs,
      channels: new Map(asked.map((channel) => [channel.number, channel])),
      lanes: [...new Set(asked.map((channel) => channel.laneNumber))],
      values: [
        request.nowMs,
        request.leaseUntilMs,
        request.workerId,
        column(asked, (channel) => channel.number),
        column(asked, (channel) => channel.laneNumber),
        column(asked, (channel) => Math.min(channel.limit, LARGEST_CLAIM)),
        column(asked, (channel) => Math.min(channel.laneConcurrency, MOST)),
      ],
    }
  }

  async function countDue(channels: readonly DueQuestion[], nowMs: number): Promise<number[]> {
    if (channels.length === 0) return []
    await names.find(channels)
    // Nothing has the number 0: what nobody ever submitted to has nothing due.
    const numbers = column(channels, ({ lane, endpoint }) => names.channel(lane, endpoint)?.channel ?? 0)
    const most = column(channels, ({ atMost }) => Math.min(atMost, MOST))
    const rows = await read((session) => session.rows(selectCounts, [nowMs, numbers, most]))
    return rows.map((row) => row.due)
  }

  /** One at a time, so that the oldest leases go first whoever asks. */
  async function reclaimExpired({ nowMs, leaseUntilMs, workerId, limit }: ReclaimRequest): Promise<ClaimedItem[]> {
    const rows = await write((session) => session.rows(takeOver, [nowMs, leaseUntilMs, workerId, limit]), {
      lock: `SELECT 1 FROM ${s}.turns WHERE name = 'reclaim' FOR UPDATE`,
      emptyIsNothing: true,
    })
    return claimedOf(rows, nowMs, (row) => ({ ...row, laneNumber: names.channel(row.lane, row.endpoint)?.lane ?? 0 }))
  }

  async function extendLeases(fences: readonly Fence[], leaseUntilMs: number): Promise<Fence[]> {
    const at = fences.map((fence) => parseItemId(fence.itemId))
    const rows = await write(async (session) => {
      const extended = await session.rows(extend, [
        leaseUntilMs,
        column(fences, (fence) => fence.tenant),
        column(at, (place) => place?.runId),
        column(at, (place) => place?.step),
        column(fences, (fence) => fence.token),
      ])
      await session.rows(lookLater, [column(extended, (row) => row.channel), column(extended, (row) => row.lease)])
      return extended
    })
    const kept = new Set(rows.map((row) => `${row.id}.${row.step}#${row.token}`))
    return fences.filter((fence) => !kept.has(`${fence.itemId}#${fence.token}`))
  }

  return {
    channels: async () => {
      const rows = await read((session) => session.rows(selectChannels))
      return rows.map((row) => ({ lane: row.lane, endpoint: row.endpoint, earliestDueMs: row.due_at_ms }))
    },
    countDue,
    plan,
    async lease(session, { values, nowMs, channels }) {
      const [only, ...others] = channels.values()
      const isOne = only !== undefined && others.length === 0
      const rows = await session.rows(isOne ? leaseOfOne : leaseOfSeveral, values)
      return claimedOf(rows, nowMs, isOne ? () => only : (row) => channels.get(row.channel ?? 0) ?? NOWHERE)
    },
    async leaseAlone({ values, nowMs, channels }) {
      const [[number, channel] = NO_CHANNEL] = channels
      const rows = await call(leaseAlone, values, {
        read: (answered) => answered,
        unheard: (session, { writer, slot }) => session.rows(selectLeased, [writer, slot, number]),
      })
      return claimedOf(rows, nowMs, () => channel)
    },
    reclaimExpired,
    extendLeases: async (fences, leaseUntilMs) => (fences.length === 0 ? [] : extendLeases(fences, leaseUntilMs)),
  }
}

/** A claim that nothing is settled with: most jobs that come one by one wait for just that. */
export function leaseProcedure(s: string): Procedure {
  return procedureOf(s, {
    name: 'lease',
    takes: ['bigint', 'bigint', 'text', 'int[]', 'int[]', 'bigint[]', 'bigint[]'],
    returns: CLAIMED_TYPES,
    body: `PERFORM 1 FROM ${s}.lanes WHERE id = ANY($5) ORDER BY id FOR UPDATE;
      RETURN QUERY ${leaseText(s, takenOfOne(s), CLAIMED_NAMES, keptIf(s, 'EXISTS (SELECT 1 FROM claimed)'))};`,
  })
}

/**
 * Leases what is due in the channels that are asked.
 * @param taken which of it, and the slot of each
 * @param names the columns that are answered
 * @param kept what keeps it, of a procedure
 */
function leaseText(s: string, taken: string, names: string, kept = ''): string {
  // Materialized: what is out is counted once for each lane, and not again for each row.
  return `WITH asked AS MATERIALIZED (
       SELECT a.ord, a.channel, a.lane, least(a.most, room.left) AS most, room.left AS room, room.free, room.last
       FROM unnest($4::int[], $5::int[], $6::bigint[], $7::bigint[]) WITH ORDINALITY
         a (channel, lane, most, concurrency, ord)
       JOIN ${s}.lanes l ON l.id = a.lane
       CROSS JOIN LATERAL (SELECT greatest(0, a.concurrency - coalesce(sum(out.open), 0)) AS left,
           array_agg(out.slot ORDER BY out.slot) FILTER (WHERE out.channel = a.channel AND out.open = 0) AS free,
           coalesce(max(out.slot) FILTER (WHERE out.channel = a.channel), -1) AS last
         FROM ${leasesOfLane(s, 'l.lane')} out) room
       WHERE l.suspended_at_ms IS NULL AND l.gate_until_ms <= $1::bigint),
     ${taken},
     claimed AS (
       UPDATE ${s}.items i SET ${NEW_LEASE}, lease = d.slot
       FROM taken d JOIN ${s}.runs r ON r.no = d.run AND r.tenant = d.tenant
       WHERE i.ctid = d.at
       RETURNING ${CLAIMED_COLUMNS(s)}, i.channel, i.lease),
     leases AS (
       INSERT INTO ${s}.leases (channel, slot, until_ms, open, runs)
       SELECT channel, lease, $2::bigint, count(*), array_agg(run) FROM claimed GROUP BY channel, lease
       ON CONFLICT (channel, slot) DO UPDATE SET until_ms = excluded.until_ms, open = excluded.open, runs = excluded.runs)
     ${kept && `, kept AS (${kept})`}
     SELECT ${names} FROM claimed`
}

/** Each channel that was asked, with what is due in it. */
const dueIn = (s: string): string => `asked a CROSS JOIN LATERAL (
         SELECT i.ctid AS at, i.tenant, i.run, i.step, i.state AS was, i.due_at_ms AS was_due_ms,
           i.lease_from_ms AS lost_from_ms
         FROM ${s}.items i WHERE i.channel = a.channel AND i.due_at_ms IS NOT NULL AND i.due_at_ms <= $1::bigint
         ORDER BY i.due_at_ms, i.run, i.step LIMIT a.most FOR UPDATE SKIP LOCKED) d`

/**
 * Of the item at a place of its channel: the slots that are free, the lowest first, then new ones. Whoever asks holds the lane's lock:
 * only a claim uses a slot again.
 */
function slotAt(asked: string, place: string): string {
  const lease = `((${place} - 1) / ${ITEMS_PER_LEASE} + 1)::int`
  return `coalesce(${asked}.free[${lease}], ${asked}.last + ${lease} - coalesce(cardinality(${asked}.free), 0)) AS slot`
}

/** Most claims ask one channel, which then has all the room of its lane: nothing needs to be sorted. */
function takenOfOne(s: string): string {
  return `taken AS MATERIALIZED (SELECT d.*, ${slotAt('a', 'row_number() OVER ()')} FROM ${dueIn(s)})`
}

function takenOfSeveral(s: string): string {
  return `due AS MATERIALIZED (
       SELECT d.*, a.free, a.last, a.room,
         row_number() OVER (PARTITION BY a.lane ORDER BY a.ord, d.was_due_ms, d.run, d.step) AS place,
         row_number() OVER (PARTITION BY a.ord ORDER BY d.was_due_ms, d.run, d.step) AS place_in_channel
       FROM ${dueIn(s)}),
     taken AS MATERIALIZED (SELECT d.*, ${slotAt('d', 'd.place_in_channel')} FROM due d WHERE d.place <= d.room)`
}

function inOrder<Row extends ClaimedRow>(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => a.was_due_ms - b.was_due_ms || a.run - b.run || (a.step < b.step ? -1 : 1))
}
