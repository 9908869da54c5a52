import { randomFillSync } from 'node:crypto'
import type { Random } from '../core/random.ts'

/** One call into the operating system's generator serves this many bytes: ids and jitter are drawn on the hot path. */
const POOL_BYTES = 8192
/** 53 bits: the whole precision of a number in [0, 1). */
const HIGH_STEP = 2 ** -27
const LOW_STEP = 2 ** -53

/** The machine's cryptographic random numbers, drawn in bulk. */
export const systemRandom: Random = createSystemRandom()

function createSystemRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES)
  let used = POOL_BYTES

  /** Where the next `length` unused bytes of the pool begin. */
  function take(length: number): number {
    if (used + length > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    const offset = used
    used += length
    return offset
  }

  return {
    next() {
      const offset = take(8)
      return (pool.readUInt32LE(offset) >>> 5) * HIGH_STEP + (pool.readUInt32LE(offset + 4) >>> 6) * LOW_STEP
    },
    bytes(length) {
      const bytes = new Uint8Array(length)
      if (length > POOL_BYTES) return randomFillSync(bytes)
      const offset = take(length)
      // A copy, and the pool's part is wiped: nobody else ever holds the bytes of this key. Byte by byte, because a view of
      // the pool costs more than the sixteen bytes of an id.
      for (let index = 0; index < length; index++) {
        bytes[index] = pool[offset + index] as number
        pool[offset + index] = 0
      }
      return bytes
    },
  }
}
