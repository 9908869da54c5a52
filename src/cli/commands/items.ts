import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { addFilterOptions, type FilterOptions, filterOf } from '../item-filter.ts'
import { positiveInteger } from '../option-parsers.ts'
import { itemTable } from '../output/items.ts'
import type { Registrar } from '../registrar.ts'

interface Options extends FilterOptions {
  readonly limit: number
  readonly cursor?: string
}

export function define(command: Command, registrar: Registrar): void {
  command.description('Lists items, newest first.')
  addFilterOptions(command, { states: true })
    .option('--limit <count>', 'at most this many', positiveInteger, 50)
    .option('--cursor <cursor>', 'go on where the page before ended')
  registrar.examples(command, [
    ['holdfast items --state retrying,parked', 'what waits'],
    ['holdfast items --batch leads.csv --key ada@example.com', 'one record of a file'],
  ])
  registrar.handle<Options>(command, (context, options) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const page = await operations.items(filterOf(options), {
        limit: options.limit,
        ...(options.cursor !== undefined && { cursor: options.cursor }),
      })
      output.result({ items: page.rows, cursor: page.cursor ?? null }, () =>
        page.rows.length > 0 ? itemTable(output, page.rows, host.clock.wallMs()) : 'No items.',
      )
      const [first] = page.rows
      if (page.cursor !== undefined)
        output.next(`holdfast items --cursor ${page.cursor}`, 'with the same options: the next page')
      else if (first) output.next(`holdfast explain ${first.itemId}`)
      else output.next('holdfast run PIPELINE --input FILE', 'to send records through a pipeline')
      return EXIT.done
    }),
  )
}
