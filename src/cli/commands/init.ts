import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { relative, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { configurationError } from '../../core/errors.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { type Answers, askForAnswers, starterFiles } from '../init/starter.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly integration?: string
  readonly baseUrl?: string
  readonly force?: boolean
  readonly yes?: boolean
}

const DEFAULT_ANSWERS: Answers = { integration: 'crm', baseUrl: 'http://127.0.0.1:4801' }

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Makes a configuration that works at once: one integration, one pipeline, a few records, and an imitation of the API that fails on purpose, to try it against.',
    )
    .option('--integration <name>', 'name of the API')
    .option('--base-url <url>', 'its base URL (default: the imitation on this machine)')
    .option('--force', 'replace files that are there')
    .option('--yes', 'ask nothing')
  registrar.examples(command, [
    ['holdfast init', 'asks two questions, on a terminal'],
    ['holdfast init --yes --integration hubspot --base-url https://api.hubapi.com', 'asks nothing'],
  ])
  registrar.handle<Options>(command, async (context, options) => {
    const answers = await answersFor(context, options)
    const { host, output } = context
    const files = starterFiles(answers).map(({ name, text }) => ({ path: resolvePath(host.directory, name), text }))
    const there = files.filter(({ path }) => existsSync(path)).map(({ path }) => relative(host.directory, path))
    if (there.length > 0 && !options.force) {
      throw configurationError(
        'files_exist',
        `Already here: ${there.join(', ')}`,
        'Use --force to replace them, or run this in another folder.',
        { files: there },
      )
    }
    for (const { path, text } of files) await writeFile(path, text)
    const names = files.map(({ path }) => relative(host.directory, path))
    output.result({ files: names }, () => `Made: ${names.join(', ')}`)
    output.next('holdfast twin twin.yaml --port 4801', 'in another terminal: the imitation of the API')
    output.next('holdfast run create-contacts --input contacts.csv --key email')
    return EXIT.done
  })
}

/** Asks only on a terminal, and only for what no option tells. */
async function answersFor({ host }: CliContext, options: Options): Promise<Answers> {
  const given = {
    ...DEFAULT_ANSWERS,
    ...(options.integration !== undefined && { integration: options.integration }),
    ...(options.baseUrl !== undefined && { baseUrl: options.baseUrl }),
  }
  const complete = options.integration !== undefined && options.baseUrl !== undefined
  const mayAsk = process.stdin.isTTY === true && host.stderr.isTerminal && !options.yes && !complete
  return mayAsk ? askForAnswers(given) : given
}
