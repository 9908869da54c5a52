import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Holdfast, JobOrder, JobView } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { GRACE_MS } from '../interruption.ts'
import { beginJob, jobWithRefusals, leaveJob, listenWhileAt, type Refused, refusalsOf } from '../job-at-hand.ts'
import { positiveInteger } from '../option-parsers.ts'
import type { Output } from '../output/output.ts'
import type { Registrar } from '../registrar.ts'
import { addSelectionOptions, type SelectionOptions, selectionOf } from '../selection.ts'
import { untilJobEnds } from '../watch-job.ts'

interface Options extends SelectionOptions {
  readonly patch?: string
  readonly canary?: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly notApplied?: boolean
  readonly wait?: boolean
}

export function defineReplay(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('replay')
    .description(
      'Puts dead letters back, as a job: the same items, with the same idempotency keys, corrected if need be; few at first. Workers go on with it whatever becomes of this command.',
    )
  addSelectionOptions(command)
    .option('--patch <json>', 'correct the payload: a JSON merge patch, or @FILE with one; null removes a field')
    .option('--canary <count>', 'try this many first, and the rest only if all of them succeed', positiveInteger)
    .option('--not-applied', 'unknown outcomes too: your word that they did not happen')
    .option('--wait', 'work here until each has ended, and say how; Ctrl-C leaves the job to other workers')
    .option('--dry-run', 'only say what would happen')
    .option('--yes', 'needed for more than one item')
  registrar.examples(command, [
    ['holdfast dlq replay ID', 'one item'],
    ['holdfast dlq replay --group 3f2a --dry-run', 'see what it would do'],
    ['holdfast dlq replay --group 3f2a --canary 5 --yes --wait', 'five first, then the rest, and verify'],
    [`holdfast dlq replay ID --patch '{"company":"Acme"}'`, 'with a corrected payload'],
  ])
  registrar.handle<Options>(command, (context, options, ids) => {
    // A canary must be worked on to show anything: here, where nobody else may be doing it.
    const work = !options.dryRun && (options.wait === true || options.canary !== undefined)
    return context.withHoldfast(work ? 'send' : 'look', (holdfast) => replay(context, holdfast, options, ids, work))
  })
}

async function replay(
  context: CliContext,
  holdfast: Holdfast,
  options: Options,
  ids: readonly string[],
  work: boolean,
): Promise<ExitCode> {
  const { output, host } = context
  const order: JobOrder = {
    what: 'replay',
    selection: selectionOf(ids, options),
    by: host.person,
    ...(options.patch !== undefined && { patch: await readPatch(options.patch, host.directory) }),
    ...(options.canary !== undefined && { canary: options.canary }),
    ...(options.notApplied && { knownNotApplied: true }),
  }
  const job = await beginJob(output, holdfast, order, options)
  if (typeof job === 'number') return job
  return work ? workOnJob(context, holdfast, job) : leaveJob(output, job)
}

/** R135: until each of its items is verified. */
async function workOnJob(context: CliContext, holdfast: Holdfast, begun: JobView): Promise<ExitCode> {
  const { output, host } = context
  using interruption = listenWhileAt(context, begun)
  const worker = holdfast.startWorker()
  const job = await untilJobEnds(host, holdfast.operations, begun.id, interruption.signal)
  await worker.stop({ graceMs: GRACE_MS })
  if (!job) return EXIT.interrupted
  return tellJob(output, job, await refusalsOf(holdfast.operations, job))
}

function tellJob(output: Output, job: JobView, refused: readonly Refused[]): ExitCode {
  const { succeeded, failed, underWay, forgotten, total } = job.counts
  const ends = { ...(succeeded > 0 && { succeeded }), ...(failed > 0 && { failed }) }
  const replayed = succeeded + failed + underWay + forgotten
  const { stopped = null } = job
  output.result({ job, selected: total, replayed, refused, stopped, ends }, () => jobWithRefusals(job, refused))
  if (stopped) output.next(`holdfast explain ${stopped.itemId}`, 'why it failed again')
  else output.next('holdfast status')
  return stopped || failed > 0 || job.counts.refused > 0 ? EXIT.needsPerson : EXIT.done
}

async function readPatch(text: string, directory: string): Promise<Json> {
  try {
    const json = text.startsWith('@') ? await readFile(resolvePath(directory, text.slice(1)), 'utf8') : text
    return JSON.parse(json) as Json
  } catch (cause) {
    throw configurationError(
      'invalid_patch',
      `--patch: ${messageOf(cause)}`,
      `Give JSON such as '{"company":"Acme"}', or @FILE with it; null removes a field (RFC 7396).`,
      {},
      cause,
    )
  }
}
