/** The simulator is worth what it catches: every sabotage of the list, by the check that is there for it. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runSabotaged, sabotaged } from './sabotaged-copy.ts'
import { SABOTAGES } from './sabotages.ts'

/** A minute of simulation. The first seed is the one that has caught it; the others are for when the draws have changed. */
const MOST_SEEDS = 100
const LIMIT_MS = 120_000

describe('sabotage is caught', () => {
  test.for(SABOTAGES)('$name', { timeout: LIMIT_MS }, async (sabotage) => {
    const { exitCode, failed } = await runSabotaged(sabotage, MOST_SEEDS)
    expect(exitCode).toBe(1)
    const violated = new Set(failed.flatMap(({ violations }) => violations.map(({ check }) => check)))
    expect(violated).toContain(sabotage.check)
  })

  test('a sabotage whose place is gone, or there twice, fails loudly', () => {
    const [sabotage] = SABOTAGES
    if (!sabotage) throw new Error('no sabotage')
    const source = readFileSync(resolve(import.meta.dirname, '../../..', sabotage.file), 'utf8')
    expect(() => sabotaged('', sabotage)).toThrow(/exactly once, not 0 times/)
    expect(() => sabotaged(source + source, sabotage)).toThrow(/exactly once, not 2 times/)
  })
})
