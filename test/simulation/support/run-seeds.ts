/** Seeds as a test: the same program as `npm run simulate`, in a process of its own. */
import { expect } from 'vitest'
import { systemClock } from '../../../src/system/system-clock.ts'
import { FEWEST_ITEMS } from '../../../src/testing/simulator/draw/submissions.ts'
import { FEWEST_TROUBLES } from '../../../src/testing/simulator/draw/troubles.ts'
import { runCampaign } from '../../../tools/simulation/campaign.ts'
import { openPool } from '../../../tools/simulation/pool.ts'
import { failuresText } from '../../../tools/simulation/summary.ts'

/** What `npm test` runs of them, in each of its two files; about half a minute each. */
export const FIXED_SEEDS_PER_FILE = 35
export const FRESH_SEEDS = 3
/** Under load; a seed that hangs is told of by the pool long before. */
export const SEEDS_LIMIT_MS = 300_000

/** Fails with what was violated and the commands that replay it. */
export async function expectSeedsToPass(from: number, count: number): Promise<void> {
  using pool = openPool({ clock: systemClock, jobs: 1 })
  const seeds = Array.from({ length: count }, (_, index) => String(from + index))
  const result = await runCampaign({ seeds, twice: false, bail: false }, { pool, clock: systemClock })
  expect(failuresText(result, { colours: PLAIN })).toBe('')
  expect(result.seeds).toBe(count)
  // A simulator that does nothing finds nothing: each seed has hundreds of items and dozens of troubles, not only the average one.
  expect(result.perSeed.items.least).toBeGreaterThanOrEqual(FEWEST_ITEMS)
  expect(result.perSeed.troubles.least).toBeGreaterThanOrEqual(FEWEST_TROUBLES)
}

const same = (text: string) => text
const PLAIN = { good: same, bad: same, warn: same, dim: same, strong: same, accent: same }
