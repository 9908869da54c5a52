import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { configurationError, messageOf } from '../../core/errors.ts'
import { EXIT } from '../exit-codes.ts'
import { listenForInterrupt, untilInterrupted } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly port?: number
  readonly journal?: string
}

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Runs an imitation of an API that fails as the file says: rate limits, lost answers, outages. Counts what was really done, and what was done twice.',
    )
    .argument('<file>', 'description of the twin, YAML or JSON')
    .option('--port <number>', 'port on this machine (default: that of the file, else any free one)', positiveInteger)
    .option('--journal <file>', 'append every effect to this file, so that a restarted twin still knows them')
  registrar.examples(command, [
    ['holdfast twin crm.twin.yaml --port 4801', 'until Ctrl-C'],
    ['holdfast twin crm.twin.yaml --journal crm.jsonl', 'remembering over restarts'],
  ])
  registrar.handle<Options>(command, async ({ host, output }, options, [file = '']) => {
    const path = resolvePath(host.directory, file)
    const text = await readText(path)
    const [{ twinFromSpec }, { systemRandom }] = await Promise.all([
      import('../../testing/twin/cli-spec.ts'),
      import('../../system/system-random.ts'),
    ])
    using interruption = listenForInterrupt(host, 'Stopping the twin.')
    const twin = await twinFromSpec(text, {
      clock: host.clock,
      random: systemRandom,
      source: path,
      ...(options.port !== undefined && { port: options.port }),
      ...(options.journal !== undefined && { journal: resolvePath(host.directory, options.journal) }),
    })
    output.note(`The twin listens on ${twin.url}. Ctrl-C stops it.`)
    await untilInterrupted(host.clock, interruption.signal)
    await twin.close()
    const effects = twin.effects.length
    const duplicates = twin.duplicates()
    output.result({ url: twin.url, effects, duplicates }, () =>
      [
        `${formatCount(effects)} effects, ${formatCount(duplicates.length)} of them done more than once.`,
        ...duplicates.slice(0, 10).map((duplicate) => `  ${JSON.stringify(duplicate)}`),
      ].join('\n'),
    )
    return EXIT.done
  })
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw configurationError(
      'file_unreadable',
      `${path} cannot be read: ${messageOf(cause)}`,
      'Check the name and the permissions of the file.',
      { path },
      cause,
    )
  }
}
