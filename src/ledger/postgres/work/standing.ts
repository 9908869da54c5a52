/**
 * Claims that stand (decision 035): workers that wait leave them in a table, and a submit of one run leases its item to the first
 * that fits, within its own transaction. Its process is told the number of the run, and reads the rest: whoever may connect to the
 * database may listen, and notify, so that what is notified holds no contents, and is not believed.
 */
import type { Clock } from '../../../core/clock.ts'
import type { ChannelRef, ClaimedItem, NewRun, StandingClaim, StandingLease } from '../../port.ts'
import type { Names } from '../intake/names.ts'
import { column, prepare } from '../transactions/connection.ts'
import { NO_MARK, type Procedure, procedureOf } from '../transactions/procedures.ts'
import type { Transactor } from '../transactions/transact.ts'
import { CLAIMED_COLUMNS, CLAIMED_TYPES, type ClaimedRow, LEASED, toClaimed } from './claimed.ts'
import type { KnownRuns } from './known-runs.ts'
import { leasesOfLane } from './lanes.ts'

export interface Standing {
  leave(claim: StandingClaim, onLeased: (lease: StandingLease) => void): Promise<boolean>
  /** This process was notified, perhaps not by Holdfast, that the first item of a run was leased to a worker of it. Never rejects. */
  leased(run: number): Promise<void>
}

interface LeasedRow extends ClaimedRow {
  channel: number
  worker: string
  until_ms: number
}

export interface StandingParts {
  /** Quoted. */
  readonly schema: string
  readonly clock: Clock
  readonly transactor: Pick<Transactor, 'read'>
  readonly names: Names
  readonly knownRuns: KnownRuns
  readonly writer: number
  /** The number of the session in which this process listens; `undefined`: it does not. */
  readonly listener: () => number | undefined
  readonly expectation: Expectation
}

interface Waiting {
  onLeased: (lease: StandingLease) => void
  /** Items that were leased to it, as far as the store has said, and that it was not told of yet; below 0: it was told before. */
  untold: number
  allTold: () => void
}

const TOLD_WITHIN_MS = 1000
/** Of workers that were lost. */
const FORGOTTEN_AFTER_MS = 3_600_000

/** What the session of a process that listens has locked, so that nothing is leased to one that would not hear of it. */
export const listenerLock = (s: string, session: string): string => `hashtext('holdfast listens ${s}'), ${session}`

