import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { configurationError, messageOf } from '../../core/errors.ts'
import { type ItemState, isEndState } from '../../core/item-state.ts'
import type { Json } from '../../core/json.ts'
import type { Holdfast, ReplayReport, ReplayRequest } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { GRACE_MS, listenForInterrupt, unlessInterrupted } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'
import { addSelectionOptions, type SelectionOptions, selectionOf } from '../selection.ts'

interface Options extends SelectionOptions {
  readonly patch?: string
  readonly canary?: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly notApplied?: boolean
  readonly wait?: boolean
}

const LOOK_EVERY_MS = 250
const SHOWN_REFUSALS = 10

/** Where a replayed item ended. */
type Ends = Partial<Record<ItemState, number>>

export function defineReplay(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('replay')
    .description('Puts dead letters back: the same items, with the same idempotency keys, corrected if need be.')
  addSelectionOptions(command)
    .option('--patch <json>', 'correct the payload: a JSON merge patch, or @FILE with one; null removes a field')
    .option('--canary <count>', 'try this many first, and the rest only if all of them succeed', positiveInteger)
    .option('--not-applied', 'unknown outcomes too: your word that they did not happen')
    .option('--wait', 'work here until each has ended, and say how')
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
  const request: ReplayRequest = {
    selection: selectionOf(ids, options),
    by: host.person,
    ...(options.patch !== undefined && { patch: await readPatch(options.patch, host.directory) }),
    ...(options.canary !== undefined && { canary: options.canary }),
    ...(options.notApplied && { knownNotApplied: true }),
  }
  const plan = await holdfast.operations.replay({ ...request, dryRun: true })
  if (options.dryRun) return tellPlan(output, plan)
  if (plan.itemIds.length > 1 && !options.yes) {
    tellPlan(output, plan)
    output.note(`Nothing was changed: add --yes to replay ${formatCount(plan.itemIds.length)} items.`)
    return EXIT.wrongUsage
  }
  using interruption = listenForInterrupt(host, 'Stopping: what was put back stays in the queue.')
  const { signal } = interruption
  const worker = work ? holdfast.startWorker() : undefined
  const report = await unlessInterrupted(signal, () => holdfast.operations.replay({ ...request, signal }))
  const ends = report && options.wait ? await untilEnded(context, holdfast, report.itemIds, signal) : undefined
  await worker?.stop({ graceMs: GRACE_MS })
  return report ? tellReport(output, report, ends) : EXIT.interrupted
}

function tellPlan(output: Output, plan: ReplayReport): ExitCode {
  output.result(plan, () => {
    const samples = plan.samples.flatMap(({ itemId, before, after }) => [
      '',
      itemId,
      output.colours.bad(`- ${JSON.stringify(before)}`),
      output.colours.good(`+ ${JSON.stringify(after)}`),
    ])
    return [
      `Would replay ${formatCount(plan.itemIds.length)} of ${formatCount(plan.selected)} items.`,
      ...refusals(plan),
      ...samples,
    ].join('\n')
  })
  return EXIT.done
}

function tellReport(output: Output, report: ReplayReport, ends: Ends | undefined): ExitCode {
  output.result({ ...report, ends: ends ?? null }, () => {
    const lines = [
      `Replayed ${formatCount(report.replayed)} of ${formatCount(report.selected)} items.`,
      ...refusals(report),
    ]
    if (report.stopped)
      lines.push(`Stopped after the canary: ${report.stopped.itemId}: ${report.stopped.why}. Nothing else was touched.`)
    for (const [state, count] of Object.entries(ends ?? {})) lines.push(`  ${formatCount(count)} ${state}`)
    return lines.join('\n')
  })
  if (report.stopped) output.next(`holdfast explain ${report.stopped.itemId}`, 'why it failed again')
  else if (!ends && report.replayed > 0) output.next('holdfast worker', 'unless one is running: it does the work')
  else output.next('holdfast status')
  const failedAgain = Object.keys(ends ?? {}).some((state) => state !== 'succeeded' && state !== 'skipped')
  return report.stopped || report.refused.length > 0 || failedAgain ? EXIT.needsPerson : EXIT.done
}

function refusals({ refused }: ReplayReport): string[] {
  if (refused.length === 0) return []
  const shown = refused.slice(0, SHOWN_REFUSALS).map(({ itemId, why }) => `  ${itemId}: ${why}`)
  const more = refused.length > SHOWN_REFUSALS ? [`  ... and ${formatCount(refused.length - SHOWN_REFUSALS)} more`] : []
  return [`Left as they are: ${formatCount(refused.length)}`, ...shown, ...more]
}

/** R135: verify each one. Ended means: done, or again in need of a person. */
async function untilEnded(
  { host }: CliContext,
  { operations }: Holdfast,
  itemIds: readonly string[],
  signal: AbortSignal,
): Promise<Ends> {
  const ends: Ends = {}
  for (const itemId of itemIds) {
    for (;;) {
      const item = await operations.item(itemId)
      if (!item) break
      if (signal.aborted || isEndState(item.state) || item.state === 'dead_lettered' || needsVerdict(item)) {
        ends[item.state] = (ends[item.state] ?? 0) + 1
        break
      }
      await unlessInterrupted(signal, () => host.clock.sleep(LOOK_EVERY_MS, signal))
    }
  }
  return ends
}

function needsVerdict(item: { readonly state: ItemState; readonly dueAtMs: number | undefined }): boolean {
  return item.state === 'unknown_outcome' && item.dueAtMs === undefined
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
