/** Whether a command line is one that Holdfast has, asked of the commands themselves. */
import type { Command } from 'commander'
import { systemHost } from '../../src/cli/host.ts'
import { createProgram } from '../../src/cli/program.ts'
import { createRegistrar } from '../../src/cli/registrar.ts'

/** What in `serve --port 0 --hots x` is neither a command nor one of its options or arguments. */
export async function unknownWords(words: readonly string[]): Promise<readonly string[]> {
  const ignore = () => undefined
  const host = systemHost()
  const program = await createProgram(host, words, createRegistrar(host, ignore, ignore))
  const [name] = words
  const command = program.commands.find((one) => one.name() === name)
  return command ? unknownFor(command, words.slice(1)) : words.slice(0, 1)
}

function unknownFor(command: Command, words: readonly string[]): readonly string[] {
  const part = command.commands.find((one) => one.name() === words[0])
  if (part) return unknownFor(part, words.slice(1))
  const { operands, unknown } = command.parseOptions([...words])
  return [...operands.slice(command.registeredArguments.length), ...unknown]
}
