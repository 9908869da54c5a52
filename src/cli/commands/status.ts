import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { label } from '../option-parsers.ts'
import { balanceText } from '../output/balance.ts'
import { breakerTable, groupTable, isHeld, laneTable } from '../output/items.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly batch?: string
  readonly pipeline?: string
  readonly label?: Readonly<Record<string, string>>
}

const SHOWN_GROUPS = 5

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Shows the balance, and whatever is not well: dead letters by cause, breakers, closed gates, suspensions.',
    )
    .option('--batch <name>', 'only this batch')
    .option('--pipeline <name>', 'only this pipeline')
    .option('--label <name=value>', 'only with this label (may be repeated)', label)
  registrar.examples(command, [
    ['holdfast status', 'the whole'],
    ['holdfast status --batch leads.csv', 'one file'],
    ['holdfast status --json | jq .needsPerson', 'for a script'],
  ])
  registrar.handle<Options>(command, (context, options) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const filter = {
        ...(options.batch !== undefined && { batch: options.batch }),
        ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
      }
      const withLabels = { ...filter, ...(options.label && { labels: options.label }) }
      const balance = await operations.balance(withLabels)
      const groups = await operations.groups(withLabels)
      const nowMs = host.clock.wallMs()
      const breakers = (await operations.breakers()).filter(({ phase }) => phase !== 'closed')
      const lanes = (await operations.lanes()).filter((lane) => isHeld(lane, nowMs))
      const disabledAddresses = await operations.disabledAddresses()

      output.result({ balance, needsPerson: balance.needsPerson, groups, breakers, lanes, disabledAddresses }, () =>
        [
          balanceText(output, balance),
          ...(groups.length > 0 ? ['', groupTable(output, groups.slice(0, SHOWN_GROUPS), nowMs)] : []),
          ...(breakers.length > 0 ? ['', breakerTable(output, breakers, nowMs)] : []),
          ...(lanes.length > 0 ? ['', laneTable(output, lanes, nowMs)] : []),
          ...(disabledAddresses.length > 0 ? ['', wordDisabled(disabledAddresses)] : []),
        ].join('\n'),
      )
      if (balance.needsPerson === 0) return EXIT.done
      output.next('holdfast dlq groups', 'what needs a person, by cause')
      return EXIT.needsPerson
    }),
  )
}

function wordDisabled({ length }: readonly unknown[]): string {
  return `${length === 1 ? '1 address' : `${length} addresses`} of callbacks answered 410 and ${length === 1 ? 'is' : 'are'} told nothing more: holdfast callbacks`
}
