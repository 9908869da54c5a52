/**
 * The limit: the least that a durable queue on SQLite can do, by hand. One table, one row a job, one transaction per turn
 * of the event loop for all that came together: new jobs, results, and the next claim. No deduplication, history, leases,
 * fences, fairness, balance or policies, and nobody else may use the file.
 */
import { DatabaseSync } from 'node:sqlite'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, run_at INTEGER NOT NULL, attempts INTEGER NOT NULL,
    payload TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_due ON jobs (run_at, id) WHERE state = 0;
`
const WAITING = 0
const CLAIMED = 1
const DONE = 2

interface Job {
  readonly id: number
  readonly attempts: number
}

interface Added {
  readonly payloads: readonly Payload[]
  readonly resolve: () => void
}

export async function openRawQueue(options: QueueOptions): Promise<DurableQueue> {
  return new RawQueue(options)
}

class RawQueue implements DurableQueue {
  readonly #options: QueueOptions
  readonly #database: DatabaseSync
  readonly #insert
  readonly #claim
  readonly #complete
  readonly #retry
  #added: Added[] = []
  #done: number[] = []
  #failed: number[] = []
  #inFlight = 0
  #started = false
  #scheduled = false
  #onEmpty: (() => void) | undefined

  constructor(options: QueueOptions) {
    this.#options = options
    this.#database = new DatabaseSync(options.path)
    this.#database.exec(SCHEMA)
    this.#insert = this.#database.prepare(
      `INSERT INTO jobs (state, run_at, attempts, payload) VALUES (${WAITING}, ?, 0, ?)`,
    )
    this.#claim = this.#database.prepare(
      `UPDATE jobs SET state = ${CLAIMED}, attempts = attempts + 1
       WHERE id IN (SELECT id FROM jobs WHERE state = ${WAITING} AND run_at <= ? ORDER BY run_at, id LIMIT ?)
       RETURNING id, attempts, payload`,
    )
    this.#complete = this.#database.prepare(`UPDATE jobs SET state = ${DONE} WHERE id = ? AND state = ${CLAIMED}`)
    this.#retry = this.#database.prepare(
      `UPDATE jobs SET state = ${WAITING}, run_at = ? WHERE id = ? AND state = ${CLAIMED}`,
    )
  }

  add(payload: Payload): Promise<void> {
    return this.addMany([payload])
  }

  addMany(payloads: readonly Payload[]): Promise<void> {
    return new Promise((resolve) => {
      this.#added.push({ payloads, resolve })
      this.#schedule()
    })
  }

  start(): void {
    this.#started = true
    this.#schedule()
  }

  finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve
      this.#schedule()
    })
  }

  async countDone(): Promise<number> {
    const row = this.#database.prepare(`SELECT count(*) AS done FROM jobs WHERE state = ${DONE}`).get()
    return (row as { done: number }).done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#scheduled = false
    const added = this.#added
    this.#added = []
    this.#database.exec('BEGIN IMMEDIATE')
    const nowMs = Date.now()
    for (const { payloads } of added) {
      for (const payload of payloads) this.#insert.run(nowMs, JSON.stringify(payload))
    }
    for (const id of this.#done) this.#complete.run(id)
    for (const id of this.#failed) this.#retry.run(nowMs, id)
    const claimed = this.#claimNext(nowMs)
    this.#database.exec('COMMIT')
    this.#done = []
    this.#failed = []
    for (const { resolve } of added) resolve()
    for (const job of claimed) void this.#run(job)
    if (this.#started && this.#inFlight === 0) this.#onEmpty?.()
  }

  #claimNext(nowMs: number): Job[] {
    const places = this.#options.concurrency - this.#inFlight
    if (!this.#started || places === 0) return []
    const claimed = this.#claim.all(nowMs, places) as unknown as Job[]
    this.#inFlight += claimed.length
    return claimed
  }

  async #run({ id, attempts }: Job): Promise<void> {
    try {
      await work(attempts, this.#options.failures)
      this.#done.push(id)
    } catch {
      this.#failed.push(id)
    }
    this.#inFlight -= 1
    this.#schedule()
  }
}
