/** What the ledger cases ask of each contender: a queue whose adds and completions are on disk before they count. */

export interface DurableQueue extends AsyncDisposable {
  /** Resolves once the job is on disk. */
  add(payload: Payload): Promise<void>
  /** Resolves once all are on disk, in as few commits as the contender knows how. */
  addMany(payloads: readonly Payload[]): Promise<void>
  /** Starts working in this process. */
  start(): void
  /** Resolves once everything added so far has been done and that is on disk. To be called after the last `add`. */
  finished(): Promise<void>
  /** How many jobs the store itself says are done: a figure without this check could be of anything. */
  countDone(): Promise<number>
}

export interface QueueOptions {
  /** A file, or the URL of a database. */
  readonly place: string
  readonly concurrency: number
  /** Every job fails this often before it succeeds, and is tried again at once. */
  readonly failures: number
  /** Told when the code of a job begins. */
  readonly onStarted?: (payload: Payload) => void
}

export interface Payload {
  readonly email: string
  readonly company: string
  readonly note: string
  /** In milliseconds since 1970, to fractions: just before it was added. */
  readonly addedAtMs?: number
}

export type OpenQueue = (options: QueueOptions) => Promise<DurableQueue>

/** About 230 bytes of JSON each. */
export function payloads(count: number): Payload[] {
  const note = 'x'.repeat(150)
  return Array.from({ length: count }, (_, index) => ({ email: `lead-${index}@example.com`, company: 'Example', note }))
}

/** The job itself: nothing but a turn of the microtask queue. `attempt` is 1 for the first. */
export async function work(attempt: number, failures: number): Promise<void> {
  if (attempt <= failures) throw new Error('not this time')
}
