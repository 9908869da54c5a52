/** What jobs hold of somebody who is erased: what people typed, and what was said of a canary. */
import { toJson } from '../../core/json.ts'
import type { JobRecord, Ledger } from '../../ledger/port.ts'
import { type JobState, stateOf } from './job.ts'
import { changeOf } from './runner.ts'

const PAGE = 100
const ERASED = 'erased'

/**
 * Takes out the words that hold one of these names, whatever their case. Gives the ids of jobs that are under way and whose patch
 * holds one: the items that wait for it need it.
 */
export async function eraseInJobs(
  ledger: Pick<Ledger, 'jobs' | 'updateJob'>,
  names: readonly string[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<string[]> {
  const needles = names.map((name) => name.trim().toLowerCase()).filter(Boolean)
  const holds = (text: string) => needles.some((needle) => text.toLowerCase().includes(needle))
  const withPatch: string[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.jobs({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const job of page.rows) {
      if (holds(toJson(stateOf(job).patch ?? null))) withPatch.push(job.id)
      if (!dryRun) await eraseWords(ledger, job, holds)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return withPatch
}

async function eraseWords(
  ledger: Pick<Ledger, 'jobs' | 'updateJob'>,
  found: JobRecord,
  holds: (text: string) => boolean,
): Promise<void> {
  for (let job: JobRecord | undefined = found; job; ) {
    const state = stateOf(job)
    const left = withoutWords(state, holds)
    if (toJson(left) === toJson(state)) return
    if (await ledger.updateJob({ ...changeOf(job, left), endedAtMs: job.endedAtMs })) return
    // Whoever works on it was faster.
    job = (await ledger.jobs({ id: found.id }, { limit: 1 })).rows[0]
  }
}

function withoutWords(state: JobState, holds: (text: string) => boolean): JobState {
  const left = (text: string) => (holds(text) ? ERASED : text)
  const { reason, ended } = state
  if (!ended) return { ...state, reason: left(reason) }
  const { why, stoppedBy } = ended
  const stopped = stoppedBy && { stoppedBy: { ...stoppedBy, why: left(stoppedBy.why) } }
  return { ...state, reason: left(reason), ended: { ...ended, why: left(why), ...stopped } }
}
