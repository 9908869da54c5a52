/**
 * Claims that stand (decision 035): workers that wait leave them in a table, and a submit of one run leases its item to the first
 * that fits, within its own transaction. The worker is told of it by the notification that would else be a hint.
 */
import type { Clock } from '../../../core/clock.ts'
import type { ChannelRef, ClaimedItem, NewRun, StandingClaim, StandingLease } from '../../port.ts'
import type { Names } from '../intake/names.ts'
import { column, prepare } from '../transactions/connection.ts'
import type { Transactor } from '../transactions/transact.ts'
import { type ClaimedRow, toClaimed } from './claimed.ts'
import type { KnownRuns } from './known-runs.ts'
import { leasesOfLane } from './lanes.ts'

export interface Standing {
  leave(claim: StandingClaim, onLeased: (lease: StandingLease) => void): Promise<boolean>
  /** A message of {@link leasedText} to this process. */
  leased(message: LeasedMessage): void
}

/** What a submit tells a worker, the contents of the run with it: nothing has to be asked for. */
export interface LeasedMessage {
  readonly worker: string
  readonly run: number
  readonly nowMs: number
  readonly untilMs: number
  readonly told: ToldRun
}

/** What the submit knows before it is written. */
export interface ToldRun {
  /** Its number. */
  readonly channel: number
  readonly row: Omit<ClaimedRow, 'run'>
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
  const leaving = prepare<{ given: number }>(
    // Those of others are locked one by one, and never by somebody who waits.
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
    if (waiting.untold > 0) await told(waiting)
    if (claim.channels.length === 0 && workers.get(workerId) === waiting) workers.delete(workerId)
    return channels.length > 0
  }

  async function told(waiting: Waiting): Promise<void> {
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

  function leased({ worker, run, nowMs, untilMs, told: { channel: number, row } }: LeasedMessage): void {
    const waiting = workers.get(worker)
    const channel = names.channelOf(number)
    if (!waiting || !channel) return
    waiting.onLeased({ items: [claimedItem({ ...row, run }, channel, nowMs)], leaseUntilMs: untilMs })
    waiting.untold -= 1
    if (waiting.untold === 0) waiting.allTold()
  }

  function claimedItem(row: ClaimedRow, channel: ChannelRef, nowMs: number): ClaimedItem {
    const item = toClaimed(row, { channel, nowMs })
    knownRuns.remember(item.itemId, row.run, names.channel(channel.lane, channel.endpoint)?.lane ?? 0)
    return item
  }

  return { leave, leased }
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
export function leasedText(of: { readonly run: string; readonly now: string; readonly told: string }): string {
  return `'@' || taker.writer || ' ' || json_build_object('worker', taker.worker, 'run', ${of.run}, 'nowMs', ${of.now},
    'untilMs', taker.until_ms, 'told', ${of.told}::json)::text`
}

const LEASED_TEXT = /^@(\d+) /

/** `undefined`: it is something else. */
export function readLeased(payload = ''): { readonly writer: number; read(): LeasedMessage } | undefined {
  const [start, writer] = LEASED_TEXT.exec(payload) ?? []
  if (start === undefined) return undefined
  return { writer: Number(writer), read: () => JSON.parse(payload.slice(start.length)) as LeasedMessage }
}
