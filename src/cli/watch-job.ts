/** Watches a job, whichever process works on it. */
import type { JobView, Operations } from '../engine/api.ts'
import type { Host } from './host.ts'
import { unlessInterrupted } from './interruption.ts'
import { jobProgress } from './output/jobs.ts'
import { showProgress } from './output/progress.ts'

const LOOK_EVERY_MS = 250
const NOTHING_YET = { done: 0, total: 0, text: 'looking' }

/** `undefined`: interrupted, or forgotten meanwhile. */
export async function untilJobEnds(
  host: Host,
  { job }: Pick<Operations, 'job'>,
  jobId: string,
  signal: AbortSignal,
): Promise<JobView | undefined> {
  let latest = await job(jobId)
  const progress = await showProgress(host, async () => (latest ? jobProgress(latest) : NOTHING_YET))
  try {
    return await unlessInterrupted(signal, async () => {
      while (latest && latest.endedAtMs === undefined) {
        await host.clock.sleep(LOOK_EVERY_MS, signal)
        latest = await job(jobId)
      }
      return latest
    })
  } finally {
    progress.stop()
  }
}
