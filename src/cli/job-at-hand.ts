/** A bulk order as a command gives it: planned, begun, worked on here or left to workers, told. */
import type { Holdfast, JobOrder, JobPlan, JobView, Operations } from '../engine/api.ts'
import type { CliContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Interruption, listenForInterrupt } from './interruption.ts'
import { jobText, planText } from './output/jobs.ts'
import type { Output } from './output/output.ts'
import { formatCount } from './output/time.ts'

const SHOWN_REFUSALS = 10
const PAGE = 500

export interface Refused {
  readonly itemId: string
  readonly why: string
}

/** The job that was begun; or how the command ends, where nothing is to be changed, or more than one item without `--yes`. */
export async function beginJob(
  output: Output,
  { operations }: Holdfast,
  order: JobOrder,
  { dryRun, yes }: { readonly dryRun?: boolean; readonly yes?: boolean },
): Promise<JobView | ExitCode> {
  const plan = await operations.planJob(order)
  if (dryRun) return tellPlan(output, order, plan)
  if (plan.selected === 0) {
    tellPlan(output, order, plan)
    output.note('Nothing fits that choice, and nothing was done: `holdfast dlq list` shows what there is.')
    return EXIT.done
  }
  if (plan.ready > 1 && !yes) {
    tellPlan(output, order, plan)
    output.note(`Nothing was changed: add --yes to ${order.what} ${formatCount(plan.ready)} items.`)
    return EXIT.wrongUsage
  }
  return operations.startJob(order)
}

function tellPlan(output: Output, { what }: JobOrder, plan: JobPlan): ExitCode {
  const done = what === 'replay' ? { replayed: 0 } : { discarded: 0 }
  output.result({ ...plan, ...done, dryRun: true }, () => planText(output, what, plan))
  return EXIT.done
}

/** Ctrl-C leaves the job to workers. */
export function listenWhileAt({ host }: CliContext, { id }: JobView): Interruption {
  return listenForInterrupt(
    host,
    `Stopping here: job ${id} stays in the store, and workers go on with it. \`holdfast jobs cancel ${id}\` ends it.`,
  )
}

export function leaveJob(output: Output, job: JobView): ExitCode {
  output.result({ job }, () => jobText(job))
  output.next('holdfast worker', 'unless one is running: it does the work')
  output.next(`holdfast jobs watch ${job.id}`, 'how far it is')
  return job.counts.refused > 0 ? EXIT.needsPerson : EXIT.done
}

/** With the first few that were refused. */
export async function refusalsOf(operations: Operations, { id, counts }: JobView): Promise<Refused[]> {
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

export function jobWithRefusals(job: JobView, refused: readonly Refused[]): string {
  return [jobText(job), ...refused.map(({ itemId, why }) => `  ${itemId}: ${why}`)].join('\n')
}
