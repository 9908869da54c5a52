/** `holdfast migrate --from --to`: a store moves to a server, with progress, proof, and a way back until it is there. */
import { resolveConfig } from '../../config/resolve.ts'
import { configurationError } from '../../core/errors.ts'
import type { MoveProgress, MoveReport } from '../../ledger/move.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { listenForInterrupt } from '../interruption.ts'
import { balanceText } from '../output/balance.ts'
import { showProgress } from '../output/progress.ts'
import { formatCount } from '../output/time.ts'

export interface MoveOptions {
  readonly from?: string
  readonly to?: string
  readonly abort?: boolean
}

export async function moveStore(context: CliContext, options: MoveOptions): Promise<ExitCode> {
  const { from, to } = options
  if (from === undefined) throw incomplete('--from', 'sqlite:./holdfast.db')
  if (options.abort) return abort(context, from, to)
  if (to === undefined) throw incomplete('--to', 'postgres://USER@HOST/DATABASE')
  const report = await move(context, from, to)
  context.output.result(report, () => wordReport(context, report))
  if (report.outcome === 'interrupted') return EXIT.interrupted
  context.output.note('Set "store" to the new address in the configuration of everything that uses the old one.')
  return EXIT.done
}

async function move({ host }: CliContext, from: string, to: string): Promise<MoveReport> {
  const system = await import('../../system/move.ts')
  using interruption = listenForInterrupt(host, 'Stopping: the same command goes on where it is.')
  let reached: MoveProgress = { done: 0, total: 0 }
  const progress = await showProgress(host, async () => ({ ...reached, text: wordProgress(reached) }))
  try {
    return await system.moveStore(storeOf(host, from), storeOf(host, to), {
      signal: interruption.signal,
      onProgress: (now) => {
        reached = now
      },
    })
  } finally {
    progress.stop()
  }
}

async function abort({ host, output }: CliContext, from: string, to: string | undefined): Promise<ExitCode> {
  const system = await import('../../system/move.ts')
  await system.abortStoreMove(storeOf(host, from), to === undefined ? undefined : storeOf(host, to))
  output.result({ outcome: 'aborted', from }, () => `The move is given up: ${from} is open for work again.`)
  if (to === undefined) output.note('What was copied is still at the other end: the same with --to removes it.')
  return EXIT.done
}

/** As in a configuration: with `${NAME}` for a password, and relative to where the command runs. */
function storeOf({ env, directory }: CliContext['host'], store: string) {
  return resolveConfig({ store }, { env, baseDirectory: directory }).store
}

function wordProgress({ done, total }: MoveProgress): string {
  if (total === 0) return 'looking at both stores'
  return done < total ? `${formatCount(done)} of ${formatCount(total)} records moved` : 'comparing both stores'
}

function wordReport({ output }: CliContext, { outcome, from, to, counts, balance }: MoveReport): string {
  if (!counts || !balance) return 'Interrupted. Both stores are closed for work: run the same again, or --abort.'
  const rows = Object.entries(counts).map(([name, count]) => ({ name, count }))
  const moved = output.table(
    [
      { title: 'what', value: ({ name }) => name },
      { title: 'count', value: ({ count }) => formatCount(count), align: 'right' },
    ],
    rows,
  )
  const said = outcome === 'known' ? 'had moved before' : 'has moved; both sides were audited, and are equal'
  return [`${from} ${said}.`, `It is at ${to} now:`, '', moved, '', balanceText(output, balance)].join('\n')
}

function incomplete(option: string, example: string) {
  return configurationError(
    'move_incomplete',
    `To move a store, say ${option} too`,
    `For example ${option} ${example}. See: holdfast migrate --help`,
  )
}
