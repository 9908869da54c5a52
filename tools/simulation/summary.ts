/** What a person reads after many seeds: what was found, what was really exercised, what to do next. */
import type { Colours } from '../../src/cli/output/colours.ts'
import { table } from '../../src/cli/output/table.ts'
import { formatCount } from '../../src/cli/output/time.ts'
import { formatDuration } from '../../src/core/duration.ts'
import { REQUIRED_COVERAGE } from '../../src/testing/simulator/required-coverage.ts'
import { type CampaignResult, COVERAGE_COUNTS_FROM, hasPassed, type Spread } from './campaign.ts'
import type { Report } from './orders.ts'

/** More failing seeds than these are only named: the first ones say enough. */
const MOST_FAILURES_SHOWN = 20
const MOST_NAMED = 8
const REQUIRED: ReadonlySet<string> = new Set(REQUIRED_COVERAGE)

interface Look {
  readonly width: number
  readonly colours: Colours
}

export function replayCommand(seed: string): string {
  return `npm run simulate -- --seed ${seed}`
}

export function campaignText(result: CampaignResult, look: Look): string {
  const blocks = [coverageText(result, look), slowestText(result), failuresText(result, look), totalsText(result, look)]
  return blocks.filter((block) => block !== '').join('\n\n')
}

/** The failing seeds alone, with what to do: for a test that fails. */
export function failuresText({ failed, seeds }: CampaignResult, { colours }: Pick<Look, 'colours'>): string {
  if (failed.length === 0) return ''
  const shown = failed.slice(0, MOST_FAILURES_SHOWN).map((report) => failureText(report, colours))
  const all = failed.length > shown.length ? ['', `  all of them: ${failed.map(({ seed }) => seed).join(' ')}`] : []
  const byCheck = countBy(failed.flatMap(({ violations }) => [...new Set(violations.map(({ check }) => check))]))
  const heading = `${formatCount(failed.length)} of ${formatCount(seeds)} seeds failed`
  const checks = byCheck.map(([check, count]) => `  ${formatCount(count).padStart(6)}  ${check}`)
  return [colours.bad(heading), ...checks, '', ...shown, ...all].join('\n')
}

function failureText({ seed, violations }: Report, colours: Colours): string {
  const [first] = violations
  if (!first) return ''
  const others = violations.length > 1 ? colours.dim(` (and ${violations.length - 1} more)`) : ''
  const message = first.message.split('\n').slice(0, 12).join('\n    ')
  return `  ${colours.bad(`seed ${seed}`)}: ${first.check}: ${message}${others}\n    ${colours.accent(replayCommand(seed))}`
}

/** Counters by group, the required ones marked where they are missing. */
function coverageText({ coverage, seeds, coverageCounts }: CampaignResult, { width, colours }: Look): string {
  if (seeds === 0) return ''
  const names = [...new Set([...Object.keys(coverage), ...REQUIRED_COVERAGE])].sort()
  const rows = names.map((name) => ({ name, count: coverage[name] ?? 0 }))
  return table(
    [
      { title: 'exercised', value: ({ name }) => name, flexible: true },
      {
        title: 'times',
        value: ({ name, count }) => (count === 0 && REQUIRED.has(name) ? 'NEVER' : formatCount(count)),
        align: 'right',
        paint: (text, { count }) => (count > 0 ? text : coverageCounts ? colours.bad(text) : colours.warn(text)),
      },
    ],
    rows,
    { width: Math.min(width, 100), heading: colours.dim },
  )
}

function slowestText({ slowest, seeds }: CampaignResult): string {
  if (seeds < 2) return ''
  const lines = slowest.map(
    ({ seed, tookMs, summary }) => `  ${formatDuration(tookMs).padStart(6)}  seed ${seed}  ${summary}`,
  )
  return ['slowest', ...lines].join('\n')
}

function totalsText(result: CampaignResult, { colours }: Look): string {
  const { seeds, wanted, facts, items, troubles, perSeed, virtualMs, tookMs, comparedTwice } = result
  const perSecond = tookMs > 0 ? (seeds * 1000) / tookMs : 0
  const lines = [
    `${formatCount(seeds)} seeds in ${formatDuration(tookMs)} (${perSecond.toFixed(1)} per second), ${formatDuration(virtualMs)} of virtual time`,
    `${formatCount(items)} items, ${formatCount(troubles)} troubles, ${formatCount(facts)} facts; ${formatCount(comparedTwice)} seeds run twice`,
    `per seed: ${spreadText(perSeed.items, 'items')}, ${spreadText(perSeed.troubles, 'troubles')}`,
  ]
  if (seeds < wanted)
    lines.push(colours.warn(`ended before its end: ${formatCount(wanted - seeds)} seeds were not run`))
  return [...lines, verdictText(result, colours)].join('\n')
}

function spreadText({ least, median }: Spread, what: string): string {
  return `at least ${formatCount(least)} ${what} (median ${formatCount(median)})`
}

function verdictText(result: CampaignResult, colours: Colours): string {
  const { failed, neverExercised, coverageCounts } = result
  const missing = `never exercised: ${neverExercised.length} of ${REQUIRED.size} (${neverExercised.slice(0, MOST_NAMED).join('; ')}${neverExercised.length > MOST_NAMED ? '; ...' : ''})`
  const notes = neverExercised.length > 0 ? [coverageCounts ? colours.bad(missing) : colours.warn(missing)] : []
  if (neverExercised.length > 0 && !coverageCounts) {
    notes.push(colours.dim(`(a note only: it counts from ${COVERAGE_COUNTS_FROM} seeds on)`))
  }
  if (hasPassed(result)) return [...notes, colours.good('no violation')].join('\n')
  return [...notes, colours.bad(`FAILED${failed.length > 0 ? '' : ': not everything was exercised'}`)].join('\n')
}

function countBy(names: readonly string[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}
