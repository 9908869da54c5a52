/** One transaction on one connection, from BEGIN to the answer of its COMMIT, in as few round trips as can be. */
import { QueryFailed, type Session } from './connection.ts'
import { isConnectionLost } from './errors.ts'
import type { WriteOptions } from './transact.ts'

/** There was no answer to the COMMIT: it is not known whether it took place. */
export class CommitUnanswered extends Error {
  override readonly cause: QueryFailed
  /** What `work` has answered; `undefined`: that was lost too. */
  readonly heard: Heard<unknown> | undefined

  constructor(heard: Heard<unknown> | undefined, cause: QueryFailed) {
    super(cause.message)
    this.heard = heard
    this.cause = cause
  }
}

export interface Heard<Result> {
  readonly result: Result
}

export type Linger = (until: Promise<unknown>) => void

interface Ending<Result> extends Pick<WriteOptions<Result>, 'emptyIsNothing' | 'foreseen' | 'unheard' | 'behind'> {
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
  if (ending.foreseen !== undefined || ending.unheard) return await committedAlong(session, done, ending)
  const [begun, worked] = await done
  if (begun.status === 'rejected') throw begun.reason
  if (worked.status === 'rejected') throw worked.reason
  const result = worked.value
  if (ending.emptyIsNothing && Array.isArray(result) && result.length === 0) {
    await session.run('ROLLBACK')
    return result
  }
  await committed(
    commit(session, () => ending.behind?.(result), ending),
    { result },
  )
  return result
}

/** One round trip for all of a transaction. */
async function committedAlong<Result>(
  session: Session,
  done: Promise<[PromiseSettledResult<unknown>, PromiseSettledResult<Result>]>,
  ending: Ending<Result>,
): Promise<Result> {
  const { foreseen } = ending
  const behind = () => (foreseen === undefined ? undefined : ending.behind?.(foreseen))
  const [[begun, worked], did] = await Promise.all([done, Promise.allSettled([commit(session, behind, ending)])])
  const refused = [begun, worked].find((part) => part.status === 'rejected' && !isConnectionLost(part.reason))
  // Of a transaction of which a statement was refused there is nothing.
  if (refused?.status === 'rejected') throw refused.reason
  const [ended] = did
  const heard = heardOf(worked, foreseen)
  await committed(ended.status === 'fulfilled' ? ended.value : Promise.reject(ended.reason), heard)
  if (heard) return heard.result
  // A connection that was lost before is not heard of again.
  throw worked.status === 'rejected' ? worked.reason : new Error('a transaction has no answer')
}

function heardOf<Result>(
  worked: PromiseSettledResult<Result>,
  foreseen: Result | undefined,
): Heard<Result> | undefined {
  if (worked.status === 'fulfilled') return { result: worked.value }
  return foreseen === undefined ? undefined : { result: foreseen }
}

function commit(
  session: Session,
  behind: () => string | undefined,
  { linger }: Pick<Ending<never>, 'linger'>,
): Promise<string> {
  const did = session.run('COMMIT')
  const commands = behind()
  if (commands !== undefined) linger?.(session.run(commands))
  return did
}

async function committed(answer: string | Promise<string>, heard: Heard<unknown> | undefined): Promise<void> {
  try {
    const did = await answer
    // So PostgreSQL answers the COMMIT of a transaction of which a statement had failed.
    if (did !== 'COMMIT') throw new Error(`a transaction ended with ${did}`)
  } catch (error) {
    throw error instanceof QueryFailed ? new CommitUnanswered(heard, error) : error
  }
}