export function createStanding(parts: StandingParts): Standing {
  const { schema: s, clock, transactor, names, knownRuns, writer } = parts
  const reading = prepare<LeasedRow>(leasedProcedure(s).call)
  const leaving = prepare<{ given: number }>(
    // No deadlock: a submit locks one of these rows at most, and passes over what is locked.
    `WITH before AS MATERIALIZED (
       SELECT channel, given FROM ${s}.standing_claims WHERE worker = $1 ORDER BY channel FOR UPDATE),
     gone AS (
       DELETE FROM ${s}.standing_claims c USING before b
       WHERE c.worker = $1 AND c.channel = b.channel AND (c.channel = ANY($5::int[])) IS NOT TRUE),
     here AS (
       INSERT INTO ${s}.standing_claims AS c (channel, worker, writer, listener, room, given, lane_concurrency, lease_ms, until_ms)
       SELECT n.channel, $1, $2::bigint, $8::int, n.room, 0, n.concurrency, $3::bigint, $4::bigint
       FROM unnest($5::int[], $6::int[], $7::bigint[]) n (channel, room, concurrency) ORDER BY n.channel
       ON CONFLICT (channel, worker) DO UPDATE SET listener = excluded.listener, room = excluded.room, given = 0,
         lane_concurrency = excluded.lane_concurrency, lease_ms = excluded.lease_ms, until_ms = excluded.until_ms),
     forgotten AS (DELETE FROM ${s}.standing_claims WHERE worker <> $1 AND until_ms < $4::bigint - ${FORGOTTEN_AFTER_MS})
     SELECT coalesce(sum(given), 0)::int AS given FROM before`,
  )
  const workers = new Map<string, Waiting>()
  const told = createLately()

  async function leave(claim: StandingClaim, onLeased: (lease: StandingLease) => void): Promise<boolean> {
    const { workerId, leaseMs, untilMs } = claim
    const waiting = workers.get(workerId) ?? { onLeased, untold: 0, allTold: () => undefined }
    waiting.onLeased = onLeased
    workers.set(workerId, waiting)
    await names.find(claim.channels)
    const listener = parts.listener()
    const channels = (listener === undefined ? [] : claim.channels).flatMap((channel) => {
      const numbers = names.channel(channel.lane, channel.endpoint)
      return numbers && channel.limit > 0 ? [{ ...channel, number: numbers.channel }] : []
    })
    const [row] = await transactor.read((session) =>
      session.rows(leaving, [
        workerId,
        writer,
        leaseMs,
        untilMs,
        column(channels, ({ number }) => number),
        column(channels, ({ limit }) => Math.min(limit, MOST_ROOM)),
        column(channels, ({ laneConcurrency }) => Math.min(laneConcurrency, MOST_CONCURRENCY)),
        listener ?? null,
      ]),
    )
    if (channels.length > 0) parts.expectation.somebody()
    waiting.untold += row?.given ?? 0
    if (waiting.untold > 0) await allTold(waiting)
    if (claim.channels.length === 0 && workers.get(workerId) === waiting) workers.delete(workerId)
    return channels.length > 0
  }

  async function allTold(waiting: Waiting): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.allTold = resolve
    const limit = clock.setTimer(TOLD_WITHIN_MS, () => {
      // Lost with a connection: their leases will end.
      waiting.untold = 0
      resolve()
    })
    await promise
    limit.cancel()
  }

  async function leased(run: number): Promise<void> {
    // Once: an item that is told of again may just have been done.
    if (!Number.isSafeInteger(run) || told.has(run)) return
    let row: LeasedRow | undefined
    try {
      ;[row] = await transactor.read((session) => session.rows(reading, [run, [...workers.keys()], ...NO_MARK]))
    } catch {
      // A store in trouble is told of by whoever claims; the lease will end.
      return
    }
    if (!row || told.has(run)) return
    const waiting = workers.get(row.worker)
    const channel = names.channelOf(row.channel)
    if (!waiting || !channel) return
    told.add(run)
    waiting.onLeased({ items: [claimedItem(row, channel)], leaseUntilMs: row.until_ms })
    waiting.untold -= 1
    if (waiting.untold === 0) waiting.allTold()
  }

  function claimedItem(row: LeasedRow, channel: ChannelRef): ClaimedItem {
    // It was due, and leased, when it was submitted.
    const item = toClaimed(row, { channel, nowMs: row.was_due_ms })
    knownRuns.remember(item.itemId, row.run, names.channel(channel.lane, channel.endpoint)?.lane ?? 0)
    return item
  }

  return { leave, leased }
}

/** Numbers of runs: the last some thousands of them. */
function createLately() {
  let [before, now] = [new Set<number>(), new Set<number>()]
  return {
    has: (run: number): boolean => now.has(run) || before.has(run),
    add(run: number): void {
      now.add(run)
      if (now.size >= MOST_TOLD) [before, now] = [now, new Set()]
    },
  }
}

const MOST_TOLD = 5000

