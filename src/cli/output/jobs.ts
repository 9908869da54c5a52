/** Jobs in words. */

import { formatDuration } from '../../core/duration.ts'
import type { JobCounts, JobPlan, JobView } from '../../engine/api.ts'
import type { Output } from './output.ts'
import type { Done } from './progress.ts'
import { formatCount, formatRelative } from './time.ts'

const DONE_WORDS = { replay: 'succeeded', discard: 'discarded', cancel: 'cancelled' } as const

export function countsText(what: JobView['what'], counts: JobCounts, hasEnded: boolean): string {
  const parts: [number, string][] = [
    [counts.succeeded, DONE_WORDS[what]],
    [counts.failed, what === 'replay' ? 'failed again' : 'ended otherwise'],
    [counts.underWay, 'under way'],
    [counts.waiting, hasEnded ? 'left as they were' : 'waiting'],
    [counts.refused, 'refused'],
    [counts.forgotten, 'forgotten by retention'],
  ]
  const told = parts.filter(([count]) => count > 0).map(([count, word]) => `${formatCount(count)} ${word}`)
  return `${told.join(', ') || 'nothing'} of ${formatCount(counts.total)}`
}

export function jobProgress({ what, counts }: JobView): Done {
  return {
    done: counts.total - counts.waiting - counts.underWay,
    total: counts.total,
    text: countsText(what, counts, false),
  }
}

export function jobText(job: JobView): string {
  const { id, what, phase, target, by, reason, ended, stopped, counts } = job
  return [
    `Job ${id}: ${what} of ${target}, by ${by}${reason === '' ? '' : ` (${reason})`}: ${phase}`,
    `  ${countsText(what, counts, job.endedAtMs !== undefined)}`,
    ...(ended ? [`  ended by ${ended.by}: ${ended.why}`] : []),
    ...(stopped ? [`  ${stopped.itemId}: ${stopped.why}. Nothing after the canary was touched.`] : []),
  ].join('\n')
}

export function jobTable(output: Output, jobs: readonly JobView[], nowMs: number): string {
  return output.table(
    [
      { title: 'job', value: ({ id }) => id },
      { title: 'what', value: ({ what }) => what },
      { title: 'of', value: ({ target }) => target },
      { title: 'by', value: ({ by }) => by },
      { title: 'begun', value: ({ createdAtMs }) => formatRelative(createdAtMs, nowMs) },
      { title: 'phase', value: ({ phase }) => phase },
      {
        title: 'items',
        value: ({ what, counts, endedAtMs }) => countsText(what, counts, endedAtMs !== undefined),
        flexible: true,
      },
    ],
    jobs,
  )
}

export function planText(output: Output, what: JobView['what'], plan: JobPlan): string {
  const { colours } = output
  const groups = plan.groups.map(({ count, fingerprint, summary }) => {
    return `  ${formatCount(count)} ${fingerprint === undefined ? '' : `group ${fingerprint}: `}${summary}`
  })
  const refused = plan.refused.map(
    ({ count, why, exampleItemId }) => `  ${formatCount(count)} ${why} (${exampleItemId})`,
  )
  const lanes = plan.lanes.map(({ lane, count, estimatedMs }) => {
    const time = estimatedMs === undefined ? 'nobody knows how fast it may be' : `at least ${timeText(estimatedMs)}`
    return `  ${lane}: ${formatCount(count)}, ${time}`
  })
  const samples = plan.samples.flatMap(({ itemId, before, after }) => [
    '',
    itemId,
    colours.bad(`- ${JSON.stringify(before)}`),
    colours.good(`+ ${JSON.stringify(after)}`),
  ])
  return [
    `Would ${what} ${formatCount(plan.ready)} of ${formatCount(plan.selected)} items.`,
    ...groups,
    ...(refused.length > 0 ? ['Would leave as they are:', ...refused] : []),
    ...(lanes.length > 0 ? ['At full rate:', ...lanes] : []),
    ...samples,
  ].join('\n')
}

/** In whole seconds: it is an estimate. */
function timeText(estimatedMs: number): string {
  return formatDuration(Math.max(1, Math.ceil(estimatedMs / 1000)) * 1000)
}
