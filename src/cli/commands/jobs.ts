/** What was asked for in bulk, and how far it is. */
import type { Command } from 'commander'
import { HoldfastError } from '../../core/errors.ts'
import type { JobView, Operations } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { listenForInterrupt } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import { jobTable, jobText } from '../output/jobs.ts'
import type { Registrar } from '../registrar.ts'
import { untilJobEnds } from '../watch-job.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description('Bulk replays and other jobs: what was asked for, how far each is; watches and cancels them.')
  registrar.examples(command, [
    ['holdfast jobs', 'all of them, newest first'],
    ['holdfast jobs watch ID', 'its progress, until it ends'],
    ['holdfast jobs cancel ID --reason "wrong company"', 'what has not had its turn stays as it is'],
  ])
  const list = command
    .command('list', { isDefault: true })
    .description('Lists jobs, newest first (the default).')
    .option('--limit <count>', 'at most this many', positiveInteger, 20)
    .option('--cursor <cursor>', 'go on where the page before ended')
  registrar.handle<{ limit: number; cursor?: string }>(list, (context, { limit, cursor }) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const page = await operations.jobs({ limit, ...(cursor !== undefined && { cursor }) })
      output.result({ jobs: page.rows, cursor: page.cursor ?? null }, () =>
        page.rows.length > 0 ? jobTable(output, page.rows, host.clock.wallMs()) : 'No jobs.',
      )
      if (page.cursor !== undefined) output.next(`holdfast jobs list --cursor ${page.cursor}`, 'the next page')
      return EXIT.done
    }),
  )
  const show = command.command('show <id>').description('Shows one job: how many of its items ended how.')
  registrar.handle(show, (context, _options, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => tellJob(context, await jobOf(operations, id))),
  )
  defineWatch(command, registrar)
  defineCancel(command, registrar)
}

function defineWatch(jobs: Command, registrar: Registrar): void {
  const watch = jobs
    .command('watch <id>')
    .description('Shows the progress of a job until it ends. Works on nothing: that is what workers do.')
  registrar.handle(watch, (context, _options, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      await jobOf(operations, id)
      using interruption = listenForInterrupt(context.host, 'Stopped watching: the job goes on.')
      const job = await untilJobEnds(context.host, operations, id, interruption.signal)
      return job ? tellJob(context, job) : EXIT.interrupted
    }),
  )
}

function defineCancel(jobs: Command, registrar: Registrar): void {
  const cancel = jobs
    .command('cancel <id>')
    .description('Leaves what has not had its turn as it is, and says how much that is. What was put back goes on.')
    .requiredOption('--reason <text>', 'why, for those who come later')
  registrar.handle<{ reason: string }>(cancel, (context, { reason }, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const job = await operations.cancelJob(id, reason, context.host.person)
      if (!job) throw noSuchJob(id)
      context.output.result(job, () => jobText(job))
      return EXIT.done
    }),
  )
}

async function jobOf(operations: Operations, id: string): Promise<JobView> {
  const job = await operations.job(id)
  if (!job) throw noSuchJob(id)
  return job
}

function tellJob({ output }: CliContext, job: JobView): ExitCode {
  output.result(job, () => jobText(job))
  const { failed, refused } = job.counts
  if (job.endedAtMs === undefined) output.next(`holdfast jobs watch ${job.id}`)
  if (job.stopped) output.next(`holdfast explain ${job.stopped.itemId}`, 'why it failed again')
  return job.stopped || failed + refused > 0 ? EXIT.needsPerson : EXIT.done
}

function noSuchJob(id: string): HoldfastError {
  return new HoldfastError({
    code: 'job_not_found',
    class: 'not_found',
    message: `There is no job "${id}"`,
    hint: '`holdfast jobs` lists them; those that have ended are forgotten with the retention.',
  })
}
