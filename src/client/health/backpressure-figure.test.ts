import { describe, expect, test } from 'vitest'
import { fixedWindow, pressOn, slidingWindow, tokenBucket, type Vendor } from '../../../test/support/limited-vendor.ts'
import type { IntegrationSettings } from '../../config/settings.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** What is asked of all of this: at most 1 % of the calls are answered 429 while 95 % of what the API gives is used. */
describe('R050: nearly all of what an API gives, and hardly ever a 429', () => {
  test.each<[string, () => Vendor, number, Partial<IntegrationSettings['limits']>]>([
    ['a fixed window, 100 in 10 s', () => fixedWindow(100, 10_000), 10 * MINUTE_MS, {}],
    ['a sliding window, 100 in 10 s', () => slidingWindow(100, 10_000), 20 * MINUTE_MS, {}],
    [
      'a bucket of 20 a second that tells nothing',
      () => tokenBucket(20, 40),
      15 * MINUTE_MS,
      { concurrency: 20, adaptive: { min: 1 } },
    ],
    ['a quota of 2,000 a day', () => fixedWindow(2000, DAY_MS), DAY_MS, {}],
  ])('%s', async (_, vendor, spanMs, limits) => {
    for (const workers of [1, 4]) {
      const outcome = await pressOn({
        vendor: vendor(),
        workers,
        callersPerWorker: 12 / workers,
        spanMs,
        syncEveryMs: spanMs > 3_600_000 ? 60_000 : 1000,
        limits: { concurrency: 10, ...limits },
      })
      expect(outcome.throttledShare, `${workers} workers`).toBeLessThanOrEqual(0.01)
      expect(outcome.usedShare, `${workers} workers`).toBeGreaterThanOrEqual(0.95)
    }
  })
})
