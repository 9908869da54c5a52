/** How every program of this folder talks to a person: its options, its errors, its exit codes. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import type { Host } from '../src/cli/host.ts'
import { exitCodeOf, printError } from '../src/cli/output/errors.ts'
import { isHoldfastError } from '../src/core/errors.ts'

/** @param name as it is called: `npm run prove --` */
export function createProgram(name: string, host: Host, help: string): Command {
  const program = new Command(name)
    .option('--json', 'JSON on stdout')
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', help)
    .allowExcessArguments(false)
    .exitOverride()
    .showSuggestionAfterError(true)
  program.configureOutput({
    writeOut: (text) => host.stdout.write(text),
    writeErr: (text) => host.stderr.write(text),
    outputError: (text, write) => write(`${text.trimEnd()}\nhint:  ${name} --help\n`),
  })
  return program
}

export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least) return number
    throw new InvalidArgumentError(`It must be a whole number, at least ${least}.`)
  }
}

/** Reads the words and acts; whatever is thrown is told, and becomes the exit code. `signal`: somebody pressed Ctrl-C. */
export async function runProgram<Options extends { readonly json?: boolean }>(
  program: Command,
  host: Host,
  words: readonly string[],
  act: (options: Options, signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  let options: Options | undefined
  const interruption = new AbortController()
  try {
    options = program.parse([...words], { from: 'user' }).opts<Options>()
    using _listening = host.onInterrupt(() => interruption.abort())
    return await act(options, interruption.signal)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage
    if (interruption.signal.aborted) return EXIT.interrupted
    printError(host, error, { json: options?.json ?? false, verbose: !isHoldfastError(error) })
    return exitCodeOf(error)
  }
}
