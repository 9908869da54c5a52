import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { noSuchItem } from '../no-such-item.ts'
import { itemText } from '../output/item-details.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command
    .description('Shows everything about one item: state, counters, every attempt, payload, edits, output.')
    .argument('<id>', 'id of an item, as `holdfast items` lists it')
  registrar.examples(command, [['holdfast item 0199f0c2-....create', 'everything about it']])
  registrar.handle(command, (context, _options, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const item = await operations.item(id)
      if (!item) throw noSuchItem(id)
      context.output.result(item, () => itemText(context.output, item))
      context.output.next(`holdfast explain ${id}`, 'the same as a story')
      return EXIT.done
    }),
  )
}
