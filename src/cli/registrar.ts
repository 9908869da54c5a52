/** What all commands have in common: their options, how they run, how they end. */
import type { Command } from 'commander'
import type { CliContext, CommonOptions } from './context.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Host } from './host.ts'

export type Handler<Options> = (
  context: CliContext,
  options: Options & CommonOptions,
  positional: readonly string[],
) => Promise<ExitCode>

export interface Registrar {
  /** Adds the common options and the action. */
  handle<Options = unknown>(command: Command, handler: Handler<Options>): void
  /** Adds examples to the help: command, and what it does. */
  examples(command: Command, examples: readonly (readonly [string, string])[]): void
}

export function createRegistrar(
  host: Host,
  onRun: (options: CommonOptions) => void,
  onEnd: (code: ExitCode) => void,
): Registrar {
  return {
    handle<Options>(command: Command, handler: Handler<Options>): void {
      command
        .option('--json', 'JSON on stdout (the default in a pipe)')
        .option('--no-json', 'tables on stdout, in a pipe too')
        .option('--config <file>', 'the configuration (default: the nearest, from here upward)')
        .option(
          '--store <url>',
          'another store than the configured one: sqlite:./other.db, postgres://USER@HOST/DATABASE',
        )
        .option('--demo', 'work on the data of `holdfast demo`')
        .option('--verbose', 'show stack traces')
        .action(async () => {
          const options = command.opts<Options & CommonOptions>()
          onRun(options)
          const { createContext } = await import('./context.ts')
          onEnd(await handler(createContext(host, options), options, command.args))
        })
    },
    examples(command, examples) {
      const width = Math.max(...examples.map(([line]) => line.length))
      const lines = examples.map(([line, what]) => `  $ ${line.padEnd(width)}  ${what}`)
      command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
    },
  }
}
