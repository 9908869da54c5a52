/** One item in full, and the explanation of one. */
import { formatDuration } from '../../core/duration.ts'
import type { Explanation } from '../../engine/api.ts'
import type { ItemRecord } from '../../ledger/port.ts'
import { paintState } from './balance.ts'
import type { Output } from './output.ts'
import { printable } from './printable.ts'
import { formatTime } from './time.ts'

export function itemText(output: Output, item: ItemRecord): string {
  const { colours } = output
  const { attempts, deferrals, crashes, replays } = item.counters
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['item', item.itemId],
    ['state', item.state],
    ['why', item.deadLetter?.summary ?? item.reason],
    ['hint', item.deadLetter?.hint],
    ['group', item.deadLetter?.fingerprint],
    ['pipeline', `${item.pipeline} / ${item.step}${item.optional ? ' (optional)' : ''}`],
    ['key', item.key],
    ['batch', item.batch],
    ['tenant', item.tenant],
    [
      'labels',
      Object.entries(item.labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ],
    ['lane', item.lane],
    ['endpoint', item.endpoint],
    ['counted', `${attempts} attempts, ${deferrals} deferrals, ${crashes} crashes, ${replays} replays`],
    ['accepted', formatTime(item.createdAtMs)],
    ['due', item.dueAtMs === undefined ? undefined : formatTime(item.dueAtMs)],
    ['ended', item.endedAtMs === undefined ? undefined : formatTime(item.endedAtMs)],
    ['external id', item.externalId],
    ['needs', item.after.join(', ')],
    ['holds up', item.dependents.join(', ')],
    ['correlation', item.correlationId],
  ]
  const shown = facts.filter(([, value]) => value)
  const width = Math.max(...shown.map(([name]) => name.length))
  const lines = shown.map(
    ([name, value]) =>
      `${colours.dim(name.padEnd(width))}  ${name === 'state' ? paintState(colours, item.state, item.state) : printable(value as string)}`,
  )
  return [...lines, '', attemptsText(output, item), '', ...payloadText(output, item)].join('\n')
}

export function explanationText(output: Output, explanation: Explanation): string {
  const { colours } = output
  const lines = explanation.lines.map(({ atMs, text }) => {
    const time = atMs === undefined ? '' : `${colours.dim(formatTime(atMs))}  `
    return `  ${time}${printable(text)}`
  })
  const hint = explanation.hint ? [`${colours.dim('hint:')} ${printable(explanation.hint)}`] : []
  const next = `${colours.dim('next:')} ${printable(explanation.next)}`
  return [colours.strong(printable(explanation.headline)), ...lines, next, ...hint].join('\n')
}

function attemptsText(output: Output, item: ItemRecord): string {
  if (item.attempts.length === 0) return output.colours.dim('No attempt yet.')
  return output.table(
    [
      { title: 'try', value: (attempt) => attempt.number, align: 'right' },
      { title: 'began', value: (attempt) => formatTime(attempt.startedAtMs) },
      { title: 'took', value: (attempt) => formatDuration(attempt.endedAtMs - attempt.startedAtMs), align: 'right' },
      { title: 'outcome', value: (attempt) => attempt.outcome },
      { title: 'status', value: (attempt) => attempt.status ?? '', align: 'right' },
      { title: 'class', value: (attempt) => attempt.failure?.class ?? '' },
      { title: 'what', value: (attempt) => attempt.failure?.message ?? attempt.note ?? '', flexible: true },
    ],
    item.attempts,
  )
}

function payloadText(output: Output, item: ItemRecord): string[] {
  const { colours } = output
  const edits = item.edits.map(
    (edit) =>
      `${colours.dim(`edited by ${edit.by}, ${formatTime(edit.atMs)}`)}\n${JSON.stringify(edit.input, null, 2)}`,
  )
  const given = item.output === undefined ? [] : [`${colours.dim('output')}\n${JSON.stringify(item.output, null, 2)}`]
  return [`${colours.dim('input')}\n${JSON.stringify(item.input, null, 2)}`, ...edits, ...given]
}
