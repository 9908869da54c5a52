/**
 * How long calls took, as counts in buckets of 16 steps per power of two: bounded memory, one addition per call, and sketches
 * of several processes and days add up to that of all their calls. Quantiles are within {@link RELATIVE_ERROR}.
 */

/** From 1 ms on; below that within 1/32 ms. */
export const RELATIVE_ERROR = 1 / 33

/** A count per bucket. Made by {@link newSketch}. */
export type LatencySketch = Uint32Array

/** Buckets divide sixteenths of a millisecond. */
const UNITS_PER_MS = 16
/** Longer ones count as this: 2.3 h. */
const MAX_UNITS = 2 ** 27 - 1
const BUCKETS = bucketOf(MAX_UNITS) + 1
const LARGEST_COUNT = 2 ** 32 - 1

export function newSketch(): LatencySketch {
  return new Uint32Array(BUCKETS)
}

export function addLatency(sketch: LatencySketch, latencyMs: number): void {
  const units = latencyMs * UNITS_PER_MS
  const bucket = bucketOf(units < MAX_UNITS ? units | 0 : MAX_UNITS)
  sketch[bucket] = (sketch[bucket] as number) + 1
}

/** Adds what `from` has counted to `into`. */
export function mergeSketch(into: LatencySketch, from: LatencySketch): void {
  for (const [bucket, count] of from.entries()) {
    if (count > 0) into[bucket] = Math.min(LARGEST_COUNT, (into[bucket] as number) + count)
  }
}

export function countOf(sketch: LatencySketch): number {
  return sketch.reduce((sum, count) => sum + count, 0)
}

/**
 * The latency that a share of all calls did not exceed, in ms (nearest rank). `undefined` without calls, and where it lies
 * among those that were cut off.
 * @param quantile 0 < quantile <= 1
 * @param cutOff Further calls, which would have taken longer than all that are counted.
 */
export function quantileOf(sketch: LatencySketch, quantile: number, cutOff = 0): number | undefined {
  const rank = Math.max(1, Math.ceil(quantile * (countOf(sketch) + cutOff)))
  let seen = 0
  for (const [bucket, count] of sketch.entries()) {
    seen += count
    if (count > 0 && seen >= rank) return middleOf(bucket)
  }
  return undefined
}

/** Short text: for each bucket in use how far it is from the one before, and its count, in base 36. */
export function sketchToText(sketch: LatencySketch): string {
  const words: string[] = []
  let last = 0
  for (const [bucket, count] of sketch.entries()) {
    if (count === 0) continue
    words.push(`${(bucket - last).toString(36)}.${count.toString(36)}`)
    last = bucket
  }
  return words.join(' ')
}

/** `undefined` where it is no such text. */
export function sketchFromText(text: string): LatencySketch | undefined {
  const sketch = newSketch()
  if (text === '') return sketch
  let bucket = 0
  for (const word of text.split(' ')) {
    const [, step, digits] = WORD.exec(word) ?? []
    if (step === undefined || digits === undefined) return undefined
    const count = Number.parseInt(digits, 36)
    bucket += Number.parseInt(step, 36)
    if (bucket >= BUCKETS || count > LARGEST_COUNT) return undefined
    sketch[bucket] = count
  }
  return sketch
}

const WORD = /^([0-9a-z]+)\.([0-9a-z]+)$/

/** Whole units: the highest bit names the power of two, the next four the step. */
function bucketOf(units: number): number {
  if (units < 16) return units
  const exponent = 31 - Math.clz32(units)
  return (exponent - 3) * 16 + ((units >>> (exponent - 4)) & 15)
}

/** The value whose relative distance to both ends of the bucket is the same. */
function middleOf(bucket: number): number {
  if (bucket < 16) return (bucket + 0.5) / UNITS_PER_MS
  const step = 2 ** ((bucket >> 4) - 1)
  const low = (16 + (bucket & 15)) * step
  const high = low + step
  return (2 * low * high) / (low + high) / UNITS_PER_MS
}
