import type { Clock, Timer } from '../../core/clock.ts'

/**
 * One timer for any number of deadlines: a timer or an AbortController per call costs more than all policies together.
 * A deadline fires at its time or up to {@link GRANULARITY_MS} later, never earlier.
 */
export interface Deadlines {
  /** Calls `expirable.expire()` once after `delayMs`, unless it is removed or added again before. */
  add(expirable: Expirable, delayMs: number): void
  /** Idempotent. */
  remove(expirable: Expirable): void
}

/** The members are the set's own bookkeeping: being part of the caller's object, they cost no allocation per deadline. */
export interface Expirable {
  deadlineBucket: Bucket | undefined
  deadlineIndex: number
  expire(): void
}

/** All deadlines of one time slot. Order inside is free, so removal is a swap with the last one. */
export interface Bucket {
  readonly slot: number
  readonly members: Expirable[]
}

const GRANULARITY_MS = 20

export function createDeadlines(clock: Clock): Deadlines {
  return new DeadlineSet(clock)
}

class DeadlineSet implements Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Bucket>()
  #timer: Timer | undefined
  #armedSlot = Number.POSITIVE_INFINITY
  #newest: Bucket = { slot: -1, members: [] }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(expirable: Expirable, delayMs: number): void {
    this.remove(expirable)
    const slot = Math.ceil((this.#clock.monotonicMs() + delayMs) / GRANULARITY_MS)
    const bucket = slot === this.#newest.slot ? this.#newest : this.#bucketOf(slot)
    expirable.deadlineBucket = bucket
    expirable.deadlineIndex = bucket.members.push(expirable) - 1
    if (slot < this.#armedSlot) this.#arm(slot)
  }

  remove(expirable: Expirable): void {
    const bucket = expirable.deadlineBucket
    if (!bucket) return
    expirable.deadlineBucket = undefined
    const last = bucket.members.pop()
    if (last && last !== expirable) {
      bucket.members[expirable.deadlineIndex] = last
      last.deadlineIndex = expirable.deadlineIndex
    }
  }

  #bucketOf(slot: number): Bucket {
    let bucket = this.#buckets.get(slot)
    if (!bucket) {
      bucket = { slot, members: [] }
      this.#buckets.set(slot, bucket)
    }
    this.#newest = bucket
    return bucket
  }

  #arm(slot: number): void {
    this.#timer?.cancel()
    this.#armedSlot = slot
    const delayMs = Math.max(0, slot * GRANULARITY_MS - this.#clock.monotonicMs())
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire())
  }

  /** Empty buckets are swept here, not at removal: a busy client empties thousands of them and fires once a minute. */
  #fire(): void {
    this.#timer = undefined
    this.#armedSlot = Number.POSITIVE_INFINITY
    const nowSlot = this.#clock.monotonicMs() / GRANULARITY_MS
    const due: Expirable[] = []
    let nextSlot = Number.POSITIVE_INFINITY
    for (const [slot, bucket] of this.#buckets) {
      if (slot <= nowSlot) for (const member of bucket.members) due.push(member)
      else if (bucket.members.length > 0 || bucket === this.#newest) {
        nextSlot = Math.min(nextSlot, slot)
        continue
      }
      this.#buckets.delete(slot)
      if (bucket === this.#newest) this.#newest = { slot: -1, members: [] }
    }
    if (nextSlot < this.#armedSlot) this.#arm(nextSlot)
    for (const expirable of due) {
      // One that another has removed or postponed meanwhile is no longer due.
      if (expirable.deadlineBucket === undefined || expirable.deadlineBucket.slot > nowSlot) continue
      this.remove(expirable)
      expirable.expire()
    }
  }
}
