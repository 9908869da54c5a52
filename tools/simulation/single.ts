/** One scenario: its story, the smallest scenario that fails the same way, its place in the corpus. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Output } from '../../src/cli/output/output.ts'
import { configurationError, messageOf } from '../../src/core/errors.ts'
import { type CorpusEntry, formatCorpusEntry, parseScenario } from '../../src/testing/simulator/corpus.ts'
import { drawScenario } from '../../src/testing/simulator/draw/index.ts'
import { timeText } from '../../src/testing/simulator/readable-trace.ts'
import type { Scenario } from '../../src/testing/simulator/scenario.ts'
import { type ShrinkProgress, shrinkScenario } from '../../src/testing/simulator/shrink.ts'
import type { Order, Report } from './orders.ts'
import type { Pool } from './pool.ts'

export interface SingleOrders {
  readonly scenario: Scenario
  /** Items and runs to tell about; default: what the violations are about, or all where there are none. */
  readonly items: readonly string[]
  readonly all: boolean
  readonly twice: boolean
  readonly shrink: boolean
  /** Which must stay violated while it is shrunk; default: the first that is. */
  readonly check: string | undefined
  /** Ends the shrinking. */
  readonly signal: AbortSignal
  /** Name in the corpus. */
  readonly keep: string | undefined
  /** What it found, for the corpus. */
  readonly found: string | undefined
  /** `2026-11-23`, for the corpus. */
  readonly today: string
}

export interface SingleResult {
  readonly report: Report
  readonly scenario: Scenario
  readonly shrunk: { readonly runs: number; readonly smallest: boolean } | undefined
  /** Path of the corpus file. */
  readonly kept: string | undefined
}

export const CORPUS_FOLDER = fileURLToPath(new URL('../../test/simulation/corpus/', import.meta.url))

/** @throws HoldfastError `invalid_corpus_entry`, `no_such_file` */
export function scenarioFrom(seed: string | undefined, file: string | undefined): Scenario {
  if (file === undefined) return drawScenario(seed ?? '')
  return parseScenario(readText(resolve(file)), basename(file))
}

export async function runSingle(orders: SingleOrders, pool: Pool, output: Output): Promise<SingleResult> {
  const { scenario, twice } = orders
  const first = await pool.run({ scenario, twice, story: storyOf(orders) })
  if (orders.shrink && first.violations.length === 0) {
    output.note('Nothing fails: there is nothing to shrink.')
    return { report: { ...first, story: [] }, scenario, shrunk: undefined, kept: keep(orders, scenario, first) }
  }
  if (!orders.shrink) return { report: first, scenario, shrunk: undefined, kept: keep(orders, scenario, first) }
  const shrunk = await shrink(orders, first, pool, output)
  const report = await pool.run({ scenario: shrunk.scenario, twice, story: storyOf(orders) })
  return { report, scenario: shrunk.scenario, shrunk, kept: keep(orders, shrunk.scenario, report) }
}

export function singleText({ report, shrunk, kept }: SingleResult, output: Output): string {
  const { colours } = output
  const verdict =
    report.violations.length === 0
      ? [colours.good('no violation')]
      : report.violations.map(
          ({ check, message, atMs }) =>
            `${colours.bad(check)} ${colours.dim(`at ${timeText(atMs)}`)}\n  ${message.split('\n').join('\n  ')}`,
        )
  const size = `seed ${report.seed}: ${report.summary}; ${report.facts} facts, trace ${report.traceHash.slice(0, 16)}`
  const how = shrunk && `shrunk in ${shrunk.runs} runs${shrunk.smallest ? '' : ' (ended before it was smallest)'}`
  return [
    ...report.story,
    '',
    colours.dim(size),
    ...(how ? [colours.dim(how)] : []),
    ...(kept ? [colours.dim(`kept as ${kept}`)] : []),
    ...verdict,
  ].join('\n')
}

/** Fails in the same way: by the same check. */
async function shrink(orders: SingleOrders, first: Report, pool: Pool, output: Output) {
  const { scenario, signal, check = first.violations[0]?.check } = orders
  const stillFails = async (candidate: Scenario): Promise<boolean> => {
    const { violations } = await pool.run({ scenario: candidate })
    return violations.some((violation) => violation.check === check)
  }
  let shownSize = Number.POSITIVE_INFINITY
  return await shrinkScenario(scenario, stillFails, {
    signal,
    onTried({ runs, part, scenario: smallest }: ShrinkProgress) {
      const size = JSON.stringify(smallest).length
      if (size >= shownSize * 0.8) return
      shownSize = size
      output.note(`${runs} runs, ${part}: ${sizeText(smallest)}`)
    },
  })
}

function sizeText({ submissions, troubles, operations, pipelines, machines }: Scenario): string {
  const records = submissions.reduce((sum, submission) => sum + submission.records.length, 0)
  const steps = pipelines.reduce((sum, pipeline) => sum + pipeline.steps.length, 0)
  return `${machines.length} machines, ${steps} steps, ${records} records, ${troubles.length} troubles, ${operations.length} operations`
}

function storyOf({ items, all }: SingleOrders): NonNullable<Order['story']> {
  if (all) return { about: 'all' }
  return { about: items.length > 0 ? items : 'violations' }
}

function keep({ keep: name, found, today }: SingleOrders, scenario: Scenario, report: Report): string | undefined {
  if (name === undefined) return undefined
  const [violation] = report.violations
  const what = found ?? (violation ? `${violation.check}: ${violation.message.split('\n')[0]}` : 'kept by hand')
  const entry: CorpusEntry = { name, found: `${today}: ${what}`, scenario }
  const file = resolve(CORPUS_FOLDER, `${name}.json`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, formatCorpusEntry(entry))
  return file
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw configurationError('no_such_file', `${file} cannot be read: ${messageOf(error)}`, 'Check the path.')
  }
}
