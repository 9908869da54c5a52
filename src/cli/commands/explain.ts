import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { noSuchItem } from '../no-such-item.ts'
import { explanationText } from '../output/item-details.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Tells in plain words what happened to an item, why (which rule, from which source), and what comes next.',
    )
    .argument('<id>', 'id of an item, as `holdfast items` lists it')
  registrar.examples(command, [['holdfast explain 0199f0c2-....create', 'the story of one item']])
  registrar.handle(command, (context, _options, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const explanation = await operations.explain(id)
      if (!explanation) throw noSuchItem(id)
      context.output.result(explanation, () => explanationText(context.output, explanation))
      return EXIT.done
    }),
  )
}
