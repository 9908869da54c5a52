/**
 * `npm run prove`: operations against endpoints of each kind, on virtual time, whose answers get lost; then each is counted at
 * the API. See docs/safe-to-repeat.md.
 */
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { systemHost } from '../src/cli/host.ts'
import { createOutput } from '../src/cli/output/output.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { createProgram, runProgram, wholeNumber } from './program.ts'
import { prove } from './prove/run.ts'
import { proofProgress, proofText } from './prove/summary.ts'

const host = systemHost()

interface Options {
  readonly operations: number
  readonly seed?: string
  readonly json?: boolean
}

const HELP = `
Exit codes: 0 nothing lost, doubled or guessed; 1 not so; 2 wrong usage; 130 interrupted.

Examples:
  $ npm run prove                                  20,000 operations
  $ npm run prove -- --operations 100000 --seed 1  the proof in docs/safe-to-repeat.md

The same seed gives the same run. See docs/safe-to-repeat.md.`

function defineProgram(): Command {
  return createProgram('npm run prove --', host, HELP)
    .description('Loses answers on purpose, at endpoints of each kind, and counts what was done how often.')
    .option('--operations <count>', 'how many, over all kinds of endpoints', wholeNumber(1), 20_000)
    .option('--seed <seed>', 'default: drawn by chance, and told')
}

async function main({ operations, seed: given, json = false }: Options, signal: AbortSignal): Promise<ExitCode> {
  const seed = given ?? String(randomInteger(systemRandom, 1, 1_000_000_000))
  const output = createOutput(host, { json })
  if (given === undefined) output.note(`seed ${seed}`)
  const progress = await proofProgress(host.stderr.isTerminal && !json, operations)
  try {
    const { clock } = host
    const result = await prove({ operations, seed }, { clock, signal, onWorld: progress.show })
    progress.stop()
    output.result(result, () => proofText(result, { width: host.stdout.width, colours: output.colours }))
    if (signal.aborted) return EXIT.interrupted
    return result.passed ? EXIT.done : EXIT.failed
  } finally {
    progress.stop()
  }
}

process.exitCode = await runProgram(defineProgram(), host, process.argv.slice(2), main)
