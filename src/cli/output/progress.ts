/** How far a long run is: a bar on a terminal, a plain line every few seconds elsewhere. Always on stderr. */
import type { Clock, Timer } from '../../core/clock.ts'
import type { Balance } from '../../ledger/port.ts'
import type { Host } from '../host.ts'
import { openBar } from './bar.ts'
import { formatCount } from './time.ts'

export interface Done {
  readonly done: number
  readonly total: number
  readonly text: string
}

/** How far a run through a pipeline is. */
export interface ProgressFacts {
  /** Share of the input that is read, 0-1; `undefined`: nobody knows. */
  readonly readShare: number | undefined
  readonly isReading: boolean
  readonly records: number
  readonly balance: Balance
}

export interface Progress {
  /** Stops and clears; idempotent. */
  stop(): void
}

const BAR_EVERY_MS = 500
const LINE_EVERY_MS = 5000

/** Asks for the facts again and again until stopped. */
export async function showProgress(host: Host, facts: () => Promise<Done>): Promise<Progress> {
  const { isTerminal } = host.stderr
  const bar = isTerminal ? await openBar('{bar} {percentage}% | {text}') : undefined
  const everyMs = isTerminal ? BAR_EVERY_MS : LINE_EVERY_MS
  const ticking = tick(host.clock, everyMs, async () => {
    const { done, total, text } = await facts()
    if (bar) bar.show(done, total, { text })
    else host.stderr.write(`${text}\n`)
  })
  return {
    stop() {
      ticking.stop()
      bar?.stop()
    },
  }
}

export function runProgress(facts: ProgressFacts): Done {
  const { balance } = facts
  return { done: endedCount(balance), total: balance.accepted, text: wordProgress(facts) }
}

export function wordProgress({ readShare, isReading, records, balance }: ProgressFacts): string {
  const { states, needsPerson } = balance
  const share = readShare === undefined ? '' : ` ${Math.floor(readShare * 100)}%`
  const held = states.retrying + states.parked
  const parts = [
    isReading ? `reading${share}` : undefined,
    `${formatCount(records)} records`,
    `${formatCount(endedCount(balance))} of ${formatCount(balance.accepted)} items done`,
    held > 0 ? `${formatCount(held)} held or retrying` : undefined,
    needsPerson > 0 ? `${formatCount(needsPerson)} need a person` : undefined,
  ]
  return parts.filter(Boolean).join(', ')
}

function endedCount({ states }: Balance): number {
  const { succeeded, skipped, superseded, cancelled, discarded } = states
  return succeeded + skipped + superseded + cancelled + discarded
}

/** Calls `work` at once and then again `everyMs` after it ended. What it throws ends the ticking, never the run. */
function tick(clock: Clock, everyMs: number, work: () => Promise<void>): { stop(): void } {
  let stopped = false
  let timer: Timer | undefined

  async function once(): Promise<void> {
    if (stopped) return
    await work()
    if (!stopped) timer = clock.setTimer(everyMs, () => void once().catch(stop))
  }
  function stop(): void {
    stopped = true
    timer?.cancel()
  }

  timer = clock.setTimer(everyMs, () => void once().catch(stop))
  return { stop }
}
