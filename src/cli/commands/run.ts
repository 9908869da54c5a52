import type { Command } from 'commander'
import { label, positiveInteger } from '../option-parsers.ts'
import type { Registrar } from '../registrar.ts'
import type { RunOptions } from '../run/run-file.ts'

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Sends every record of a file through a pipeline, and works on them until each has ended. Safe to run again: after a crash, a Ctrl-C or a finished run, the same command goes on where it was and does nothing twice.',
    )
    .argument('<pipeline>', 'name of the pipeline')
    .requiredOption('--input <file>', 'CSV (with a header line) or JSONL; - reads stdin')
    .option('--format <format>', 'csv or jsonl (default: by the name of the file)')
    .option('--delimiter <character>', 'of CSV (default: a comma; a tab in .tsv)')
    .option(
      '--key <field>',
      'what names a record: a field, or an expression in {{ }}. Default: the batch and the content, where the second of two equal records counts as another one',
    )
    .option('--batch <name>', 'what the balance is struck per (default: the name of the file)')
    .option('--label <name=value>', 'put this label on every record (may be repeated)', label)
    .option('--tenant <name>', 'whose records they are')
    .option('--rejected <file>', 'write records that were refused to this file, one JSON object per line')
    .option('--concurrency <count>', 'items at the same time in this process', positiveInteger)
    .option('--no-work', 'only put them into the store; `holdfast worker` does the work')
  registrar.examples(command, [
    ['holdfast run onboard --input leads.csv --key email', 'each e-mail address once'],
    ['holdfast run onboard --input leads.csv --batch may --label campaign=spring', 'with a batch and a label'],
    ['cat events.jsonl | holdfast run track --input - --format jsonl', 'from a pipe'],
  ])
  registrar.handle<RunOptions>(command, async (context, options, [pipeline = '']) => {
    const { runFile } = await import('../run/run-file.ts')
    return runFile(context, pipeline, options)
  })
}
