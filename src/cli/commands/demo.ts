import type { Command } from 'commander'
import { positiveInteger } from '../option-parsers.ts'
import type { Registrar } from '../registrar.ts'

interface DemoOptions {
  readonly kill?: boolean
  readonly leads?: number
}

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Sends 4,000 leads through failing imitations of three APIs, takes one of them down on the way, and proves that no lead was lost and none done twice. Needs no account and no configuration; what it leaves is there to work with (--demo).',
    )
    .option('--kill', 'kill the worker without warning several times on the way')
    .option('--leads <count>', 'how many leads', positiveInteger)
  registrar.examples(command, [
    ['holdfast demo', 'half a minute or so'],
    ['holdfast demo --kill', 'the same, with a worker that dies again and again'],
    ['holdfast demo --store postgres', 'the same on PostgreSQL: on a server that comes with it, or a URL'],
    ['holdfast demo --json', 'the result as one object'],
  ])
  registrar.handle<DemoOptions>(command, async (context, options) => {
    const { runDemo } = await import('../demo/demo.ts')
    return runDemo(context, options)
  })
}
