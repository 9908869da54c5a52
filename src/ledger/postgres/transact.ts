/**
 * Transactions that come through: what passes (a lost connection, a deadlock, a failover) is tried again until it is done
 * or `retryForMs` are over, so `work` may run more than once and changes nothing but the database.
 *
 * A connection that is cut during a commit leaves it open whether the transaction took place. Each transaction therefore
 * writes its number into `commits`, and whoever lost the answer asks there, on a new connection, by voiding that number: the
 * database lets only one of the two happen, however late the commit arrives.
 */
import type { Clock } from '../../core/clock.ts'
import { QueryFailed, type Session, sessionOf } from './connection.ts'
import type { PooledClient, PostgresPool } from './driver.ts'
import { isConnectionLost, isPassing, outcomeUnknown, storeClosed, storeError } from './errors.ts'

export interface TransactOptions {
  readonly pool: PostgresPool
  readonly clock: Clock
  /** Quoted. */
  readonly schema: string
  /** For messages. */
  readonly store: string
  /** The number of this process; see `writers` in the first migration. */
  readonly writer: number
  readonly retryForMs: number
  readonly statementTimeoutMs: number
  readonly keepPlans: boolean
  /** Never weaker than on disk, never weaker than the server is set to. */
  readonly synchronousCommit: string
  /** More settings for each transaction that writes, as SQL: what a move is known by (`moving.ts`). */
  readonly settings?: () => string
}

export interface WriteOptions {
  /**
   * How the tables are joined: by `index`, row by row, which stays right while tables grow from nothing to millions under
   * a kept plan; or by `hash`, for joining what was sent with what was just written.
   */
  readonly joins?: 'index' | 'hash'
  /** A query that takes locks; what `work` sees has been committed by whoever held them. */
  readonly lock?: string
  /** True where an empty answer means that nothing was changed: then there is nothing to commit, and no disk to wait for. */
  readonly emptyIsNothing?: boolean
}

export interface Transactor {
  /** @throws HoldfastError `store_*`. Nothing was changed then, unless its certainty says `maybe_applied`. */
  write<Result>(work: (session: Session) => Promise<Result>, options?: WriteOptions): Promise<Result>
  /** Statements that each stand alone. */
  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** One snapshot for all of `work`, and plans as for writing: for what is asked again and again. */
  probe<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** As {@link probe}, however long it takes. */
  snapshot<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** Finishes what is under way, and refuses more. Idempotent. */
  close(): Promise<void>
}

interface Slot {
  readonly index: number
  number: number
}

const FIRST_RETRY_DELAY_MS = 5
const LONGEST_RETRY_DELAY_MS = 1000
/** Slots of one process in the tallies: far above the connections that a process has. */
export const SLOTS_PER_WRITER = 64
const LOCK_TIMEOUT_MS = 5000
/** Between two statements of one transaction. */
const IDLE_TIMEOUT_MS = 10_000

/**
 * A plan is made once, perhaps while the tables are empty: it must be right for millions of rows too. Hence rows count, and
 * pages do not: a table that is small today would else be read from end to end, once for each row that is asked for. No
 * bitmaps: unlike a plain index scan they do not remember which entries are dead, of which a queue leaves very many.
 */
const PLANS = `SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off; SET LOCAL enable_seqscan = off;
  SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
  SET LOCAL random_page_cost = 0.01; SET LOCAL seq_page_cost = 0.01; SET LOCAL cpu_tuple_cost = 1`

/** The rows of the tallies that a writer adds to. */
export function tallySlot(writer: number, index: number): number {
  return writer * SLOTS_PER_WRITER + (index % SLOTS_PER_WRITER)
}

