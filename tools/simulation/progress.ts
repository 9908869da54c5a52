/** How far it is: a bar on a terminal, nothing in a pipe. On stderr. */
import { SingleBar } from 'cli-progress'
import { formatCount } from '../../src/cli/output/time.ts'
import { formatDuration } from '../../src/core/duration.ts'
import type { CampaignResult } from './campaign.ts'

export interface CampaignProgress {
  show(sofar: CampaignResult): void
  /** Clears it; idempotent. */
  stop(): void
}

const SILENT: CampaignProgress = { show() {}, stop() {} }

export function campaignProgress(isTerminal: boolean, seeds: number): CampaignProgress {
  return isTerminal ? createBar(seeds) : SILENT
}

function createBar(seeds: number): CampaignProgress {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} seeds | {text}',
    stream: process.stderr,
    barsize: 20,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: false,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: false,
    fps: 4,
  })
  bar.start(seeds, 0, { text: '' })
  let stopped = false
  return {
    show: (sofar) => bar.update(sofar.seeds, { text: progressText(sofar) }),
    stop() {
      if (!stopped) bar.stop()
      stopped = true
    },
  }
}

export function progressText({ seeds, failed, items, troubles, virtualMs, tookMs }: CampaignResult): string {
  const perSecond = tookMs > 0 ? (seeds * 1000) / tookMs : 0
  const found = failed.length > 0 ? `${formatCount(failed.length)} FAILED` : 'no violation'
  return `${perSecond.toFixed(1)}/s, ${formatCount(items)} items, ${formatCount(troubles)} troubles, ${formatDuration(virtualMs)} simulated, ${found}`
}
