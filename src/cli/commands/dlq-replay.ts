import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Holdfast, JobOrder, JobPlan, JobView, Operations } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { GRACE_MS, listenForInterrupt } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import { jobText, planText } from '../output/jobs.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
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

const SHOWN_REFUSALS = 10
const PAGE = 500

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
  const plan = await holdfast.operations.planJob(order)
  if (options.dryRun) return tellPlan(output, plan)
  if (plan.ready > 1 && !options.yes) {
    tellPlan(output, plan)
    output.note(`Nothing was changed: add --yes to replay ${formatCount(plan.ready)} items.`)
    return EXIT.wrongUsage
  }
  const job = await holdfast.operations.startJob(order)
  return work ? workOnJob(context, holdfast, job) : leaveJob(output, job)
}

/** R135: until each of its items is verified. */
async function workOnJob(context: CliContext, holdfast: Holdfast, { id }: JobView): Promise<ExitCode> {
  const { output, host } = context
  const leaving = `Stopping here: job ${id} stays in the store, and workers go on with it. \`holdfast jobs cancel ${id}\` ends it.`
  using interruption = listenForInterrupt(host, leaving)
  const worker = holdfast.startWorker()
  const job = await untilJobEnds(host, holdfast.operations, id, interruption.signal)
  await worker.stop({ graceMs: GRACE_MS })
  if (!job) return EXIT.interrupted
  return tellJob(output, job, await refusalsOf(holdfast.operations, job))
}

function tellPlan(output: Output, plan: JobPlan): ExitCode {
  output.result({ ...plan, replayed: 0, dryRun: true }, () => planText(output, plan))
  return EXIT.done
}

function leaveJob(output: Output, job: JobView): ExitCode {
  output.result({ job }, () => jobText(job))
  output.next('holdfast worker', 'unless one is running: it does the work')
  output.next(`holdfast jobs watch ${job.id}`, 'how far it is')
  return job.counts.refused > 0 ? EXIT.needsPerson : EXIT.done
}

function tellJob(output: Output, job: JobView, refused: readonly Refused[]): ExitCode {
  const { succeeded, failed, underWay, forgotten, total } = job.counts
  const ends = { ...(succeeded > 0 && { succeeded }), ...(failed > 0 && { failed }) }
  const replayed = succeeded + failed + underWay + forgotten
  const { stopped = null } = job
  output.result({ job, selected: total, replayed, refused, stopped, ends }, () =>
    [jobText(job), ...refused.map(({ itemId, why }) => `  ${itemId}: ${why}`)].join('\n'),
  )
  if (stopped) output.next(`holdfast explain ${stopped.itemId}`, 'why it failed again')
  else output.next('holdfast status')
  return stopped || failed > 0 || job.counts.refused > 0 ? EXIT.needsPerson : EXIT.done
}

interface Refused {
  readonly itemId: string
  readonly why: string
}

/** The first few. */
async function refusalsOf(operations: Operations, { id, counts }: JobView): Promise<Refused[]> {
  if (counts.refused === 0) return []
  const found: Refused[] = []
  for (let after = 0; found.length < SHOWN_REFUSALS; ) {
    const items = await operations.jobItems(id, { after, limit: PAGE })
    found.push(...items.flatMap(({ itemId, refused }) => (refused === undefined ? [] : [{ itemId, why: refused }])))
    const last = items.at(-1)
    if (!last) break
    after = last.position
  }
  return found.slice(0, SHOWN_REFUSALS)
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
