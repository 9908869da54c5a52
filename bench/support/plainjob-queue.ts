/**
 * plainjob over `node:sqlite`, at the durability of the others. It ships an adapter for better-sqlite3; this is the same
 * interface on Node's own driver, which saves a native build and puts all contenders on one SQLite.
 */
import { DatabaseSync } from 'node:sqlite'
import { type Connection, defineQueue, defineWorker, JobStatus, type Queue, type Worker } from 'plainjob'
import { type DurableQueue, type Payload, type QueueOptions, work } from './durable-queue.ts'

const TYPE = 'lead'
const SILENT = { error() {}, warn() {}, info() {}, debug() {} }

export async function openPlainjobQueue({ place, failures }: QueueOptions): Promise<DurableQueue> {
  if (failures > 0) throw new Error('plainjob has no retries')
  return new PlainjobQueue(place)
}

/** One worker: each takes one job at a time, and more of them in one process only take turns at the same thread. */
class PlainjobQueue implements DurableQueue {
  readonly #queue: Queue
  readonly #worker: Worker
  #added = 0
  #completed = 0
  #onCompleted: () => void = () => {}

  constructor(path: string) {
    this.#queue = defineQueue({ connection: fullyDurable(new DatabaseSync(path), path), logger: SILENT })
    this.#worker = defineWorker(TYPE, () => work(1, 0), {
      queue: this.#queue,
      logger: SILENT,
      pollIntervall: 1,
      onCompleted: () => {
        this.#completed += 1
        this.#onCompleted()
      },
    })
  }

  async add(payload: Payload): Promise<void> {
    this.#queue.add(TYPE, payload)
    this.#added += 1
    // It writes at once and blocks: let the event loop turn, as a server would between two requests.
    await new Promise((resolve) => setImmediate(resolve))
  }

  async addMany(payloads: readonly Payload[]): Promise<void> {
    this.#queue.addMany(TYPE, [...payloads])
    this.#added += payloads.length
    await new Promise((resolve) => setImmediate(resolve))
  }

  start(): void {
    void this.#worker.start()
  }

  async finished(): Promise<void> {
    if (this.#completed === this.#added) return
    await new Promise<void>((resolve) => {
      this.#onCompleted = () => {
        if (this.#completed === this.#added) resolve()
      }
    })
  }

  async countDone(): Promise<number> {
    return this.#queue.countJobs({ status: JobStatus.Done })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.stop()
    this.#queue.close()
  }
}

function fullyDurable(database: DatabaseSync, filename: string): Connection {
  return {
    driver: 'better-sqlite3',
    filename,
    // It asks for `synchronous = 1`, which may lose the last commits with the power: not comparable.
    pragma: (setting) => database.exec(`PRAGMA ${setting.startsWith('synchronous') ? 'synchronous = FULL' : setting}`),
    exec: (sql) => database.exec(sql),
    prepare: (sql) => database.prepare(sql) as unknown as ReturnType<Connection['prepare']>,
    transaction: ((inside: (...values: unknown[]) => unknown) =>
      Object.assign(inTransaction(database, 'BEGIN', inside), {
        immediate: inTransaction(database, 'BEGIN IMMEDIATE', inside),
      })) as Connection['transaction'],
    close: () => database.close(),
  }
}

function inTransaction(database: DatabaseSync, begin: string, inside: (...values: unknown[]) => unknown) {
  return (...values: unknown[]): unknown => {
    database.exec(begin)
    try {
      const result = inside(...values)
      database.exec('COMMIT')
      return result
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
}
