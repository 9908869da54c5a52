/**
 * Erasing what the store holds of one subject: found by the keyed hash that their runs carry, by key, or by run. What happened,
 * when, and how it ended stays, so that the books balance; what it was about goes.
 */
import { HoldfastError } from '../core/errors.ts'
import { isEndState } from '../core/item-state.ts'
import { SUBJECT_LABEL } from '../ledger/payloads/rewrites.ts'
import type { ItemFilter, ItemSummary, Ledger, RunRecord } from '../ledger/port.ts'
import type { EraseReport, EraseRequest } from './api.ts'
import { eraseInJobs } from './jobs/erasing.ts'
import type { OperationsParts } from './operations/operations.ts'
import { undoNameOf } from './pipelines/undo-pipeline.ts'

const PAGE = 500
const REASON = 'ended so that it can be erased'

export async function erase(
  parts: Pick<OperationsParts, 'ledger' | 'payloads' | 'clock' | 'catalog'>,
  request: EraseRequest,
): Promise<EraseReport> {
  const { subject, dryRun = false, notEnded = 'refuse', scrub = true } = request
  const runs = await runsOf(parts, request)
  const ready: RunRecord[] = []
  const refused: { runId: string; why: string }[] = []
  for (const run of runs) {
    const ended = dryRun || notEnded === 'refuse' ? run : await endRun(parts, run, request.by)
    const why = ended.items.find(({ state }) => !isEndState(state))
    const wouldEnd = dryRun && notEnded === 'cancel' && why?.state !== 'processing'
    if (why && !wouldEnd) refused.push({ runId: run.id, why: whyNot(why) })
    else ready.push(ended)
  }
  const names = ready.filter(({ id, key }) => key !== id).map(({ key }) => key)
  const report = {
    runs: runs.length,
    items: runs.reduce((sum, { items }) => sum + items.length, 0),
    erased: ready.map(({ id }) => id),
    refused,
    // Before the runs: their keys are needed for it, and whoever is interrupted begins again.
    jobs: await eraseInJobs(parts.ledger, subject === undefined ? names : [subject, ...names], { dryRun }),
    dryRun,
  }
  if (dryRun) return { ...report, scrubbed: false }
  await parts.payloads.erase({
    runIds: report.erased,
    ...(subject !== undefined && { subject }),
    names,
    atMs: parts.clock.wallMs(),
  })
  if (scrub) await parts.payloads.scrub()
  return { ...report, scrubbed: scrub }
}

/** Also what undid them, which had their data as its input. */
async function runsOf(
  { ledger, payloads, catalog }: Pick<OperationsParts, 'ledger' | 'payloads' | 'catalog'>,
  { subject, runIds = [], tenant }: EraseRequest,
): Promise<RunRecord[]> {
  const ofTenant = tenant === undefined ? {} : { tenant }
  if (runIds.length === 0 && (subject === undefined || subject.trim() === '')) throw nothingNamed()
  const found = new Set(runIds)
  if (subject !== undefined && subject.trim() !== '') {
    const hash = await payloads.subjectHash(subject)
    for await (const runId of runsWhere(ledger, { labels: { [SUBJECT_LABEL]: hash }, ...ofTenant })) found.add(runId)
    for await (const runId of runsWhere(ledger, { key: subject, ...ofTenant })) found.add(runId)
  }
  const runs: RunRecord[] = []
  for (const runId of found) {
    const run = await ledger.run(runId)
    // Of another tenant it is as if it were not there.
    if (!run || (tenant !== undefined && run.tenant !== tenant)) throw noSuchRun(runId, tenant)
    runs.push(run)
    const undoing = undoNameOf(run.pipeline)
    if (!catalog.pipelines.has(undoing)) continue
    const replays = run.items.reduce((sum, { counters }) => sum + counters.replays, 0)
    for (let times = 0; times <= replays; times++) {
      const key = times === 0 ? run.id : `${run.id}#${times}`
      // A set that grows is gone through to its new end.
      for await (const undone of runsWhere(ledger, { pipeline: undoing, key })) found.add(undone)
    }
  }
  return runs
}

async function* runsWhere(ledger: Pick<Ledger, 'items'>, filter: ItemFilter): AsyncGenerator<string> {
  let cursor: string | undefined
  do {
    const page = await ledger.items(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const { runId } of page.rows) yield runId
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** The run afterwards: what a worker has in its hands ends when that is done with it. */
async function endRun(
  { ledger, clock }: Pick<OperationsParts, 'ledger' | 'clock'>,
  run: RunRecord,
  by: string,
): Promise<RunRecord> {
  const open = run.items.filter(({ state }) => !isEndState(state))
  if (open.length === 0) return run
  const orders = (items: readonly ItemSummary[]) => items.map(({ itemId }) => ({ itemId, by, reason: REASON }))
  const stuck = open.filter(({ state }) => state === 'dead_lettered' || state === 'unknown_outcome')
  if (stuck.length > 0) await ledger.discard(orders(stuck), clock.wallMs())
  const others = open.filter((item) => !stuck.includes(item))
  if (others.length > 0) await ledger.cancel(orders(others), clock.wallMs())
  return (await ledger.run(run.id)) ?? run
}

function whyNot({ step, state }: ItemSummary): string {
  if (state === 'processing') return `step "${step}" is being worked on: erase again when that has ended`
  return `step "${step}" is ${state}: what has not ended is only erased where it may be cancelled`
}

function nothingNamed(): HoldfastError {
  return new HoldfastError({
    code: 'erasure_of_nothing',
    class: 'validation',
    message: 'Whose data is to be erased? Neither a subject nor a run is named',
    hint: "Name the subject as the pipeline's `subject` gives it, or ids of runs.",
  })
}

function noSuchRun(runId: string, tenant: string | undefined): HoldfastError {
  return new HoldfastError({
    code: 'run_not_found',
    class: 'not_found',
    message: `There is no run "${runId}"${tenant === undefined ? '' : ` of tenant "${tenant}"`}`,
    hint: 'Nothing was erased. `holdfast items` shows the ids: what stands before the dot is the run.',
  })
}
