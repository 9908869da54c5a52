/** What jobs hold of somebody who is erased: what people typed, and what was said of a canary. */
import { toJson } from '../../core/json.ts'
import { ERASED, namesOneOf } from '../../ledger/payloads/rewrites.ts'
import type { JobRecord, Ledger } from '../../ledger/port.ts'
import { type JobState, stateOf } from './job.ts'
import { changeOf } from './runner.ts'

const PAGE = 100

/**
 * Takes out the words that hold one of these names, as actions are erased. Gives the ids of jobs that are under way and whose patch
 * holds one: the items that wait for it need it.
 */
export async function eraseInJobs(
  ledger: Pick<Ledger, 'jobs' | 'updateJob'>,
  names: readonly string[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<string[]> {
  const isNamedIn = namesOneOf(names)
  if (!isNamedIn) return []
  const withPatch: string[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.jobs({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const job of page.rows) {
      if (isNamedIn(toJson(stateOf(job).patch ?? null))) withPatch.push(job.id)
      if (!dryRun) await eraseWords(ledger, job, isNamedIn)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return withPatch
}

async function eraseWords(
  ledger: Pick<Ledger, 'jobs' | 'updateJob'>,
  found: JobRecord,
  isNamedIn: (text: string) => boolean,
): Promise<void> {
  for (let job: JobRecord | undefined = found; job; ) {
    const state = stateOf(job)
    const left = withoutWords(state, isNamedIn)
    if (toJson(left) === toJson(state)) return
    if (await ledger.updateJob({ ...changeOf(job, left), endedAtMs: job.endedAtMs })) return
    // Whoever works on it was faster.
    job = (await ledger.jobs({ id: found.id }, { limit: 1 })).rows[0]
  }
}

function withoutWords(state: JobState, isNamedIn: (text: string) => boolean): JobState {
  const left = (text: string) => (isNamedIn(text) ? ERASED : text)
  const { reason, ended } = state
  if (!ended) return { ...state, reason: left(reason) }
  const { why, stoppedBy } = ended
  const stopped = stoppedBy && { stoppedBy: { ...stoppedBy, why: left(stoppedBy.why) } }
  return { ...state, reason: left(reason), ended: { ...ended, why: left(why), ...stopped } }
}
