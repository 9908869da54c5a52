import { test } from 'vitest'
import { expectSeedsToPass, FIXED_SEEDS_PER_FILE, SEEDS_LIMIT_MS } from './support/run-seeds.ts'

test('the first half of the fixed seeds', { timeout: SEEDS_LIMIT_MS }, () => expectSeedsToPass(1, FIXED_SEEDS_PER_FILE))
