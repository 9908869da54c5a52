import type { Command } from 'commander'
import type { Operations } from '../../engine/api.ts'
import type { ItemFilter, ItemRecord } from '../../ledger/port.ts'
import { EXIT } from '../exit-codes.ts'
import { addFilterOptions, type FilterOptions, filterOf } from '../item-filter.ts'
import { noSuchItem } from '../no-such-item.ts'
import { positiveInteger } from '../option-parsers.ts'
import { explanationText, itemText } from '../output/item-details.ts'
import { groupTable, itemTable } from '../output/items.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

interface Options extends FilterOptions {
  readonly group?: string
  readonly limit: number
  readonly cursor?: string
}

const INBOX = ['dead_lettered', 'unknown_outcome'] as const
const EXPORT_PAGE = 200

/** The commands that only look: list, groups, show, export. */
export function defineList(dlq: Command, registrar: Registrar): void {
  defineItems(dlq, registrar)
  defineGroups(dlq, registrar)
  defineShow(dlq, registrar)
  defineExport(dlq, registrar)
}

function defineItems(dlq: Command, registrar: Registrar): void {
  const command = dlq.command('list').description('Lists dead letters and unknown outcomes, newest first.')
  addFilterOptions(command, { states: false })
    .option('--group <fingerprint>', 'only this group')
    .option('--limit <count>', 'at most this many', positiveInteger, 50)
    .option('--cursor <cursor>', 'go on where the page before ended')
  registrar.handle<Options>(command, (context, options) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const page = await operations.items(inboxFilter(options), {
        limit: options.limit,
        ...(options.cursor !== undefined && { cursor: options.cursor }),
      })
      output.result({ items: page.rows, cursor: page.cursor ?? null }, () =>
        page.rows.length > 0 ? itemTable(output, page.rows, host.clock.wallMs()) : 'No dead letters.',
      )
      const [first] = page.rows
      if (page.cursor !== undefined)
        output.next(`holdfast dlq list --cursor ${page.cursor}`, 'with the same options: the next page')
      else if (first) output.next(`holdfast dlq show ${first.itemId}`)
      return EXIT.done
    }),
  )
}

function defineGroups(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('groups')
    .description(
      'Shows dead letters and unknown outcomes by cause, the largest group first; also those that are tried again by themselves, and how many that are.',
    )
  addFilterOptions(command, { states: false })
  registrar.handle<FilterOptions>(command, (context, options) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const groups = await operations.groups({ needsPerson: false, ...filterOf(options) })
      output.result({ groups }, () => {
        if (groups.length === 0) return 'No dead letters.'
        const hints = groups.map(({ fingerprint, hint }) => `${output.colours.accent(fingerprint)}  ${hint}`)
        return [groupTable(output, groups, host.clock.wallMs()), '', ...hints].join('\n')
      })
      const largest = groups.find(({ count, willRetry }) => count > willRetry)
      if (!largest) return EXIT.done
      output.next(`holdfast dlq show ${largest.exampleItemId}`, 'one of the largest group')
      output.next(`holdfast dlq replay --group ${largest.fingerprint} --dry-run`, 'once its cause is fixed')
      return EXIT.needsPerson
    }),
  )
}

function defineShow(dlq: Command, registrar: Registrar): void {
  const command = dlq.command('show <id>').description('Shows one dead letter: its story, every attempt, its payload.')
  registrar.handle(command, (context, _options, [id = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output } = context
      const [item, explanation] = await Promise.all([operations.item(id), operations.explain(id)])
      if (!item || !explanation) throw noSuchItem(id)
      output.result({ item, explanation }, () =>
        [explanationText(output, explanation), '', itemText(output, item)].join('\n'),
      )
      if (item.state === 'unknown_outcome') output.next(`holdfast dlq resolve ${id} --happened`, 'or --did-not-happen')
      else if (item.state === 'dead_lettered') output.next(`holdfast dlq replay ${id}`, 'once its cause is fixed')
      return EXIT.done
    }),
  )
}

function defineExport(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('export')
    .description('Writes dead letters with payload and attempts to stdout, one JSON object per line.')
    .option('--group <fingerprint>', 'only this group')
  addFilterOptions(command, { states: false })
  registrar.examples(command, [
    ['holdfast dlq export --batch leads.csv > dead.jsonl', 'for the people who own the data'],
  ])
  registrar.handle<FilterOptions & { group?: string }>(command, (context, options) =>
    context.withHoldfast('look', async ({ operations }) => {
      let count = 0
      for await (const item of everyRecord(operations, inboxFilter(options))) {
        context.host.stdout.write(`${JSON.stringify(item)}\n`)
        count++
      }
      context.output.note(`${formatCount(count)} dead letters exported.`)
      return EXIT.done
    }),
  )
}

async function* everyRecord(operations: Operations, filter: ItemFilter): AsyncGenerator<ItemRecord> {
  let cursor: string | undefined
  do {
    const page = await operations.items(filter, { limit: EXPORT_PAGE, ...(cursor !== undefined && { cursor }) })
    for (const { itemId } of page.rows) {
      const item = await operations.item(itemId)
      if (item) yield item
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}

function inboxFilter(options: FilterOptions & { readonly group?: string }): ItemFilter {
  return {
    states: INBOX,
    ...filterOf(options),
    ...(options.group !== undefined && { fingerprint: options.group }),
  }
}
