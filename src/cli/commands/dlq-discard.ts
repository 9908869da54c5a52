import type { Command } from 'commander'
import type { Holdfast, Operations, Selection } from '../../engine/api.ts'
import type { OperatorReceipt } from '../../ledger/port.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'
import { addSelectionOptions, type SelectionOptions, selectionOf } from '../selection.ts'

interface Options extends SelectionOptions {
  readonly reason: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

const SHOWN = 10

export function defineDiscard(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('discard')
    .description('Ends dead letters for good, with a reason. They stay in the books, as discarded.')
  addSelectionOptions(command)
    .requiredOption('--reason <text>', 'why, for those who come later')
    .option('--dry-run', 'only say how many')
    .option('--yes', 'needed for more than one item')
  registrar.examples(command, [
    ['holdfast dlq discard ID --reason "test record"', 'one item'],
    ['holdfast dlq discard --group 3f2a --reason "old form" --yes', 'a whole group'],
  ])
  registrar.handle<Options>(command, (context, options, ids) =>
    context.withHoldfast('look', (holdfast) => discard(context, holdfast, options, selectionOf(ids, options))),
  )
}

async function discard(
  { output, host }: CliContext,
  { operations }: Holdfast,
  options: Options,
  selection: Selection,
): Promise<ExitCode> {
  const selected = await countSelected(operations, selection, host.person)
  if (options.dryRun) {
    output.result({ selected, discarded: 0 }, () => `Would discard ${formatCount(selected)} items.`)
    return EXIT.done
  }
  if (selected > 1 && !options.yes) {
    output.note(`Nothing was changed: add --yes to discard ${formatCount(selected)} items.`)
    return EXIT.wrongUsage
  }
  const receipts = await operations.discard(selection, options.reason, host.person)
  const refused = receipts.filter(({ outcome }) => outcome === 'refused' || outcome === 'not_found')
  const discarded = receipts.length - refused.length
  output.result({ selected, discarded, refused }, () =>
    [`Discarded ${formatCount(discarded)} items.`, ...refused.slice(0, SHOWN).map(wordRefusal)].join('\n'),
  )
  output.next('holdfast status')
  return refused.length > 0 ? EXIT.needsPerson : EXIT.done
}

async function countSelected(operations: Operations, selection: Selection, by: string): Promise<number> {
  if ('itemIds' in selection) return new Set(selection.itemIds).size
  return (await operations.replay({ selection, by, dryRun: true })).selected
}

export function wordRefusal(receipt: OperatorReceipt): string {
  return `  ${receipt.itemId}: ${receipt.outcome === 'refused' ? receipt.why : 'there is no such item'}`
}
