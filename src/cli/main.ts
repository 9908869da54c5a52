/** The command line's entry: runs one command and decides how the process ends. */
import { CommanderError } from 'commander'
import type { CommonOptions } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Host, systemHost } from './host.ts'
import { untilInterrupted } from './interruption.ts'
import { createProgram } from './program.ts'
import { createRegistrar } from './registrar.ts'

/** Runs the process's own command line. The exit code is set, and the process ends when nothing holds it. */
export async function main(): Promise<void> {
  const host = systemHost()
  const ended = new AbortController()
  // Waiting for something due in an hour, nothing else may hold the process; it must not end before the command does.
  const open = untilInterrupted(host.clock, ended.signal)
  process.exitCode = await runCommandLine(process.argv.slice(2), host)
  ended.abort()
  await open
}

/** Runs one command line, for whatever host. Never throws. */
export async function runCommandLine(words: readonly string[], host: Host): Promise<ExitCode> {
  let common: CommonOptions = {}
  let code: ExitCode = EXIT.done
  const registrar = createRegistrar(
    host,
    (options) => {
      common = options
    },
    (ended) => {
      code = ended
    },
  )
  try {
    const program = await createProgram(host, words, registrar)
    if (words.length === 0) {
      program.outputHelp({ error: true })
      return EXIT.wrongUsage
    }
    await program.parseAsync(words, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage
    const { exitCodeOf, printError } = await import('./output/errors.ts')
    printError(host, error, common)
    return exitCodeOf(error)
  }
}
