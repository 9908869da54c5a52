import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type RateLimitReading, RESET_UNITS } from '../../config/rate-limits.ts'
import type { Json } from '../../core/json.ts'
import { readRateLimits } from '../../policy/rate-limits/rate-limits.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { type LimitState, limitHeaders, limitInBody } from './limit-headers.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 12)

/** Policies are told by the choice of the recorded answer. */
const READINGS: RateLimitReading[] = [
  ...BUILT_IN_PROFILES.flatMap(({ rateLimits = [] }) => rateLimits.filter(({ kind }) => kind !== 'policy')),
  ...RESET_UNITS.map((unit): RateLimitReading => {
    return { kind: 'headers', name: unit, limit: 'x-lim', used: 'x-used', reset: { header: 'x-res', unit } }
  }),
]

const state = fc
  .record({
    limit: fc.integer({ min: 1, max: 1_000_000 }),
    used: fc.nat(1_000_000),
    resetInMs: fc.integer({ min: 1000, max: 3_600_000 }),
    cost: fc.integer({ min: 1, max: 100 }),
    restorePerSecond: fc.integer({ min: 1, max: 1000 }),
  })
  .map(({ limit, used, resetInMs, ...rest }): LimitState => {
    const resetAtMs = NOW_MS + resetInMs
    return { ...rest, limit, remaining: Math.max(0, limit - used), windowMs: 3_600_000, resetAtMs, bucket: 'core' }
  })

test('R049: what the twin writes of a limit, the client reads as it was meant', () => {
  fc.assert(
    fc.property(fc.constantFrom(...READINGS), state, (reading, sent) => {
      const headers = limitHeaders(reading, sent, NOW_MS)
      const body: Json = limitInBody(reading, sent, { data: null })
      const [read] = readRateLimits({ headers, body }, [reading], NOW_MS).filter(({ name }) =>
        name.startsWith(reading.name),
      )
      expect(read?.remaining).toBe(sent.remaining)
      const tellsLimit = reading.kind !== 'headers' || reading.limit !== undefined
      if (tellsLimit) expect(read?.limit).toBe(sent.limit)
      if (reading.kind === 'headers' && reading.reset) {
        // Rounded to whole seconds, never early.
        expect(read?.resetAtMs).toBeGreaterThanOrEqual(sent.resetAtMs as number)
        expect(read?.resetAtMs).toBeLessThan((sent.resetAtMs as number) + 1001)
      }
    }),
  )
})
