/** What a person reads while a trial goes on, and at its end. */
import { openBar } from '../../src/cli/output/bar.ts'
import type { Colours } from '../../src/cli/output/colours.ts'
import { table } from '../../src/cli/output/table.ts'
import { formatCount } from '../../src/cli/output/time.ts'
import { formatDuration } from '../../src/core/duration.ts'
import type { GatewayTrialResult } from './gateway-run.ts'
import type { Progress, TrialResult } from './run.ts'

interface Look {
  readonly width: number
  readonly colours: Colours
}

export function trialText(result: TrialResult, look: Look): string {
  return textOf(rowsOf(result), result, look)
}

export function gatewayTrialText(result: GatewayTrialResult, look: Look): string {
  const { balance, gateways } = result
  const rows: Row[] = [
    ['requests', formatCount(result.items), 'webhooks, records, streams, durable requests, the proxy'],
    ['answered 2xx', formatCount(result.promised), `records; ${formatCount(result.passedOn)} of them calls passed on`],
    ['not answered', formatCount(result.unanswered), 'requests; each was sent again'],
    ['accepted', formatCount(balance.accepted)],
    ['succeeded', formatCount(balance.states.succeeded)],
    ['put back', formatCount(result.putBack), 'dead letters: five gateways were killed with them in hand'],
    ['gateways killed', formatCount(result.killed), `SIGKILL; ${formatCount(gateways.killedEarly)} while they started`],
    ['database restarts', formatCount(result.restarted)],
    ['audits', formatCount(result.audits), 'of the whole store; all but the last while everything went on'],
  ]
  return textOf(rows, result, look, '--gateway ')
}

type Result = Pick<
  TrialResult,
  'items' | 'workers' | 'kills' | 'restarts' | 'seed' | 'store' | 'passed' | 'problems' | 'place' | 'tookMs'
>

function textOf(rows: readonly Row[], result: Result, { width, colours }: Look, words = ''): string {
  const facts = table(
    [
      { title: 'what', value: ([what]: Row) => what },
      { title: 'count', value: ([, count]: Row) => count, align: 'right' },
      { title: '', value: ([, , note]: Row) => note ?? '', flexible: true },
    ],
    rows,
    { width, heading: colours.dim },
  )
  const verdict = result.passed
    ? colours.good('0 lost, 0 duplicates, balanced')
    : [colours.bad('FAILED'), ...result.problems.map((problem) => `  ${problem}`)].join('\n')
  const again = colours.accent(`npm run trial -- ${words}${commandOf(result)}`)
  return [facts, '', `on ${result.place}, in ${formatDuration(result.tookMs)}; again: ${again}`, verdict].join('\n')
}

type Row = readonly [what: string, count: string, note?: string]

function rowsOf(result: TrialResult): Row[] {
  const { balance, twin, counters, children, restarted } = result
  return [
    ['items', formatCount(balance.accepted), `of ${formatCount(result.runs)} records`],
    ['succeeded', formatCount(balance.states.succeeded)],
    ['lost', formatCount(twin.lost.length), "by the twin's own record"],
    ['done twice', formatCount(twin.doubled.length), "by the twin's own record"],
    [
      'processes killed',
      formatCount(result.killed),
      `SIGKILL; ${formatCount(children.killedEarly)} while they started`,
    ],
    ['database restarts', formatCount(restarted.length), restarted.join(', ')],
    ['leases taken over', formatCount(counters.crashes), 'what the killed had in their hands'],
    ['submitted again', formatCount(children.known), 'records whose receipt was lost with the process'],
    ['troubles of the store', formatCount(children.troubles), 'reported by engines'],
    ['attempts', formatCount(counters.attempts)],
    ['requests at the twin', formatCount(twin.requests), `${formatCount(twin.faults)} of them failed on purpose`],
    ['audits', formatCount(result.audits), 'of the whole store; all but the last while everything went on'],
  ]
}

function commandOf({ items, workers, kills, restarts, seed, store }: Result): string {
  const where = store.includes('://') ? `'${store.replace(/^(\w+:\/\/[^/@:]*):[^@]*@/, '$1:PASSWORD@')}'` : store
  return `--items ${items} --workers ${workers} --kills ${kills} --restarts ${restarts} --store ${where} --seed ${seed}`
}

export interface TrialProgress {
  show(progress: Progress): void
  /** Clears it; idempotent. */
  stop(): void
}

/** A bar on a terminal, nothing in a pipe. */
export async function trialProgress(isTerminal: boolean): Promise<TrialProgress> {
  if (!isTerminal) return { show() {}, stop() {} }
  const bar = await openBar(
    '{bar} {value}/{total} effects | {kills} kills, {restarts} restarts, {audits} audits in balance',
  )
  return {
    show: ({ done, items, kills, restarts, audits }) => bar.show(done, items, { kills, restarts, audits }),
    stop: bar.stop,
  }
}
