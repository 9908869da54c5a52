import type { Command } from 'commander'
import type { EraseReport, EraseRequest, Holdfast } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly subject?: string
  readonly tenant?: string
  readonly cancel?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly scrub: boolean
}

const SHOWN = 10

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Erases what the store holds of one person, for good: inputs, outputs, keys, messages of APIs. What happened, when, and the balance stay. Found by what the `subject` of pipelines gave, by key, or by run.',
    )
    .argument('[runs...]', 'ids of runs')
    .option('--subject <text>', 'whose data: an e-mail address, a customer number; or the key of a run')
    .option('--tenant <name>', 'only what is held for this tenant (default: for all of them)')
    .option('--cancel', 'runs that have not ended: end them first. Without it they are left, and named')
    .option('--dry-run', 'only say what would be erased')
    .option('--yes', 'needed to erase')
    .option(
      '--no-scrub',
      'leave what was overwritten in the files of the store for later (a file is written anew else)',
    )
  registrar.examples(command, [
    ['holdfast erase --subject ada@example.com', 'what there is; nothing is changed'],
    ['holdfast erase --subject ada@example.com --cancel --yes', 'all of it, also what has not ended'],
    ['holdfast erase 0199f0c2-7d3e-7a11-8c11-5b1f7a0e9d42 --yes', 'one run'],
  ])
  registrar.handle<Options>(command, (context, options, runIds) =>
    context.withHoldfast('look', (holdfast) => erase(context, holdfast, options, runIds)),
  )
}

async function erase(
  { output, host }: CliContext,
  { operations }: Holdfast,
  { subject, tenant, cancel, dryRun, yes, scrub }: Options,
  runIds: readonly string[],
): Promise<ExitCode> {
  const request: EraseRequest = {
    ...(subject !== undefined && { subject }),
    ...(tenant !== undefined && { tenant }),
    runIds,
    notEnded: cancel ? 'cancel' : 'refuse',
    scrub,
    by: host.person,
  }
  if (dryRun || !yes) {
    const plan = await operations.erase({ ...request, dryRun: true })
    output.result(plan, () => wordsOf(plan, 'Would erase').join('\n'))
    if (dryRun || plan.runs === 0) return EXIT.done
    output.note('Nothing was changed: add --yes to erase it for good.')
    return EXIT.wrongUsage
  }
  const report = await operations.erase(request)
  output.result(report, () => wordsOf(report, 'Erased').join('\n'))
  if (report.refused.length > 0 && !cancel) output.note('With --cancel, what has not ended is ended first.')
  if (!report.scrubbed) output.note('What was overwritten may still be read in the files of the store.')
  return report.refused.length + report.jobs.length > 0 ? EXIT.needsPerson : EXIT.done
}

function wordsOf({ runs, items, erased, refused, jobs, dryRun }: EraseReport, did: string): string[] {
  const inJobs = jobs.map(
    (id) =>
      `  job ${id} is under way, and its patch names it: that goes when it ends, or with \`holdfast jobs cancel\``,
  )
  if (runs === 0) return inJobs.length > 0 ? inJobs : ['Nothing is held of it.']
  return [
    `${did} ${formatCount(erased.length)} of ${formatCount(runs)} runs (${formatCount(items)} items).`,
    // To be looked at first: a key may name something else than a person.
    ...(dryRun ? erased.slice(0, SHOWN).map((runId) => `  run ${runId}`) : []),
    ...(dryRun && erased.length > SHOWN ? [`  ... and ${formatCount(erased.length - SHOWN)} more`] : []),
    ...refused.slice(0, SHOWN).map(({ runId, why }) => `  ${runId} is left: ${why}`),
    ...(refused.length > SHOWN ? [`  ... and ${formatCount(refused.length - SHOWN)} more`] : []),
    ...inJobs,
  ]
}
