/**
 * Transactions that come through: what passes (a lost connection, a deadlock, a failover) is tried again until it is done
 * or `retryForMs` are over, so `work` may run more than once and changes nothing but the database.
 *
 * A connection that is cut during a commit leaves it open whether the transaction took place. Each transaction therefore
 * writes its number into `commits`, and whoever lost the answer asks there, on a new connection, by voiding that number: the
 * database lets only one of the two happen, however late the commit arrives.
 */
import type { Clock } from '../../../core/clock.ts'
import { prepare, QueryFailed, type Session, type SqlValue, type Statement, sessionOf } from './connection.ts'
import type { PooledClient, PostgresPool } from './driver.ts'
import { isConnectionLost, isPassing, outcomeUnknown, storeClosed, storeError } from './errors.ts'
import { CommitUnanswered, calling, type Linger, transaction } from './transaction.ts'

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

export interface WriteOptions<Result = unknown> {
  /**
   * How the tables are joined: by `index`, row by row, which stays right while tables grow from nothing to millions under
   * a kept plan; or by `hash`, for joining what was sent with what was just written.
   */
  readonly joins?: 'index' | 'hash'
  /** A query that takes locks; what `work` sees has been committed by whoever held them. */
  readonly lock?: string
  /** True where an empty answer means that nothing was changed: then there is nothing to commit, and no disk to wait for. */
  readonly emptyIsNothing?: boolean
  /**
   * What `work` answers unless one of its statements fails: then the COMMIT needs no answer to wait for and is sent along, in
   * the same round trip. All of the statements of `work` must be sent before anything is awaited.
   */
  readonly foreseen?: Result
  /** Commands for behind the COMMIT, outside of the transaction: sent along with it. They may fail, and are not waited for. */
  readonly behind?: (result: Result) => string | undefined
}

/** Where a transaction has left its number: the row of `commits` that it was the last to change. */
export interface TransactionMark {
  readonly writer: number
  readonly slot: number
}

export interface CallOptions<Row, Result> {
  readonly read: (rows: readonly Row[]) => Result
  /** Where it took place and its answer was lost: what that was, by what it left in the store. */
  readonly unheard: (session: Session, mark: TransactionMark) => Result | Promise<Result>
  /** As in {@link WriteOptions}. */
  readonly behind?: () => string | undefined
}

export interface Transactor {
  /**
   * A call of a procedure (`procedures.ts`), which is a transaction by itself: one statement, one round trip.
   * @throws HoldfastError as {@link write}
   */
  call<Row, Result>(
    procedure: Statement<Row>,
    values: readonly SqlValue[],
    options: CallOptions<Row, Result>,
  ): Promise<Result>
  /** @throws HoldfastError `store_*`. Nothing was changed then, unless its certainty says `maybe_applied`. */
  write<Result>(work: (session: Session) => Promise<Result>, options?: WriteOptions<Result>): Promise<Result>
  /** Statements that each stand alone. */
  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** One snapshot for all of `work`, and plans as for writing: for what is asked again and again. */
  probe<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** As {@link probe}, however long it takes. */
  snapshot<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  /** Finishes what is under way, and refuses more. Idempotent. */
  close(): Promise<void>
}

