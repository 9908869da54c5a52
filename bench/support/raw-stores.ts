/** What one job is in the database: as little as possible, or with what Holdfast promises about it. */
import type { DatabaseSync } from 'node:sqlite'
import { v7 as orderedUuid } from 'uuid'

export interface Job {
  readonly no: number
  /** Tries so far, the present one included. */
  readonly attempts: number
  readonly payload: string
}

/** To be called inside a transaction. */
export interface RawStore {
  insert(payload: string, nowMs: number): void
  claim(nowMs: number, limit: number): readonly Job[]
  complete(job: Job, nowMs: number): void
  putBack(job: Job, nowMs: number): void
  countDone(): number
}

const WAITING = 0
const CLAIMED = 1
const DONE = 2
const LEASE_MS = 30_000

/** One table, one small index, one row a job. Nobody else may use the file, and nobody can ask what happened. */
export function bareStore(database: DatabaseSync): RawStore {
  database.exec(`
    CREATE TABLE jobs (
      no INTEGER PRIMARY KEY, state INTEGER NOT NULL, run_at INTEGER NOT NULL, attempts INTEGER NOT NULL,
      payload TEXT NOT NULL
    ) STRICT;
    CREATE INDEX jobs_due ON jobs (run_at, no) WHERE state = ${WAITING};
  `)
  const insert = database.prepare(`INSERT INTO jobs (state, run_at, attempts, payload) VALUES (${WAITING}, ?, 0, ?)`)
  const claim = database.prepare(
    `UPDATE jobs SET state = ${CLAIMED}, attempts = attempts + 1
     WHERE no IN (SELECT no FROM jobs WHERE state = ${WAITING} AND run_at <= ? ORDER BY run_at, no LIMIT ?)
     RETURNING no, attempts, payload`,
  )
  const complete = database.prepare(`UPDATE jobs SET state = ${DONE} WHERE no = ? AND state = ${CLAIMED}`)
  const putBack = database.prepare(`UPDATE jobs SET state = ${WAITING}, run_at = ? WHERE no = ? AND state = ${CLAIMED}`)

  return {
    insert: (payload, nowMs) => void insert.run(nowMs, payload),
    claim: (nowMs, limit) => claim.all(nowMs, limit) as unknown as Job[],
    complete: ({ no }) => void complete.run(no),
    putBack: ({ no }, nowMs) => void putBack.run(nowMs, no),
    countDone: () => countDone(database),
  }
}

/**
 * The same loop over rows that keep what Holdfast promises: a public id, a key that is accepted once, a lease that ends by
 * itself and is fenced by a token, and a history of attempts. Still without pipelines, lanes, effects, health and balance.
 */
export function promisingStore(database: DatabaseSync): RawStore {
  database.exec(`
    CREATE TABLE jobs (
      no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
      run_at INTEGER, lease_until INTEGER, lease_worker TEXT, lease_token INTEGER NOT NULL, created_at INTEGER NOT NULL,
      ended_at INTEGER, payload TEXT NOT NULL, output TEXT
    ) STRICT;
    CREATE INDEX jobs_due ON jobs (run_at, no) WHERE run_at IS NOT NULL;
    CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_until IS NOT NULL;
    CREATE TABLE attempts (
      job INTEGER NOT NULL, number INTEGER NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
      outcome TEXT NOT NULL, PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
  `)
  const worker = orderedUuid()
  const insert = database.prepare(
    `INSERT INTO jobs (id, key, state, run_at, lease_token, created_at, payload)
     VALUES (?, ?, ${WAITING}, ?, 0, ?, ?) ON CONFLICT DO NOTHING`,
  )
  const claim = database.prepare(
    `UPDATE jobs SET state = ${CLAIMED}, run_at = NULL, lease_until = ?, lease_worker = ?, lease_token = lease_token + 1
     WHERE no IN (SELECT no FROM jobs WHERE run_at <= ? ORDER BY run_at, no LIMIT ?)
     RETURNING no, lease_token AS attempts, id, key, payload`,
  )
  const end = database.prepare(
    `UPDATE jobs SET state = ?, run_at = ?, lease_until = NULL, lease_worker = NULL, ended_at = ?, output = ?
     WHERE no = ? AND lease_token = ? AND lease_until IS NOT NULL`,
  )
  const record = database.prepare(
    'INSERT INTO attempts (job, number, started_at, ended_at, outcome) VALUES (?, ?, ?, ?, ?)',
  )

  return {
    insert(payload, nowMs) {
      const id = orderedUuid()
      insert.run(id, id, nowMs, nowMs, payload)
    },
    claim: (nowMs, limit) => claim.all(nowMs + LEASE_MS, worker, nowMs, limit) as unknown as Job[],
    complete({ no, attempts }, nowMs) {
      end.run(DONE, null, nowMs, 'null', no, attempts)
      record.run(no, attempts, nowMs, nowMs, 'succeeded')
    },
    putBack({ no, attempts }, nowMs) {
      end.run(WAITING, nowMs, null, null, no, attempts)
      record.run(no, attempts, nowMs, nowMs, 'failed')
    },
    countDone: () => countDone(database),
  }
}

function countDone(database: DatabaseSync): number {
  const row = database.prepare(`SELECT count(*) AS done FROM jobs WHERE state = ${DONE}`).get()
  return (row as { done: number }).done
}
