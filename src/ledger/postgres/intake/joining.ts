/**
 * `submit` inside a transaction of the user's own, so that a business write and its work commit or roll back together: the
 * transactional outbox without an outbox table. Nothing is sent, begun or committed here but the rows of the runs.
 *
 * Others learn of the work by polling: to notify would make the commits of all such transactions wait for each other.
 */
import { configurationError } from '../../../core/errors.ts'
import { assertRuns } from '../../new-runs.ts'
import type { Ledger } from '../../port.ts'
import { prepare, QueryFailed, type Session, sessionOf } from '../transactions/connection.ts'
import type { PostgresClient } from '../transactions/driver.ts'
import { storeError } from '../transactions/errors.ts'
import { SLOTS_PER_WRITER } from '../transactions/transact.ts'
import type { Submit } from './submit.ts'

export interface JoiningParts {
  /** Quoted. */
  readonly schema: string
  readonly description: string
  readonly submit: Submit
  readonly reach: (newestRun: number) => void
}

/** "SAVEPOINT can only be used in transaction blocks". */
const NO_TRANSACTION = '25P01'

export function createJoining({ schema: s, description, submit, reach }: JoiningParts) {
  const takeSlot = prepare(
    // Rows of the tallies that nobody else adds to: else all writers would wait for the end of this transaction.
    `SELECT coalesce(nullif(current_setting('holdfast.slot', true), ''),
       set_config('holdfast.slot', (nextval('${s}.writers') * ${SLOTS_PER_WRITER})::text, true))`,
  )

  return (client: PostgresClient): Pick<Ledger, 'submit'> => ({
    async submit(runs) {
      assertRuns(runs)
      if (runs.length === 0) return []
      await submit.prepareNames(runs)
      const session = sessionOf(client, { keepPlans: false })
      await begin(session)
      try {
        await session.rows(takeSlot)
        const { receipts, newestRun } = await submit.accept(session, runs)
        await session.run('RELEASE SAVEPOINT holdfast_submit')
        if (newestRun > 0) reach(newestRun)
        return receipts
      } catch (error) {
        // All or nothing, while the user's transaction may still go on and do something else.
        await session.run('ROLLBACK TO SAVEPOINT holdfast_submit').catch(() => '')
        throw storeError(error, description)
      }
    },
  })

  async function begin(session: Session): Promise<void> {
    try {
      await session.run('SAVEPOINT holdfast_submit')
    } catch (error) {
      if (!(error instanceof QueryFailed) || error.state !== NO_TRANSACTION) throw storeError(error, description)
      throw configurationError(
        'no_transaction',
        'The client that was given to submit has no transaction open',
        'Send BEGIN with it first, and COMMIT after the submit; or submit without a transaction.',
        undefined,
        error,
      )
    }
  }
}
