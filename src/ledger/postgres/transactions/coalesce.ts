/**
 * Group commit: what is asked for in one turn of the event loop, or while the writes before it are under way, is written in
 * one transaction, so that a round trip and a disk flush are paid once per group. Each promise settles after the commit.
 *
 * A job that fails does not take its neighbours along: the group is split in two and each half tried by itself, down to the
 * one that fails. Where the store itself is at fault all of them are told.
 */
import type { Clock } from '../../../core/clock.ts'
import { isHoldfastError } from '../../../core/errors.ts'

export interface CoalesceOptions<Job, Result> {
  readonly clock: Clock
  /** Groups that are written at the same time. */
  readonly mostUnderWay: number
  /** What a group may weigh; a job that weighs more goes alone. */
  readonly largestGroup: number
  /** Of what waits, what may go now, in its order; nothing: it waits for the end of something that is under way. Default: all. */
  readonly select?: (waiting: readonly Job[], underWay: readonly Job[]) => readonly Job[]
  readonly weightOf: (job: Job) => number
  /** One result per job, in order. */
  readonly write: (jobs: readonly Job[]) => Promise<readonly Result[]>
}

interface Entry<Job, Result> {
  readonly job: Job
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

export interface Coalescer<Job, Result> {
  add(job: Job): Promise<Result>
  /** Resolves when nothing is queued or under way. */
  idle(): Promise<void>
}

export function createCoalescer<Job, Result>(options: CoalesceOptions<Job, Result>): Coalescer<Job, Result> {
  const { clock } = options
  let queue: Entry<Job, Result>[] = []
  let scheduled = false
  const underWay = new Map<Promise<void>, readonly Entry<Job, Result>[]>()

  function flush(): void {
    scheduled = false
    while (queue.length > 0 && underWay.size < options.mostUnderWay) {
      const group = takeGroup()
      if (group.length === 0) return
      const writing = writeGroup(group).then(() => {
        underWay.delete(writing)
        // In the next turn: what is asked for because of the answers goes along with what has waited for them.
        schedule()
      })
      underWay.set(writing, group)
    }
  }

  function schedule(): void {
    if (scheduled || queue.length === 0 || underWay.size >= options.mostUnderWay) return
    scheduled = true
    clock.nextTurn(flush)
  }

  function takeGroup(): readonly Entry<Job, Result>[] {
    const ready = readyNow()
    let weight = 0
    const end = ready.findIndex(({ job }, index) => {
      weight += options.weightOf(job)
      return index > 0 && weight > options.largestGroup
    })
    const group = end === -1 ? ready : ready.slice(0, end)
    const taken = new Set(group)
    queue = queue.filter((entry) => !taken.has(entry))
    return group
  }

  function readyNow(): readonly Entry<Job, Result>[] {
    if (!options.select) return queue
    const ready = new Set(options.select(queue.map(jobOf), [...underWay.values()].flat().map(jobOf)))
    return queue.filter(({ job }) => ready.has(job))
  }

  async function writeGroup(group: readonly Entry<Job, Result>[]): Promise<void> {
    try {
      const results = await options.write(group.map(jobOf))
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
    } catch (error) {
      if (group.length === 1 || isOfTheStore(error)) {
        for (const { reject } of group) reject(error)
        return
      }
      const middle = group.length >> 1
      await writeGroup(group.slice(0, middle))
      await writeGroup(group.slice(middle))
    }
  }

  return {
    add: (job) =>
      new Promise((resolve, reject) => {
        queue.push({ job, resolve, reject })
        schedule()
      }),
    async idle() {
      while (queue.length > 0 || underWay.size > 0) {
        if (underWay.size === 0) flush()
        await Promise.all(underWay.keys())
      }
    },
  }
}

function jobOf<Job>({ job }: Entry<Job, never>): Job {
  return job
}

const OF_THE_STORE: ReadonlySet<string> = new Set(
  ['unavailable', 'busy', 'full', 'read_only', 'closed', 'access_denied', 'missing', 'moving'].map(
    (what) => `store_${what}`,
  ),
)

/** Each of the jobs alone would meet it too. */
function isOfTheStore(error: unknown): boolean {
  return isHoldfastError(error) && OF_THE_STORE.has(error.code)
}
