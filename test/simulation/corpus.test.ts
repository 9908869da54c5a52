/** Every scenario that has ever found something, again. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/system/system-clock.ts'
import { parseCorpusEntry } from '../../src/testing/simulator/corpus.ts'
import { openPool } from '../../tools/simulation/pool.ts'
import { CORPUS_FOLDER } from '../../tools/simulation/single.ts'

const files = existsSync(CORPUS_FOLDER) ? readdirSync(CORPUS_FOLDER).filter((file) => file.endsWith('.json')) : []

describe('the corpus', () => {
  test.for(files)('%s', { timeout: 90_000 }, async (file) => {
    const entry = parseCorpusEntry(readFileSync(join(CORPUS_FOLDER, file), 'utf8'), file)
    expect(`${entry.name}.json`).toBe(file)
    using pool = openPool({ clock: systemClock, jobs: 1 })
    const { violations } = await pool.run({ scenario: entry.scenario, twice: true, story: { about: 'violations' } })
    const replay = `npm run simulate -- --scenario test/simulation/corpus/${file}`
    expect(violations, `${entry.found}\n${replay}`).toEqual([])
  })

  test('is there', () => {
    expect(files.length).toBeGreaterThan(0)
  })
})
