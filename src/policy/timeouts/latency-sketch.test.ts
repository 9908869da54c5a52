import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addLatency,
  countOf,
  type LatencySketch,
  mergeSketch,
  newSketch,
  quantileOf,
  RELATIVE_ERROR,
  sketchFromText,
  sketchToText,
} from './latency-sketch.ts'

/** From a microsecond to two hours, each power of ten as likely as the other. */
const latency = fc.double({ min: -3, max: 6.85, noNaN: true }).map((power) => 10 ** power)
const latencies = fc.array(latency, { minLength: 1, maxLength: 200 })

function sketchOf(values: readonly number[]): LatencySketch {
  const sketch = newSketch()
  for (const value of values) addLatency(sketch, value)
  return sketch
}

function merged(...sketches: readonly LatencySketch[]): LatencySketch {
  const all = newSketch()
  for (const sketch of sketches) mergeSketch(all, sketch)
  return all
}

/** Nearest rank, by the definition. */
function exactQuantile(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1] as number
}

describe('R152: a sketch of latencies', () => {
  test('knows every quantile to within 5 %', () => {
    expect(RELATIVE_ERROR).toBeLessThan(0.05)
    fc.assert(
      fc.property(latencies, fc.double({ min: 0.001, max: 1, noNaN: true }), (values, quantile) => {
        const exact = exactQuantile(values, quantile)
        const estimate = quantileOf(sketchOf(values), quantile) as number
        // The last bits of floating point are not the sketch's.
        const allowed = exact >= 1 ? exact * (RELATIVE_ERROR + 1e-9) : 1 / 32 + 1e-9
        expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(allowed)
      }),
      { numRuns: 1000 },
    )
  })

  test('merges to the sketch of all calls, in any order and grouping', () => {
    fc.assert(
      fc.property(latencies, latencies, latencies, (one, two, three) => {
        const [a, b, c] = [sketchOf(one), sketchOf(two), sketchOf(three)] as const
        const whole = sketchOf([...one, ...two, ...three])
        expect(merged(a, b, c)).toEqual(whole)
        expect(merged(c, a, b)).toEqual(whole)
        expect(merged(merged(a, b), c)).toEqual(merged(a, merged(b, c)))
        expect(countOf(whole)).toBe(one.length + two.length + three.length)
      }),
    )
  })

  test('comes back from its text as it was', () => {
    fc.assert(
      fc.property(latencies, (values) => {
        const sketch = sketchOf(values)
        expect(sketchFromText(sketchToText(sketch))).toEqual(sketch)
      }),
    )
    expect(sketchFromText('')).toEqual(newSketch())
  })

  test.for(['x', '1.', '1.1  1.1', '-1.1', '1.1 zzz.1', '0.zzzzzzzz'])('takes no damaged text: %j', (text) => {
    expect(sketchFromText(text)).toBeUndefined()
  })

  test('what was cut off lies above all that is known', () => {
    const sketch = sketchOf(Array.from({ length: 98 }, () => 100))
    expect(quantileOf(sketch, 0.99)).toBeCloseTo(100, -1)
    expect(quantileOf(sketch, 0.95, 2)).toBeCloseTo(100, -1)
    expect(quantileOf(sketch, 0.99, 2)).toBeUndefined()
    expect(quantileOf(newSketch(), 0.5)).toBeUndefined()
  })

  test('stays bounded whatever comes', () => {
    const sketch = sketchOf([0, 1e-9, 1e12, Number.POSITIVE_INFINITY])
    expect(sketch.byteLength).toBeLessThan(2000)
    expect(quantileOf(sketch, 1)).toBeGreaterThan(8_000_000)
    mergeSketch(sketch, new Uint32Array(sketch.length).fill(2 ** 32 - 1))
    expect(Math.max(...sketch)).toBe(2 ** 32 - 1)
  })
})
