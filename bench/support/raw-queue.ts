/**
 * A durable queue written by hand, without an engine: one transaction per turn of the event loop for all that came together
 * (new jobs, results, and the next claim). What a job is in the database, the store says.
 */
import { DatabaseSync } from 'node:sqlite'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'
import { bareStore, type Job, promisingStore, type RawStore } from './raw-stores.ts'

/** The limit: the least that a durable queue can do. */
export async function openRawQueue(options: QueueOptions): Promise<DurableQueue> {
  return new RawQueue(options, bareStore)
}

/** The limit for anyone who promises in the store what Holdfast promises. */
export async function openPromisingRawQueue(options: QueueOptions): Promise<DurableQueue> {
  return new RawQueue(options, promisingStore)
}

interface Added {
  readonly payloads: readonly Payload[]
  readonly resolve: () => void
}

class RawQueue implements DurableQueue {
  readonly #options: QueueOptions
  readonly #database: DatabaseSync
  readonly #store: RawStore
  #added: Added[] = []
  #done: Job[] = []
  #failed: Job[] = []
  #inFlight = 0
  #started = false
  #scheduled = false
  #onEmpty: (() => void) | undefined

  constructor(options: QueueOptions, openStore: (database: DatabaseSync) => RawStore) {
    this.#options = options
    this.#database = new DatabaseSync(options.place)
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    this.#store = openStore(this.#database)
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
    return this.#store.countDone()
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
      for (const payload of payloads) this.#store.insert(JSON.stringify(payload), nowMs)
    }
    for (const job of this.#done) this.#store.complete(job, nowMs)
    for (const job of this.#failed) this.#store.putBack(job, nowMs)
    const claimed = this.#claimNext(nowMs)
    this.#database.exec('COMMIT')
    this.#done = []
    this.#failed = []
    for (const { resolve } of added) resolve()
    for (const job of claimed) void this.#run(job)
    if (this.#started && this.#inFlight === 0) this.#onEmpty?.()
  }

  #claimNext(nowMs: number): readonly Job[] {
    const places = this.#options.concurrency - this.#inFlight
    if (!this.#started || places === 0) return []
    const claimed = this.#store.claim(nowMs, places)
    this.#inFlight += claimed.length
    return claimed
  }

  async #run(job: Job): Promise<void> {
    try {
      await work(job.attempts, this.#options.failures)
      this.#done.push(job)
    } catch {
      this.#failed.push(job)
    }
    this.#inFlight -= 1
    this.#schedule()
  }
}
