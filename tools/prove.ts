/**
 * `npm run prove`: operations against endpoints of each kind, on virtual time, whose answers get lost; then each is counted at
 * the API. See docs/safe-to-repeat.md.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { type Host, systemHost } from '../src/cli/host.ts'
import { exitCodeOf, printError } from '../src/cli/output/errors.ts'
import { createOutput } from '../src/cli/output/output.ts'
import { isHoldfastError } from '../src/core/errors.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { prove } from './prove/run.ts'
import { proofProgress, proofText } from './prove/summary.ts'

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

function defineProgram(host: Host): Command {
  const program = new Command('npm run prove --')
    .description('Loses answers on purpose, at endpoints of each kind, and counts what was done how often.')
    .option('--operations <count>', 'how many, over all kinds of endpoints', wholeNumber, 20_000)
    .option('--seed <seed>', 'default: drawn by chance, and told')
    .option('--json', 'JSON on stdout')
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
    .showSuggestionAfterError(true)
  program.configureOutput({
    writeOut: (text) => host.stdout.write(text),
    writeErr: (text) => host.stderr.write(text),
    outputError: (text, write) => write(`${text.trimEnd()}\nhint:  npm run prove -- --help\n`),
  })
  return program
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= 1) return number
  throw new InvalidArgumentError('It must be a whole number, at least 1.')
}

async function main(words: readonly string[], host: Host): Promise<ExitCode> {
  let options: Options | undefined
  try {
    options = defineProgram(host)
      .parse([...words], { from: 'user' })
      .opts<Options>()
    return await run(options, host)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage
    printError(host, error, { json: options?.json ?? false, verbose: !isHoldfastError(error) })
    return exitCodeOf(error)
  }
}

async function run({ operations, seed: given, json = false }: Options, host: Host): Promise<ExitCode> {
  const interruption = new AbortController()
  using _listening = host.onInterrupt(() => interruption.abort())
  const seed = given ?? String(randomInteger(systemRandom, 1, 1_000_000_000))
  const output = createOutput(host, { json })
  if (given === undefined) output.note(`seed ${seed}`)
  const progress = proofProgress(host.stderr.isTerminal && !json, operations)
  try {
    const { clock } = host
    const result = await prove({ operations, seed }, { clock, signal: interruption.signal, onWorld: progress.show })
    progress.stop()
    output.result(result, () => proofText(result, { width: host.stdout.width, colours: output.colours }))
    if (interruption.signal.aborted) return EXIT.interrupted
    return result.passed ? EXIT.done : EXIT.failed
  } finally {
    progress.stop()
  }
}

process.exitCode = await main(process.argv.slice(2), systemHost())
