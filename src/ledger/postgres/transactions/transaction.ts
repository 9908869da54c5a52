/** One transaction on one connection, from its first statement to the answer of its COMMIT, in as few round trips as can be. */
import { QueryFailed, type Session, type SqlValue, type Statement } from './connection.ts'
import { isConnectionLost } from './errors.ts'
import type { CallOptions, WriteOptions } from './transact.ts'

/** There was no answer to the COMMIT: it is not known whether it took place. */
export class CommitUnanswered extends Error {
  override readonly cause: QueryFailed
  /** What it has answered; `undefined`: that was lost too. */
  readonly heard: { readonly result: unknown } | undefined

  constructor(heard: CommitUnanswered['heard'], cause: QueryFailed) {
    super(cause.message)
    this.heard = heard
    this.cause = cause
  }
}

export type Linger = (until: Promise<unknown>) => void

interface Ending<Result> extends Pick<WriteOptions<Result>, 'emptyIsNothing' | 'foreseen' | 'behind'> {
  readonly linger?: Linger
}

export async function transaction<Result>(
  session: Session,
  begin: (session: Session) => Promise<unknown>,
  work: (session: Session) => Promise<Result>,
  ending: Ending<Result> = {},
): Promise<Result> {
  // Not awaited before the first statement of `work` is sent: one round trip less.
  const done = Promise.allSettled([begin(session), work(session)])
  if (ending.foreseen !== undefined) return await committedAlong(session, done, ending.foreseen, ending)
  const [begun, worked] = await done
  if (begun.status === 'rejected') throw begun.reason
  if (worked.status === 'rejected') throw worked.reason
  const result = worked.value
  if (ending.emptyIsNothing && Array.isArray(result) && result.length === 0) {
    await session.run('ROLLBACK')
    return result
  }
  return await committed(commit(session, result, ending), result)
}

/** One round trip for all of a transaction. */
async function committedAlong<Result>(
  session: Session,
  done: Promise<[PromiseSettledResult<unknown>, PromiseSettledResult<Result>]>,
  foreseen: Result,
  ending: Ending<Result>,
): Promise<Result> {
  const [[begun, worked], did] = await Promise.all([done, Promise.allSettled([commit(session, foreseen, ending)])])
  const refused = [begun, worked].find((part) => part.status === 'rejected' && !isConnectionLost(part.reason))
  // Of a transaction of which a statement was refused there is nothing.
  if (refused?.status === 'rejected') throw refused.reason
  const [ended] = did
  const result = worked.status === 'fulfilled' ? worked.value : foreseen
  return await committed(ended.status === 'fulfilled' ? ended.value : Promise.reject(ended.reason), result)
}

function commit<Result>(session: Session, result: Result, { behind, linger }: Ending<Result>): Promise<string> {
  const did = session.run('COMMIT')
  const commands = behind?.(result)
  if (commands !== undefined) linger?.(session.run(commands))
  return did
}

async function committed<Result>(answer: string | Promise<string>, result: Result): Promise<Result> {
  try {
    const did = await answer
    // So PostgreSQL answers the COMMIT of a transaction of which a statement had failed.
    if (did !== 'COMMIT') throw new Error(`a transaction ended with ${did}`)
    return result
  } catch (error) {
    throw error instanceof QueryFailed ? new CommitUnanswered({ result }, error) : error
  }
}

/** One statement that is a transaction by itself. */
export async function calling<Row, Result>(
  session: Session,
  asked: { readonly procedure: Statement<Row>; readonly values: readonly SqlValue[] },
  { read, behind, linger }: Pick<CallOptions<Row, Result>, 'read' | 'behind'> & { readonly linger: Linger },
): Promise<Result> {
  const answer = session.rows(asked.procedure, asked.values)
  const commands = behind?.()
  if (commands !== undefined) linger(session.run(commands))
  try {
    return read(await answer)
  } catch (error) {
    throw isConnectionLost(error) ? new CommitUnanswered(undefined, error as QueryFailed) : error
  }
}
