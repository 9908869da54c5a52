/** What was observed of timeouts, for a person: one finding, and with `--timeouts` the table and what to write. */
import { stringify } from 'yaml'
import { formatDuration } from '../../core/duration.ts'
import type { TimeoutAdvice, TimeoutSuggestions } from '../../engine/api.ts'
import type { Output } from '../output/output.ts'
import { printable } from '../output/printable.ts'
import { formatCount } from '../output/time.ts'
import { attention, type Finding, ok } from './finding.ts'

const MORE = 'holdfast doctor --timeouts'

interface Line extends TimeoutAdvice {
  readonly name: string
  readonly category: string
}

export function judgeTimeouts(suggestions: TimeoutSuggestions): Finding {
  const lines = linesOf(suggestions)
  const changes = lines.filter(({ suggestedMs }) => suggestedMs !== undefined)
  const losing = lines.filter(
    ({ verdict, cutOff }) => cutOff > 0 && (verdict === 'too_short' || verdict === 'too_slow'),
  )
  const [worst] = losing
  if (worst) {
    const others = losing.length > 1 ? `; and ${formatCount(losing.length - 1)} more` : ''
    return attention('timeouts', `${worst.name}, ${worst.timeout}: ${worst.why}${others}`, MORE)
  }
  if (changes.length > 0) {
    const what = `${formatCount(changes.length)} could fit better what was observed`
    return ok('timeouts', what, MORE)
  }
  const known = lines.filter(({ verdict }) => verdict !== 'too_few_calls')
  if (known.length === 0) return ok('timeouts', 'every call has one; too few calls were seen to say whether they fit')
  return ok('timeouts', 'they fit what was observed')
}

export function timeoutsText(output: Output, suggestions: TimeoutSuggestions): string {
  const lines = linesOf(suggestions)
  if (lines.length === 0) return 'No calls were seen on the last seven days.'
  const { integrations } = suggestions.config
  const { dim, warn } = output.colours
  const table = output.table<Line>(
    [
      { title: 'endpoint', value: ({ name }) => name, flexible: true },
      { title: 'kind', value: ({ category }) => category },
      { title: 'timeout', value: ({ timeout }) => timeout },
      { title: 'calls', value: ({ calls }) => formatCount(calls), align: 'right' },
      { title: 'cut off', value: ({ cutOff }) => formatCount(cutOff), align: 'right' },
      { title: 'p99', value: ({ p99Ms }) => (p99Ms === undefined ? '' : formatDuration(p99Ms)), align: 'right' },
      { title: 'now', value: ({ presentMs }) => formatDuration(presentMs), align: 'right' },
      {
        title: 'better',
        value: suggestionWord,
        paint: (text, { suggestedMs }) => (suggestedMs === undefined ? dim(text) : warn(text)),
      },
    ],
    lines,
  )
  const reasons = lines
    .filter(({ verdict }) => verdict !== 'fits' && verdict !== 'too_few_calls')
    .map(({ name, timeout, why }) => `${printable(name)}, ${timeout}: ${why}.`)
  const snippet = integrations
    ? ['', dim('To write into the configuration:'), stringify({ integrations }).trimEnd()]
    : []
  return [table, ...(reasons.length > 0 ? ['', ...reasons] : []), ...snippet].join('\n')
}

function suggestionWord({ verdict, suggestedMs, missingCalls }: Line): string {
  if (suggestedMs !== undefined) return formatDuration(suggestedMs)
  if (verdict === 'too_few_calls') return `after ${formatCount(missingCalls)} more`
  return verdict === 'too_slow' ? 'too slow' : 'fits'
}

function linesOf({ connect, endpoints }: TimeoutSuggestions): Line[] {
  return [
    ...connect.map(({ integration, advice }) => ({ ...advice, name: integration, category: '' })),
    ...endpoints.flatMap(({ integration, endpoint, category, advice }) =>
      advice.map((one) => ({ ...one, name: `${integration}: ${endpoint}`, category })),
    ),
  ]
}
