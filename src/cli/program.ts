import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { CATALOGUE } from './catalogue.ts'
import type { Host } from './host.ts'
import type { Registrar } from './registrar.ts'

const OVERVIEW = `
Every command has its own help: holdfast <command> --help
Results go to stdout (tables on a terminal, JSON in a pipe), progress and advice to stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but something needs a person, 130 interrupted.

Examples:
  $ holdfast demo                                 watch it keep 4,000 leads safe
  $ holdfast init                                 make a configuration
  $ holdfast run onboard --input leads.csv        send a file through a pipeline
  $ holdfast dlq groups                           what failed, by cause`

/** The program with all commands named, and the one that `words` asks for loaded. */
export async function createProgram(host: Host, words: readonly string[], registrar: Registrar): Promise<Command> {
  const program = new Command('holdfast')
    .description('Stands between your code and the APIs it depends on: no record dropped, none done twice.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .commandsGroup('Keep it running:')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', OVERVIEW)
  configure(program, host)

  const named = words.filter((word) => !word.startsWith('-'))
  const wanted = named[0] === 'help' ? named[1] : named[0]
  const terms = new Map(CATALOGUE.map(({ name, term }) => [name, term]))
  program.configureHelp({ subcommandTerm: (command) => terms.get(command.name()) ?? command.name() })
  for (const { name, summary, group, load } of CATALOGUE) {
    const command = program.command(name).summary(summary).helpGroup(group).helpCommand(false)
    command.configureHelp({ subcommandTerm: termOf })
    if (name === wanted) (await load()).define(command, registrar)
  }
  for (const command of withSubcommands(program)) configure(command, host)
  return program
}

/** Errors become exceptions (of exit code 2), so that one place decides how the process ends. */
function configure(command: Command, host: Host): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => Math.min(host.stdout.width, 120),
      getErrHelpWidth: () => Math.min(host.stderr.width, 120),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(`${text.trimEnd()}\nhint:  holdfast ${helpFor(command)}--help\n`),
    })
}

function helpFor(command: Command): string {
  const path: string[] = []
  for (let each: Command | null = command; each?.parent; each = each.parent) path.unshift(`${each.name()} `)
  return path.join('')
}

function* withSubcommands(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* withSubcommands(child)
}

function termOf(command: Command): string {
  const positional = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name()
    return argument.required ? ` <${name}>` : ` [${name}]`
  })
  return command.name() + positional.join('')
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
