/** `npm run fuzz`: hostile requests for a real `holdfast serve`. See docs/testing.md. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { type Host, systemHost } from '../src/cli/host.ts'
import { exitCodeOf, printError } from '../src/cli/output/errors.ts'
import { createOutput } from '../src/cli/output/output.ts'
import { isHoldfastError } from '../src/core/errors.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { type FuzzResult, fuzz } from './fuzz/run.ts'

interface Options {
  readonly requests: number
  readonly seed?: number
  readonly json?: boolean
}

const HELP = `
Exit codes: 0 nothing broke; 1 something did; 2 wrong usage; 130 interrupted.

The same seed sends the same requests. See docs/testing.md.`

function defineProgram(host: Host): Command {
  const program = new Command('npm run fuzz --')
    .description('Sends requests that mean harm, over sockets, to a gateway in a process of its own.')
    .option('--requests <count>', 'how many', wholeNumber, 100_000)
    .option('--seed <number>', 'default: drawn by chance, and told', wholeNumber)
    .option('--json', 'JSON on stdout')
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
  program.configureOutput({ writeOut: (text) => host.stdout.write(text), writeErr: (text) => host.stderr.write(text) })
  return program
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (/^\d{1,9}$/.test(text) && number >= 1) return number
  throw new InvalidArgumentError('It must be a whole number, at least 1.')
}

async function main(words: readonly string[], host: Host): Promise<ExitCode> {
  let options: Options | undefined
  const interruption = new AbortController()
  try {
    options = defineProgram(host)
      .parse([...words], { from: 'user' })
      .opts<Options>()
    using _listening = host.onInterrupt(() => interruption.abort())
    const { requests, seed = randomInteger(systemRandom, 1, 999_999_999) } = options
    const output = createOutput(host, { json: options.json ?? false })
    output.note(`seed ${seed}`)
    const onProgress = (sent: number) => output.note(`${sent} of ${requests} requests`)
    const result = await fuzz({ requests, seed }, { onProgress, signal: interruption.signal })
    output.result(result, () => textOf(result))
    return result.passed ? EXIT.done : EXIT.failed
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage
    if (interruption.signal.aborted) return EXIT.interrupted
    printError(host, error, { json: options?.json ?? false, verbose: !isHoldfastError(error) })
    return exitCodeOf(error)
  }
}

function textOf({ passed, problems, answers, called, openFiles, memoryMebibytes, requests, seed }: FuzzResult): string {
  const told = Object.entries(answers).map(([status, count]) => `${status === '0' ? 'none' : status}: ${count}`)
  return [
    `answers  ${told.join(', ')}`,
    `calls that reached the API  ${called}`,
    `open files  ${openFiles.join(' -> ')}`,
    `memory, MiB  ${memoryMebibytes.join(' -> ')}`,
    `again: npm run fuzz -- --requests ${requests} --seed ${seed}`,
    passed ? 'nothing broke' : ['FAILED', ...problems].join('\n  '),
  ].join('\n')
}

process.exitCode = await main(process.argv.slice(2), systemHost())
