import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scenarioProblems } from './corpus.ts'
import type { Scenario } from './scenario.ts'
import { shrinkScenario } from './shrink.ts'
import { testScenario } from './test-scenario.ts'

const recordsOf = ({ submissions }: Scenario) => submissions.flatMap(({ records }) => records)
const stepsOf = ({ pipelines }: Scenario) => pipelines.flatMap(({ steps }) => steps)

describe('shrinking', () => {
  it('leaves only what the failure needs, with simple numbers', async () => {
    const needed = (scenario: Scenario) =>
      recordsOf(scenario).some(({ id }) => id === 'r7') &&
      stepsOf(scenario).some(({ name, after }) => name === 'mail' && after.length > 0) &&
      scenario.troubles.some(({ kind }) => kind === 'crash')
    const { scenario, smallest } = await shrinkScenario(testScenario(40, 30), async (candidate) => needed(candidate))

    expect(smallest).toBe(true)
    expect(recordsOf(scenario)).toEqual([{ id: 'r7', key: 'key-r7', entity: 'r7' }])
    expect(scenario.troubles).toEqual([{ kind: 'crash', atMs: 0, machine: 'm2', crossings: 1, downMs: 1 }])
    expect(scenario.operations).toEqual([])
    expect(stepsOf(scenario)).toHaveLength(2)
    expect(stepsOf(scenario).at(-1)).toMatchObject({ name: 'mail', optional: false })
    expect(scenario.machines).toEqual([{ name: 'm2', skewMs: 0, workers: 1, concurrency: 1, settings: {} }])
  })

  it('a failure that needs nothing at all shrinks to one machine, one API and one step', async () => {
    const { scenario } = await shrinkScenario(testScenario(300, 50), async () => true)
    expect(scenario).toMatchObject({ troubles: [], operations: [], submissions: [], busyMs: 2 })
    expect([scenario.machines.length, scenario.apis.length, stepsOf(scenario).length]).toEqual([1, 1, 1])
  })

  it('tries only scenarios that can run, and adopts only those that fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 30 }), fc.infiniteStream(fc.boolean()), async (size, verdicts) => {
        let adopted = testScenario(size, size)
        const shrunk = await shrinkScenario(
          adopted,
          async (candidate) => {
            expect(scenarioProblems(candidate)).toEqual([])
            const fails = verdicts.next().value
            if (fails) adopted = candidate
            return fails
          },
          { mostRuns: 400 },
        )
        expect(shrunk.scenario).toBe(adopted)
      }),
      { numRuns: 60, seed: 1 },
    )
  })

  it('is deterministic, and stops when its runs are used up', async () => {
    const shrink = () =>
      shrinkScenario(testScenario(100, 40), async (each) => recordsOf(each).length >= 3, { mostRuns: 30 })
    const [one, other] = [await shrink(), await shrink()]
    expect(one).toEqual(other)
    expect(one).toMatchObject({ runs: 30, smallest: false })
    expect(one.scenario.troubles).toEqual([])
  })

  it('never gets back to where it was: simplifying ends although everything still fails', async () => {
    const seen = new Set<string>()
    await shrinkScenario(testScenario(6, 6), async (candidate) => {
      const text = JSON.stringify(candidate)
      expect(seen.has(text)).toBe(false)
      seen.add(text)
      return true
    })
    expect(seen.size).toBeGreaterThan(5)
  })
})
