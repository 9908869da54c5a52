import { test } from 'vitest'
import { randomInteger } from '../../src/core/random.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { expectSeedsToPass, FRESH_SEEDS, SEEDS_LIMIT_MS } from './support/run-seeds.ts'

// The name says which: whatever fails can be run again.
const from = randomInteger(systemRandom, 1_000_000, 1_000_000_000)

test(`seeds that nobody has seen before: ${from} to ${from + FRESH_SEEDS - 1}`, { timeout: SEEDS_LIMIT_MS }, () =>
  expectSeedsToPass(from, FRESH_SEEDS),
)