/** Reads what was leased by a submit, unless it was settled, or lost. */
export function leasedProcedure(s: string): Procedure {
  return procedureOf(s, {
    name: 'leased',
    takes: ['bigint', 'text[]'],
    returns: `${CLAIMED_TYPES}, channel int, worker text, until_ms bigint`,
    body: `RETURN QUERY SELECT ${CLAIMED_COLUMNS(s)}, i.channel, i.lease_worker, i.lease_until_ms
      FROM ${s}.items i JOIN ${s}.runs r ON r.no = i.run AND r.tenant = i.tenant
      CROSS JOIN LATERAL (SELECT 'queued' AS was, i.lease_from_ms AS was_due_ms, NULL::bigint AS lost_from_ms) d
      WHERE i.run = $1 AND ${LEASED} AND i.lease_token = 1 AND i.lease_worker = ANY($2);`,
  })
}

/** Whether somebody may wait for a run: where nobody did, it costs others a notification that comes later, so it is tried rarely. */
export interface Expectation {
  mayBe(run: NewRun): boolean
  nobody(run: NewRun): void
  /** Somebody waits since just now. */
  somebody(): void
}

export function createExpectation(clock: Clock): Expectation {
  const notBeforeMs = new Map<string, number>()
  const placeOf = ({ items }: NewRun): string => items.map(({ lane, endpoint }) => `${lane} ${endpoint}`).join(' ')
  return {
    mayBe: (run) => clock.monotonicMs() >= (notBeforeMs.get(placeOf(run)) ?? 0),
    nobody(run) {
      if (notBeforeMs.size > MOST_PLACES) notBeforeMs.clear()
      notBeforeMs.set(placeOf(run), clock.monotonicMs() + LOOKED_FOR_AGAIN_AFTER_MS)
    },
    somebody: () => notBeforeMs.clear(),
  }
}

const MOST_PLACES = 10_000
const LOOKED_FOR_AGAIN_AFTER_MS = 500

/** Not more than a worker could want, and what the columns hold. */
const MOST_ROOM = 10_000
const MOST_CONCURRENCY = 1e9

/**
 * Statements of PL/pgSQL that look for whoever waits for what is being submitted, and for its place among the leases. Nothing of it
 * waits: a lane that somebody else is claiming from has no time for this.
 * @param of SQL for the channel, its lane and the present, all as numbers
 */
export function findTaker(
  s: string,
  of: { readonly channel: string; readonly lane: string; readonly now: string },
): string {
  const { channel, lane, now } = of
  return `
      SELECT c.worker, c.writer, c.lane_concurrency, ${now} + c.lease_ms AS until_ms, NULL::int AS slot INTO taker
        FROM ${s}.standing_claims c
        WHERE c.channel = ${channel} AND c.room > 0 AND c.until_ms > ${now}
          AND NOT pg_try_advisory_xact_lock_shared(${listenerLock(s, 'c.listener')})
        ORDER BY c.room DESC LIMIT 1 FOR UPDATE SKIP LOCKED;
      IF FOUND THEN
        PERFORM 1 FROM ${s}.lanes WHERE id = ${lane} AND suspended_at_ms IS NULL AND gate_until_ms <= ${now} FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
          SELECT CASE WHEN coalesce(sum(out.open), 0) < taker.lane_concurrency THEN
              coalesce(min(out.slot) FILTER (WHERE out.channel = ${channel} AND out.open = 0),
                max(out.slot) FILTER (WHERE out.channel = ${channel}) + 1, 0) END INTO taker.slot
            FROM ${s}.lanes l CROSS JOIN LATERAL ${leasesOfLane(s, 'l.lane')} out WHERE l.id = ${lane};
        END IF;
      END IF;`
}

/** The variables of {@link findTaker}. */
export const TAKER = 'taker record;'

/** SQL of the notification to the process of a taker. Processes of older versions hear that something is due. */
export const leasedText = (run: string): string => `'@' || taker.writer || ' ' || ${run}`

const LEASED_TEXT = /^@(\d+) (\d+)$/

/** `undefined`: it is something else. */
export function readLeased(payload = ''): { readonly writer: number; readonly run: number } | undefined {
  const [, writer, run] = LEASED_TEXT.exec(payload) ?? []
  return run === undefined ? undefined : { writer: Number(writer), run: Number(run) }
}
