/**
 * `submit` of the port: the calls of many in one transaction; what comes alone is first offered to whoever waits for it, then written in
 * the cheapest way that fits.
 */
import type { Clock } from '../../../core/clock.ts'
import { whereDue } from '../../hints.ts'
import type { NewRun, SubmitReceipt } from '../../port.ts'
import { createCoalescer } from '../transactions/coalesce.ts'
import { hasState } from '../transactions/errors.ts'
import type { Transactor } from '../transactions/transact.ts'
import type { Expectation } from '../work/standing.ts'
import type { Watcher } from '../work/watch.ts'
import { type Accepted, allAccepted, isOrdered, MOST_ALONE, type Submit } from './submit.ts'

/** Two, so that one group is sent while the disk is busy with the other. */
const MOST_UNDER_WAY = 2
const LARGEST_GROUP = 1000
const UNIQUE_VIOLATION = '23505'
/** "too many notifications in the NOTIFY queue" */
const QUEUE_FULL = '54000'

export interface SubmitsParts {
  readonly clock: Clock
  readonly transactor: Transactor
  readonly watcher: Watcher
  readonly submit: Submit
  readonly reach: (newestRun: number) => void
  readonly expectation: Expectation
}

export function createSubmits({ clock, transactor, watcher, submit, reach, expectation }: SubmitsParts) {
  /** Runs without keys are new, unless somebody gives ids twice: they are written, and only then looked at. */
  async function write(runs: readonly NewRun[]): Promise<Accepted> {
    const [run, ...others] = runs
    const awaited = run && others.length === 0 ? await acceptAwaited(run) : undefined
    if (awaited) return awaited
    const ordered = runs.some(isOrdered)
    if (!ordered && runs.every((run) => run.key === undefined)) {
      try {
        const behind = () => watcher.announcement(whereDue(runs))
        if (runs.length <= MOST_ALONE) return await submit.acceptAlone(runs, behind)
        return await transactor.write((session) => submit.acceptNew(session, runs), {
          foreseen: allAccepted(runs),
          behind,
        })
      } catch (error) {
        if (!hasState(error, UNIQUE_VIOLATION)) throw error
      }
    }
    return transactor.write((session) => submit.accept(session, runs), {
      // Places are looked up in tables of any size.
      joins: ordered ? 'index' : 'hash',
      behind: ({ newestRun }) => (newestRun > 0 ? watcher.announcement(whereDue(runs)) : undefined),
    })
  }

  /** Somebody may be waiting for it. */
  async function acceptAwaited(run: NewRun): Promise<Accepted | undefined> {
    if (!submit.canBeAwaited(run) || !expectation.mayBe(run)) return undefined
    const accepted = await offered(run)
    const [receipt] = accepted?.receipts ?? []
    if (receipt?.outcome !== 'accepted') return undefined
    if (!receipt.isLeased) {
      expectation.nobody(run)
      watcher.announce(whereDue([run]))
    }
    return accepted
  }

  async function offered(run: NewRun): Promise<Accepted | undefined> {
    try {
      return await submit.acceptAwaited(run)
    } catch (error) {
      // The server keeps notifications until everybody who listens has read them; to accept a run it needs none.
      if (!hasState(error, QUEUE_FULL)) throw error
      expectation.nobody(run)
      return undefined
    }
  }

  return createCoalescer<readonly NewRun[], SubmitReceipt[]>({
    clock,
    mostUnderWay: MOST_UNDER_WAY,
    largestGroup: LARGEST_GROUP,
    weightOf: (runs) => runs.length,
    async write(jobs) {
      const runs = jobs.flat()
      await submit.prepareNames(runs)
      const accepted = await write(runs)
      reach(accepted.newestRun)
      return apportioned(accepted.receipts, jobs)
    },
  })
}

/** The receipts of a group, to each job its own. */
function apportioned<Receipt>(receipts: readonly Receipt[], jobs: readonly { readonly length: number }[]): Receipt[][] {
  let start = 0
  return jobs.map(({ length }) => {
    start += length
    return receipts.slice(start - length, start)
  })
}
