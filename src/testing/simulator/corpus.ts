/** Scenarios that have found something, stored beside what they found, so that they are replayed for ever. */
import { configurationError, type HoldfastError, messageOf } from '../../core/errors.ts'
import type { Scenario } from './scenario.ts'

export interface CorpusEntry {
  /** Also the name of its file. */
  readonly name: string
  /** When, and what it found: `2026-11-23: a settlement was lost when ...`. */
  readonly found: string
  readonly scenario: Scenario
}

/** The text of a corpus file. Ends with a line break; parsing it gives the same entry. */
export function formatCorpusEntry(entry: CorpusEntry): string {
  return `${JSON.stringify(entry, null, 2)}\n`
}

/** @throws HoldfastError `invalid_corpus_entry` naming the file and what is wrong with it. */
export function parseCorpusEntry(text: string, file: string): CorpusEntry {
  const entry = parseJson(text, file) as Partial<CorpusEntry> | null
  if (!entry || typeof entry.name !== 'string' || typeof entry.found !== 'string') {
    throw invalid(file, 'it must have a name and say what it found')
  }
  return { name: entry.name, found: entry.found, scenario: checked(entry.scenario, file) }
}

/**
 * A scenario from a file: by itself, or as an entry of the corpus.
 * @throws HoldfastError `invalid_corpus_entry` naming the file and what is wrong with it.
 */
export function parseScenario(text: string, file: string): Scenario {
  const value = parseJson(text, file) as { scenario?: unknown } | null
  return checked(value?.scenario ?? value, file)
}

/** What keeps a scenario from running: parts that are missing, or name others that are not there. Empty: nothing. */
export function scenarioProblems(scenario: Scenario): readonly string[] {
  const missing = LISTS.filter((name) => !Array.isArray(scenario[name]))
  if (typeof scenario.seed !== 'string' || typeof scenario.busyMs !== 'number' || missing.length > 0) {
    return [`it needs a seed, busyMs and the lists ${LISTS.join(', ')}; missing: ${missing.join(', ') || 'no list'}`]
  }
  const machines = new Set(scenario.machines.map(({ name }) => name))
  const apis = new Set(scenario.apis.map(({ name }) => name))
  const pipelines = new Set(scenario.pipelines.map(({ name }) => name))
  const problems: string[] = []
  const mustKnow = (known: ReadonlySet<string>, name: string | undefined, where: string): void => {
    if (name !== undefined && !known.has(name)) problems.push(`${where} names "${name}", which is not there`)
  }
  for (const name of ['machines', 'apis', 'pipelines'] as const) {
    if (scenario[name].length === 0) problems.push(`it has no ${name}`)
  }
  for (const { name, steps } of scenario.pipelines) {
    const earlier = new Set<string>()
    if (steps.length === 0) problems.push(`pipeline ${name} has no steps`)
    for (const step of steps) {
      mustKnow(apis, step.api, `step ${name}/${step.name}`)
      for (const before of step.after) mustKnow(earlier, before, `step ${name}/${step.name}, \`after\``)
      earlier.add(step.name)
    }
  }
  for (const { machine, pipeline, atMs } of scenario.submissions) {
    mustKnow(machines, machine, `the submission at ${atMs} ms`)
    mustKnow(pipelines, pipeline, `the submission at ${atMs} ms`)
  }
  for (const { machine, what } of scenario.operations) mustKnow(machines, machine, `operation ${what}`)
  for (const trouble of scenario.troubles) {
    if ('machine' in trouble) mustKnow(machines, trouble.machine, `trouble ${trouble.kind}`)
    if ('api' in trouble) mustKnow(apis, trouble.api, `trouble ${trouble.kind}`)
  }
  return problems
}

const LISTS = ['machines', 'apis', 'pipelines', 'submissions', 'troubles', 'operations'] as const

function checked(value: unknown, file: string): Scenario {
  if (typeof value !== 'object' || value === null) throw invalid(file, 'there is no scenario in it')
  const scenario = value as Scenario
  const problems = scenarioProblems(scenario)
  if (problems.length > 0) throw invalid(file, problems.join('; '))
  return scenario
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(file, `it is no JSON: ${messageOf(error)}`)
  }
}

function invalid(file: string, what: string): HoldfastError {
  return configurationError(
    'invalid_corpus_entry',
    `${file} is no scenario: ${what}`,
    'Scenarios are written by `npm run simulate -- --seed SEED --shrink --keep NAME`.',
  )
}