export function createTransactor(options: TransactOptions): Transactor {
  const { pool, clock, schema, store, writer, retryForMs } = options
  const freeSlots: Slot[] = []
  let slots = 0
  const underWay = new Set<Promise<unknown>>()
  let closed = false

  function preamble(slot: Slot, { joins = 'index', lock }: WriteOptions): string {
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
      `SET LOCAL statement_timeout = ${options.statementTimeoutMs}; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
      // A connection that died without a word must not keep its locks.
      `SET LOCAL idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}`,
      `SET LOCAL synchronous_commit = ${options.synchronousCommit}`,
      joins === 'index' ? PLANS : 'SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off',
      `SET LOCAL holdfast.slot = '${tallySlot(writer, slot.index)}'`,
      ...(options.settings ? [options.settings()] : []),
      `INSERT INTO ${schema}.commits AS c (writer, slot, number, at_ms)
         VALUES (${writer}, ${slot.index}, ${slot.number}, ${clock.wallMs()})
         ON CONFLICT (writer, slot) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms`,
      ...(lock === undefined ? [] : [lock]),
    ].join(';\n')
  }

  /** Once. Throws {@link QueryFailed} where nothing was changed. */
  async function attempt<Result>(work: (session: Session) => Promise<Result>, how: WriteOptions): Promise<Result> {
    const slot = freeSlots.pop() ?? { index: slots++, number: 0 }
    slot.number += 1
    try {
      return await onConnection((session) => transaction(session, preamble(slot, how), work, how.emptyIsNothing))
    } catch (error) {
      if (!(error instanceof CommitUnanswered)) throw error
      if (await tookPlace(slot, error.cause)) return error.result as Result
      throw error.cause
    } finally {
      freeSlots.push(slot)
    }
  }

  /** After a lost answer: whether the transaction was committed. If not, it never will be. */
  async function tookPlace(slot: Slot, cause: unknown): Promise<boolean> {
    const voiding = `INSERT INTO ${schema}.commits AS c (writer, slot, number, voided, at_ms)
      VALUES (${writer}, ${slot.index}, ${slot.number + 1}, ${slot.number}, ${clock.wallMs()})
      ON CONFLICT (writer, slot) DO UPDATE SET number = excluded.number, voided = excluded.voided
        WHERE c.number < ${slot.number} OR c.voided = ${slot.number} RETURNING 1`
    const number = slot.number
    slot.number += 1
    const sinceMs = clock.monotonicMs()
    try {
      const voided = await persistently(() => onConnection((session) => session.once(voiding)), sinceMs)
      return voided.length === 0
    } catch (error) {
      throw outcomeUnknown(store, clock.monotonicMs() - sinceMs, { error, cause, number })
    }
  }

  async function onConnection<Result>(work: (session: Session) => Promise<Result>, isPatient = false): Promise<Result> {
    const client = await connect()
    let usable = false
    try {
      const result = await work(sessionOf(client, { keepPlans: options.keepPlans, isPatient }))
      usable = true
      return result
    } catch (error) {
      const trouble = error instanceof CommitUnanswered ? error.cause : error
      usable = !isConnectionLost(trouble) && (await rolledBack(client))
      throw error
    } finally {
      // One that is thrown away may still hear why it was lost.
      if (usable) client.removeListener('error', ignore)
      client.release(!usable)
    }
  }

  async function reading<Result>(
    work: (session: Session) => Promise<Result>,
    statementTimeoutMs: number,
  ): Promise<Result> {
    const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${statementTimeoutMs};
      ${PLANS}`
    try {
      return await onConnection((session) => transaction(session, begin, work), statementTimeoutMs === 0)
    } catch (error) {
      throw error instanceof CommitUnanswered ? error.cause : error
    }
  }

  async function connect(): Promise<PooledClient> {
    try {
      const client = await pool.connect()
      // A connection that breaks says so twice: to the query, which tells us, and as an event, which must be heard.
      client.on('error', ignore)
      return client
    } catch (cause) {
      throw new QueryFailed(cause)
    }
  }

  async function persistently<Result>(work: () => Promise<Result>, sinceMs = clock.monotonicMs()): Promise<Result> {
    for (let delayMs = FIRST_RETRY_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_RETRY_DELAY_MS)) {
      try {
        return await work()
      } catch (error) {
        if (!isPassing(error) || clock.monotonicMs() - sinceMs >= retryForMs) throw error
      }
      await clock.sleep(delayMs)
    }
  }

  async function tracked<Result>(work: () => Promise<Result>): Promise<Result> {
    if (closed) throw storeClosed(store)
    const working = persistently(work)
    underWay.add(working)
    try {
      return await working
    } catch (error) {
      throw storeError(error, store)
    } finally {
      underWay.delete(working)
    }
  }

  return {
    write: (work, how = {}) => tracked(() => attempt(work, how)),
    read: (work) => tracked(() => onConnection(work)),
    probe: (work) => tracked(() => reading(work, options.statementTimeoutMs)),
    snapshot: (work) => tracked(() => reading(work, 0)),
    async close() {
      closed = true
      await Promise.allSettled(underWay)
    },
  }
}

/** There was no answer to the COMMIT: it is not known whether it took place. */
class CommitUnanswered extends Error {
  override readonly cause: QueryFailed
  readonly result: unknown

  constructor(result: unknown, cause: QueryFailed) {
    super(cause.message)
    this.result = result
    this.cause = cause
  }
}

async function transaction<Result>(
  session: Session,
  begin: string,
  work: (session: Session) => Promise<Result>,
  emptyIsNothing = false,
): Promise<Result> {
  // Not awaited before the first statement of `work` is sent: one round trip less.
  const [begun, worked] = await Promise.allSettled([session.run(begin), work(session)])
  if (begun.status === 'rejected') throw begun.reason
  if (worked.status === 'rejected') throw worked.reason
  const result = worked.value
  if (emptyIsNothing && Array.isArray(result) && result.length === 0) {
    await session.run('ROLLBACK')
    return result
  }
  try {
    const did = await session.run('COMMIT')
    // So PostgreSQL answers the COMMIT of a transaction of which a statement had failed.
    if (did !== 'COMMIT') throw new Error(`a transaction ended with ${did}`)
    return result
  } catch (error) {
    throw error instanceof QueryFailed ? new CommitUnanswered(result, error) : error
  }
}

async function rolledBack(client: PooledClient): Promise<boolean> {
  try {
    await client.query({ text: 'ROLLBACK' })
    return true
  } catch {
    // Then it is not used again, and its end is the roll-back.
    return false
  }
}

function ignore(): void {}
