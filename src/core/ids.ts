import { v7 as uuidV7 } from 'uuid'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** A UUID version 7 (RFC 9562, section 5.7): sorts by time, from the injected clock and chance. */
export function newId(clock: Clock, random: Random): string {
  return uuidV7({ msecs: clock.wallMs(), random: random.bytes(16), seq: 0 })
}

/**
 * As {@link newId}, for many: ids of one source sort in the order in which they were made, also within a millisecond (the
 * counter of RFC 9562, section 6.2), so that a store appends them to its index.
 */
export function createIdSource(clock: Clock, random: Random): () => string {
  let latestMs = 0
  let sequence = 0
  return () => {
    const nowMs = clock.wallMs()
    sequence = nowMs > latestMs ? 0 : sequence + 1
    latestMs = Math.max(latestMs, nowMs)
    return uuidV7({ msecs: latestMs, seq: sequence, random: random.bytes(16) })
  }
}

/** An item is one step of one run: its public id names both. */
export function itemId(runId: string, step: string): string {
  return `${runId}.${step}`
}

/** Inverse of {@link itemId}; `undefined` for anything that is not an item id. */
export function parseItemId(id: string): { runId: string; step: string } | undefined {
  const dot = id.indexOf('.')
  if (dot <= 0 || dot === id.length - 1) return undefined
  return { runId: id.slice(0, dot), step: id.slice(dot + 1) }
}
