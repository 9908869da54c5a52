import { describe, expect, it } from 'vitest'
import { formatCorpusEntry, parseCorpusEntry, parseScenario, scenarioProblems } from './corpus.ts'
import type { Scenario } from './scenario.ts'
import { testScenario } from './test-scenario.ts'

const scenario = testScenario(4, 6)

describe('the corpus', () => {
  const entry = { name: 'lost-wake-up', found: '2026-11-23: a wake-up was lost', scenario }

  it('what is written can be read again, as an entry and as a scenario', () => {
    const text = formatCorpusEntry(entry)
    expect(parseCorpusEntry(text, 'lost-wake-up.json')).toEqual(entry)
    expect(parseScenario(text, 'lost-wake-up.json')).toEqual(scenario)
    expect(parseScenario(JSON.stringify(scenario), 'plain.json')).toEqual(scenario)
  })

  it.each([
    ['{', /no JSON/],
    ['null', /name and say what it found/],
    ['{"name":"x","found":"y"}', /no scenario in it/],
    ['{"name":"x","found":"y","scenario":{"seed":"1"}}', /needs a seed, busyMs and the lists/],
  ])('a file that holds %s is refused, by its name', (text, message) => {
    expect(() => parseCorpusEntry(text, 'bad.json')).toThrow(message)
    expect(() => parseCorpusEntry(text, 'bad.json')).toThrow(/^bad\.json/)
  })
})

describe('a scenario that names what is not there is refused', () => {
  const [machine] = scenario.machines
  it.each<[string, Partial<Scenario>, string]>([
    ['machine', { machines: machine ? [{ ...machine, name: 'other' }] : [] }, 'names "m1"'],
    ['machines', { machines: [] }, 'it has no machines'],
    ['API', { apis: scenario.apis.slice(1) }, 'step onboard/look names "crm"'],
    ['pipeline', { pipelines: scenario.pipelines.slice(1) }, 'the submission at 0 ms names "onboard"'],
    ['steps', { pipelines: [{ name: 'onboard', steps: [] }] }, 'pipeline onboard has no steps'],
    [
      'step',
      { pipelines: [{ name: 'x', steps: [{ name: 'a', kind: 'read', api: 'crm', after: ['b'], optional: false }] }] },
      'step x/a, `after` names "b"',
    ],
  ])('%s', (_what, change, problem) => {
    expect(scenarioProblems(scenario)).toEqual([])
    expect(scenarioProblems({ ...scenario, ...change }).join('\n')).toContain(problem)
  })
})
