/** How far it is: a bar on a terminal, nothing in a pipe. On stderr. */
import { openBar } from '../../src/cli/output/bar.ts'
import { formatCount } from '../../src/cli/output/time.ts'
import { formatDuration } from '../../src/core/duration.ts'
import type { CampaignResult } from './campaign.ts'

export interface CampaignProgress {
  show(sofar: CampaignResult): void
  /** Clears it; idempotent. */
  stop(): void
}

const SILENT: CampaignProgress = { show() {}, stop() {} }

export async function campaignProgress(isTerminal: boolean, seeds: number): Promise<CampaignProgress> {
  if (!isTerminal) return SILENT
  const bar = await openBar('{bar} {value}/{total} seeds | {text}')
  return {
    show: (sofar) => bar.show(sofar.seeds, seeds, { text: progressText(sofar) }),
    stop: bar.stop,
  }
}

export function progressText({ seeds, failed, items, troubles, virtualMs, tookMs }: CampaignResult): string {
  const perSecond = tookMs > 0 ? (seeds * 1000) / tookMs : 0
  const found = failed.length > 0 ? `${formatCount(failed.length)} FAILED` : 'no violation'
  return `${perSecond.toFixed(1)}/s, ${formatCount(items)} items, ${formatCount(troubles)} troubles, ${formatDuration(virtualMs)} simulated, ${found}`
}
