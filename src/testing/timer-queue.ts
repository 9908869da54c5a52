import type { Timer } from '../core/clock.ts'

/** Timers in the order of their time and, at the same time, in the order they were added. */
export interface TimerQueue {
  add(dueMs: number, callback: () => void): Timer
  /** The time of the next timer; `undefined` where none waits. */
  nextDueMs(): number | undefined
  /** Removes the next timer and hands over its callback. */
  takeNext(): (() => void) | undefined
  /** Timers that wait, without cancelled ones. */
  size(): number
}

interface Entry {
  readonly dueMs: number
  readonly sequence: number
  /** `undefined` once cancelled: such entries stay until they come up, which makes cancelling free. */
  callback: (() => void) | undefined
}

/** A binary heap. */
export function createTimerQueue(): TimerQueue {
  const heap: Entry[] = []
  let sequence = 0
  let waiting = 0

  function dropCancelled(): void {
    while (heap[0] && !heap[0].callback) removeFirst(heap)
  }

  return {
    add(dueMs, callback) {
      const entry: Entry = { dueMs, sequence: sequence++, callback }
      heap.push(entry)
      siftUp(heap)
      waiting++
      return {
        cancel() {
          if (!entry.callback) return
          entry.callback = undefined
          waiting--
        },
      }
    },
    nextDueMs() {
      dropCancelled()
      return heap[0]?.dueMs
    },
    takeNext() {
      dropCancelled()
      const entry = removeFirst(heap)
      if (!entry) return undefined
      const { callback } = entry
      entry.callback = undefined
      waiting--
      return callback
    },
    size: () => waiting,
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.dueMs === right.dueMs ? left.sequence < right.sequence : left.dueMs < right.dueMs
}

function siftUp(heap: Entry[]): void {
  let index = heap.length - 1
  const entry = heap[index] as Entry
  while (index > 0) {
    const parentIndex = (index - 1) >> 1
    const parent = heap[parentIndex] as Entry
    if (!isBefore(entry, parent)) break
    heap[index] = parent
    index = parentIndex
  }
  heap[index] = entry
}

function removeFirst(heap: Entry[]): Entry | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first && last && heap.length > 0) siftDown(heap, last)
  return first
}

function siftDown(heap: Entry[], entry: Entry): void {
  let index = 0
  for (;;) {
    const leftIndex = 2 * index + 1
    const left = heap[leftIndex]
    if (!left) break
    const right = heap[leftIndex + 1]
    const childIndex = right && isBefore(right, left) ? leftIndex + 1 : leftIndex
    const child = heap[childIndex] as Entry
    if (!isBefore(child, entry)) break
    heap[index] = child
    index = childIndex
  }
  heap[index] = entry
}
