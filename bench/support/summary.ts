/** From measurements to tables: medians, ranges and ratios. */
import type { BenchCase, Comparison } from './bench-case.ts'
import type { Delays, Measured } from './stopwatch.ts'

export interface CaseResult {
  readonly case: BenchCase
  /** By contender, one entry per repetition, in order. */
  readonly measurements: ReadonlyMap<string, readonly Measured[]>
}

/** More foreign CPU than this, and a figure says as much about the neighbours as about the contender. */
export const DISTURBED_CORES = 0.35

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Ratio {
  readonly contender: string
  readonly against: string
  /** Of speeds, repetition by repetition: neighbours in time, so that a slow minute of the disk hits both. */
  readonly spread: Spread
  readonly atLeast: number | undefined
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

export function perSecond({ operations, elapsedMs }: Measured): number {
  return (operations / elapsedMs) * 1000
}

function speedOf(measured: Measured, by: Comparison['by']): number {
  return by === undefined ? perSecond(measured) : 1 / (measured.delays?.[by] ?? Number.NaN)
}

export function ratiosOf(result: CaseResult): Ratio[] {
  return result.case.comparisons.map((comparison) => ratioOf(result, comparison))
}

function ratioOf({ measurements }: CaseResult, { contender, against, atLeast, by }: Comparison): Ratio {
  const own = measurements.get(contender) ?? []
  const others = measurements.get(against) ?? []
  const ratios = own.flatMap((measured, index) => {
    const other = others[index]
    return other ? [speedOf(measured, by) / speedOf(other, by)] : []
  })
  return { contender, against: by ? `${against} (${by.slice(0, 3)})` : against, atLeast, spread: spreadOf(ratios) }
}

/** The tables of a run, in Markdown. */
export function toMarkdown(results: readonly CaseResult[]): string {
  const lines = [
    '| case | contender | median (min-max) | CPU us per operation | foreign cores |',
    '|---|---|---|---|---|',
  ]
  for (const { case: benchCase, measurements } of results) {
    for (const [contender, measured] of measurements) {
      const cpu = cpuText(measured)
      const foreign = spreadOf(measured.map(({ foreignCores }) => foreignCores))
      const disturbed = foreign.median > DISTURBED_CORES ? ' (disturbed)' : ''
      const cells = [benchCase.name, contender, shown(benchCase, measured), cpu]
      lines.push(`| ${cells.join(' | ')} | ${foreign.median.toFixed(2)}${disturbed} |`)
    }
  }
  lines.push('', '| case | Holdfast, as | against | times its speed, median (min-max) | expected |')
  lines.push('|---|---|---|---|---|')
  for (const result of results) {
    for (const ratio of ratiosOf(result)) {
      const cells = [result.case.name, ratio.contender, ratio.against, spreadText(ratio.spread, ratioText)]
      lines.push(`| ${cells.join(' | ')} | ${verdictText(ratio)} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function verdictText({ atLeast, spread }: Ratio): string {
  if (atLeast === undefined) return ''
  return `at least ${atLeast}: ${spread.median >= atLeast ? 'met' : 'NOT MET'}`
}

/** Of the contender's own process, and where a server did part of the work, of that. */
function cpuText(measured: readonly Measured[]): string {
  const own = spreadOf(measured.map(({ cpuMs, operations }) => (cpuMs * 1000) / operations)).median
  const server = spreadOf(measured.map(({ helperCpuMs, operations }) => (helperCpuMs * 1000) / operations)).median
  return server === 0 ? own.toFixed(2) : `${own.toFixed(1)} + ${server.toFixed(1)}`
}

/** What was measured of one contender, for people. */
export function shown({ shownAs }: BenchCase, measured: readonly Measured[]): string {
  if (shownAs === 'operations per second') return `${spreadText(spreadOf(measured.map(perSecond)), wholeNumber)} /s`
  if (shownAs === 'milliseconds of delay')
    return `p50 ${delayText(measured, 'p50Ms')}, p99 ${delayText(measured, 'p99Ms')} ms`
  return `${spreadText(spreadOf(measured.map((one) => 1_000_000 / perSecond(one))), (value) => value.toFixed(2))} us`
}

function delayText(measured: readonly Measured[], quantile: keyof Delays): string {
  return spreadText(spreadOf(measured.map(({ delays }) => delays?.[quantile] ?? Number.NaN)), ratioText)
}

function spreadText({ median, min, max }: Spread, format: (value: number) => string): string {
  return min === max ? format(median) : `${format(median)} (${format(min)}-${format(max)})`
}

function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function ratioText(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(2)
}
