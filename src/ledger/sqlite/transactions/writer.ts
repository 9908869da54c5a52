/**
 * Group commit: what is asked for in one turn of the event loop is written in one transaction, so that a disk flush is
 * paid once per group and not once per call. Each promise settles after the commit (rule 1).
 *
 * A write that fails does not take its neighbours along: the group is rolled back, split in two and tried again, down to
 * the one that fails. So nothing is spent on savepoints while all goes well. It follows that `work` may run more than
 * once: it changes nothing but the database and what `afterRollback` puts right.
 */
import type { Clock } from '../../../core/clock.ts'
import { storeClosed } from '../../store-errors.ts'
import { type Database, prepare } from './connection.ts'
import { isBusy, storeBusy, storeError } from './errors.ts'

export interface Writer {
  /** @throws HoldfastError `store_busy`, `store_full`, `store_closed`, ... Nothing was changed then. */
  write<Result>(work: () => Result): Promise<Result>
  /** Writes what was asked for, then refuses more. Idempotent. */
  close(): Promise<void>
}

export interface WriterOptions {
  readonly database: Database
  readonly clock: Clock
  /** For messages. */
  readonly store: string
  /** How long a write waits, without blocking the thread, for another process that writes. */
  readonly busyTimeoutMs: number
  readonly beforeCommit: () => void
  /** Whoever asked for something has been answered by then. */
  readonly afterCommit: () => void
  readonly afterRollback: () => void
}

interface Job {
  readonly work: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  result: unknown
  refusedSinceMs: number | undefined
}

/** So that a flood of calls cannot hold the event loop for long. */
const LARGEST_GROUP = 2000
const FIRST_RETRY_DELAY_MS = 2
const LONGEST_RETRY_DELAY_MS = 100

export function createWriter(options: WriterOptions): Writer {
  const { database, clock, store } = options
  const begin = prepare(database, 'BEGIN IMMEDIATE')
  const commit = prepare(database, 'COMMIT')
  let queue: Job[] = []
  let scheduled = false
  let closed = false
  let closing: Promise<void> | undefined
  let whenEmpty = (): void => {}
  let retryDelayMs = FIRST_RETRY_DELAY_MS

  function write<Result>(work: () => Result): Promise<Result> {
    if (closed) return Promise.reject(storeClosed(store))
    return new Promise<Result>((resolve, reject) => {
      const settle = resolve as (result: unknown) => void
      queue.push({ work, resolve: settle, reject, result: undefined, refusedSinceMs: undefined })
      if (!scheduled) schedule()
    })
  }

  function schedule(): void {
    scheduled = true
    clock.nextTurn(flush)
  }

  function flush(): void {
    scheduled = false
    const refused = commitGroup(queue.splice(0, LARGEST_GROUP))
    queue = [...patientOf(refused), ...queue]
    if (queue.length === 0) {
      whenEmpty()
      return
    }
    if (refused.length === 0) schedule()
    else retryLater()
  }

  function retryLater(): void {
    scheduled = true
    const delayMs = retryDelayMs
    retryDelayMs = Math.min(retryDelayMs * 2, LONGEST_RETRY_DELAY_MS)
    // `sleep` and not `setTimer`: the process must not end while something promised is not written.
    void clock.sleep(delayMs).then(flush)
  }

  /** Returns the jobs that were not run because another process held the lock. */
  function commitGroup(jobs: readonly Job[]): readonly Job[] {
    if (jobs.length === 0) return []
    try {
      begin.run()
      for (const job of jobs) job.result = job.work()
      options.beforeCommit()
      commit.run()
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      options.afterRollback()
      return afterFailure(jobs, error)
    }
    retryDelayMs = FIRST_RETRY_DELAY_MS
    for (const job of jobs) job.resolve(job.result)
    options.afterCommit()
    return []
  }

  function afterFailure(jobs: readonly Job[], error: unknown): readonly Job[] {
    if (isBusy(error)) return jobs
    if (jobs.length === 1) {
      jobs[0]?.reject(storeError(error, store))
      return []
    }
    const middle = jobs.length >> 1
    return [...commitGroup(jobs.slice(0, middle)), ...commitGroup(jobs.slice(middle))]
  }

  function patientOf(jobs: readonly Job[]): readonly Job[] {
    if (jobs.length === 0) return jobs
    const nowMs = clock.monotonicMs()
    return jobs.filter((job) => {
      job.refusedSinceMs ??= nowMs
      const waitedMs = nowMs - job.refusedSinceMs
      if (waitedMs < options.busyTimeoutMs) return true
      job.reject(storeBusy(store, waitedMs))
      return false
    })
  }

  function close(): Promise<void> {
    closed = true
    closing ??= queue.length === 0 ? Promise.resolve() : new Promise((resolve) => (whenEmpty = resolve))
    return closing
  }

  return { write, close }
}
