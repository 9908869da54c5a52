import type { Command } from 'commander'
import type { Holdfast, JobOrder, JobView } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { unlessInterrupted } from '../interruption.ts'
import { beginJob, jobWithRefusals, leaveJob, listenWhileAt, refusalsOf } from '../job-at-hand.ts'
import { jobProgress } from '../output/jobs.ts'
import { showProgress } from '../output/progress.ts'
import type { Registrar } from '../registrar.ts'
import { addSelectionOptions, type SelectionOptions, selectionOf } from '../selection.ts'

interface Options extends SelectionOptions {
  readonly reason: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly wait: boolean
}

export function defineDiscard(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('discard')
    .description(
      'Ends dead letters for good, with a reason, as a job. They stay in the books, as discarded. Where this command is lost half way, workers go on with it.',
    )
  addSelectionOptions(command)
    .requiredOption('--reason <text>', 'why, for those who come later')
    .option('--dry-run', 'only say what would happen')
    .option('--yes', 'needed for more than one item')
    .option('--no-wait', 'leave it to workers')
  registrar.examples(command, [
    ['holdfast dlq discard ID --reason "test record"', 'one item'],
    ['holdfast dlq discard --group 3f2a --reason "old form" --dry-run', 'see what it would do'],
    ['holdfast dlq discard --group 3f2a --reason "old form" --yes', 'a whole group; Ctrl-C leaves the rest to workers'],
  ])
  registrar.handle<Options>(command, (context, options, ids) =>
    context.withHoldfast('look', (holdfast) => discard(context, holdfast, options, ids)),
  )
}

async function discard(
  context: CliContext,
  holdfast: Holdfast,
  options: Options,
  ids: readonly string[],
): Promise<ExitCode> {
  const { output, host } = context
  const order: JobOrder = {
    what: 'discard',
    selection: selectionOf(ids, options),
    by: host.person,
    reason: options.reason,
  }
  const job = await beginJob(output, holdfast, order, options)
  if (typeof job === 'number') return job
  return options.wait ? finishJob(context, holdfast, job) : leaveJob(output, job)
}

/** Nothing is sent: so no worker is needed, and no credential. */
async function finishJob(context: CliContext, { operations }: Holdfast, begun: JobView): Promise<ExitCode> {
  const { output, host } = context
  using interruption = listenWhileAt(context, begun)
  const { signal } = interruption
  const progress = await showProgress(host, async () => jobProgress((await operations.job(begun.id)) ?? begun))
  const job = await unlessInterrupted(signal, async () => {
    await operations.finishJob(begun.id, signal)
    return operations.job(begun.id)
  }).finally(progress.stop)
  if (!job) return EXIT.interrupted
  const refused = await refusalsOf(operations, job)
  const { total, succeeded } = job.counts
  output.result({ job, selected: total, discarded: succeeded, refused }, () => jobWithRefusals(job, refused))
  output.next('holdfast status')
  return succeeded < total ? EXIT.needsPerson : EXIT.done
}
