/** The options that choose items, the same for every command that lists or changes them. */
import type { Command } from 'commander'
import type { ItemState } from '../core/item-state.ts'
import type { ItemFilter } from '../ledger/port.ts'
import { itemStates, label } from './option-parsers.ts'

export interface FilterOptions {
  readonly state?: readonly ItemState[]
  readonly pipeline?: string
  readonly step?: string
  readonly lane?: string
  readonly endpoint?: string
  readonly key?: string
  readonly run?: string
  readonly tenant?: string
  readonly batch?: string
  readonly label?: Readonly<Record<string, string>>
}

export function addFilterOptions(command: Command, options: { readonly states: boolean }): Command {
  if (options.states) command.option('--state <states>', 'only these states, separated by commas', itemStates)
  return command
    .option('--pipeline <name>', 'only this pipeline')
    .option('--step <name>', 'only this step')
    .option('--batch <name>', 'only this batch')
    .option('--label <name=value>', 'only with this label (may be repeated)', label)
    .option('--lane <lane>', 'only this lane')
    .option('--endpoint <endpoint>', 'only this endpoint, such as "POST /contacts"')
    .option('--key <key>', 'only the record with this key')
    .option('--run <id>', 'only this run')
    .option('--tenant <name>', 'only this tenant')
}

/** `undefined` where nothing is chosen. */
export function filterOf(options: FilterOptions): ItemFilter | undefined {
  const filter: ItemFilter = {
    ...(options.state && { states: options.state }),
    ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
    ...(options.step !== undefined && { step: options.step }),
    ...(options.lane !== undefined && { lane: options.lane }),
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...(options.key !== undefined && { key: options.key }),
    ...(options.run !== undefined && { runId: options.run }),
    ...(options.tenant !== undefined && { tenant: options.tenant }),
    ...(options.batch !== undefined && { batch: options.batch }),
    ...(options.label && { labels: options.label }),
  }
  return Object.keys(filter).length > 0 ? filter : undefined
}