type Begin = Pick<WriteOptions, 'joins' | 'lock'>

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
export const PLANS = {
  plan_cache_mode: 'force_generic_plan',
  jit: 'off',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  random_page_cost: '0.01',
  seq_page_cost: '0.01',
  cpu_tuple_cost: '1',
} as const
const HASH_PLANS = { enable_nestloop: 'off', enable_mergejoin: 'off' } as const

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
  // A call cannot set a limit for itself that is counted from its beginning.
  const lockTimeout = String(Math.min(LOCK_TIMEOUT_MS, options.statementTimeoutMs))

  const safety = {
    statement_timeout: String(options.statementTimeoutMs),
    lock_timeout: String(LOCK_TIMEOUT_MS),
    // A connection that died without a word must not keep its locks.
    idle_in_transaction_session_timeout: String(IDLE_TIMEOUT_MS),
    synchronous_commit: options.synchronousCommit,
  }
  const marking = `INSERT INTO ${schema}.commits AS c (writer, slot, number, at_ms) VALUES ($2, $3, $4, $5)
    ON CONFLICT (writer, slot) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms`
  const open = {
    index: settingStatement({ ...safety, ...PLANS }, { given: 'holdfast.slot', along: marking }),
    hash: settingStatement({ ...safety, ...HASH_PLANS }, { given: 'holdfast.slot', along: marking }),
  }
  const configureProbe = settingStatement({ ...PLANS, statement_timeout: String(options.statementTimeoutMs) })
  const configureSnapshot = settingStatement({ ...PLANS, statement_timeout: '0' })

  /** Sends it all; what is awaited is that all of it was well. */
  function begin(session: Session, slot: Slot, { joins = 'index', lock }: Begin): Promise<unknown> {
    const more = options.settings?.()
    return Promise.all([
      session.run(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE${more ? `; ${more}` : ''}`),
      session.rows(open[joins], [
        String(tallySlot(writer, slot.index)),
        writer,
        slot.index,
        slot.number,
        clock.wallMs(),
      ]),
      lock === undefined ? undefined : session.run(lock),
    ])
  }

  /** Once. Throws {@link QueryFailed} where nothing was changed. */
  async function attempt<Result>(
    work: (session: Session, slot: Slot, linger: Linger) => Promise<Result>,
    unheard?: CallOptions<never, Result>['unheard'],
  ): Promise<Result> {
    const slot = freeSlots.pop() ?? { index: slots++, number: 0 }
    slot.number += 1
    try {
      return await onConnection((session, linger) => work(session, slot, linger))
    } catch (error) {
      if (!(error instanceof CommitUnanswered)) throw error
      if (!(await tookPlace(slot, error.cause))) throw error.cause
      if (error.heard || !unheard) return error.heard?.result as Result
      return await asked(async (session) => unheard(session, { writer, slot: slot.index }), error.cause)
    } finally {
      freeSlots.push(slot)
    }
  }

  function writing<Result>(
    work: (session: Session) => Promise<Result>,
    how: WriteOptions<Result> = {},
  ): Promise<Result> {
    return attempt((session, slot, linger) =>
      transaction(session, (of) => begin(of, slot, how), work, { ...how, linger }),
    )
  }

  function called<Row, Result>(
    procedure: Statement<Row>,
    given: readonly SqlValue[],
    { unheard, ...how }: CallOptions<Row, Result>,
  ): Promise<Result> {
    return attempt((session, { index, number }, linger) => {
      const mark = JSON.stringify([writer, index, number, clock.wallMs()])
      const values = [...given, mark, String(tallySlot(writer, index)), lockTimeout, options.synchronousCommit]
      return calling(session, { procedure, values }, { ...how, linger })
    }, unheard)
  }

  /** After a lost answer: whether the transaction was committed. If not, it never will be. */
  async function tookPlace(slot: Slot, cause: unknown): Promise<boolean> {
    const voiding = `INSERT INTO ${schema}.commits AS c (writer, slot, number, voided, at_ms)
      VALUES (${writer}, ${slot.index}, ${slot.number + 1}, ${slot.number}, ${clock.wallMs()})
      ON CONFLICT (writer, slot) DO UPDATE SET number = excluded.number, voided = excluded.voided
        WHERE c.number < ${slot.number} OR c.voided = ${slot.number} RETURNING 1`
    slot.number += 1
    return (await asked((session) => session.once(voiding), cause)).length === 0
  }

  /** After a lost answer, until somebody answers. */
  async function asked<Answer>(question: (session: Session) => Promise<Answer>, cause: unknown): Promise<Answer> {
    const sinceMs = clock.monotonicMs()
    try {
      return await persistently(() => onConnection(question), sinceMs)
    } catch (error) {
      throw outcomeUnknown(store, clock.monotonicMs() - sinceMs, { error, cause })
    }
  }

  /** `linger` keeps the connection for what is still under way on it when `work` has its result. */
  async function onConnection<Result>(
    work: (session: Session, linger: Linger) => Promise<Result>,
    isPatient = false,
  ): Promise<Result> {
    const client = await connect()
    let usable = false
    let lingering: Promise<unknown> | undefined
    const giveBack = (): void => {
      // One that is thrown away may still hear why it was lost.
      if (usable) client.removeListener('error', ignore)
      client.release(!usable)
    }
    try {
      const session = sessionOf(client, { keepPlans: options.keepPlans, isPatient })
      const result = await work(session, (until) => {
        lingering = until
      })
      usable = true
      return result
    } catch (error) {
      const trouble = error instanceof CommitUnanswered ? error.cause : error
      usable = !isConnectionLost(trouble) && (await rolledBack(client))
      throw error
    } finally {
      if (lingering) void lingering.catch(ignore).then(giveBack)
      else giveBack()
    }
  }

  async function reading<Result>(work: (session: Session) => Promise<Result>, isPatient = false): Promise<Result> {
    const begun = (session: Session) =>
      Promise.all([
        session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
        session.rows(isPatient ? configureSnapshot : configureProbe),
      ])
    try {
      return await onConnection((session) => transaction(session, begun, work), isPatient)
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
    call: (procedure, values, how) => tracked(() => called(procedure, values, how)),
    write: (work, how) => tracked(() => writing(work, how)),
    read: (work) => tracked(() => onConnection(work)),
    probe: (work) => tracked(() => reading(work)),
    snapshot: (work) => tracked(() => reading(work, true)),
    async close() {
      closed = true
      await Promise.allSettled(underWay)
    },
  }
}

/**
 * Settings for the rest of a transaction, in one statement whose plan is kept.
 * @param more the setting that is the statement's first parameter, and a command that goes along: what is one statement less
 *   is as much as an item less, on both sides
 */
function settingStatement(
  settings: Readonly<Record<string, string>>,
  more?: { readonly given: string; readonly along: string },
): Statement<object> {
  const fixed = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', true)`)
  const open = more ? [`set_config('${more.given}', $1, true)`] : []
  const along = more ? `WITH along AS (${more.along}) ` : ''
  return prepare(`${along}SELECT num_nulls(${[...fixed, ...open].join(', ')})`)
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
