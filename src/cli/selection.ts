/** Which dead letters a command acts on: ids, a group, or a filter; never all by accident. */
import type { Command } from 'commander'
import { configurationError } from '../core/errors.ts'
import type { Selection } from '../engine/api.ts'
import { addFilterOptions, type FilterOptions, filterOf } from './item-filter.ts'

export interface SelectionOptions extends FilterOptions {
  readonly group?: string
  readonly all?: boolean
}

export function addSelectionOptions(command: Command): Command {
  command
    .argument('[ids...]', 'ids of items')
    .option('--group <fingerprint>', 'all of one group (see `holdfast dlq groups`)')
    .option('--all', 'all dead letters')
  return addFilterOptions(command, { states: false })
}

/** @throws HoldfastError `selection_missing`, `selection_ambiguous` */
export function selectionOf(ids: readonly string[], options: SelectionOptions): Selection {
  const filter = filterOf(options)
  const ways = [ids.length > 0, options.group !== undefined, options.all === true || filter !== undefined]
  const chosen = ways.filter(Boolean).length
  if (chosen === 0) {
    throw configurationError(
      'selection_missing',
      'Which dead letters? Nothing is chosen',
      'Give ids, --group FINGERPRINT, a filter such as --pipeline NAME, or --all.',
    )
  }
  if (chosen > 1) {
    throw configurationError(
      'selection_ambiguous',
      'Ids, --group and filters cannot be combined',
      'Choose with one of them; a group or a filter can be looked at first with --dry-run.',
    )
  }
  if (ids.length > 0) return { itemIds: ids }
  if (options.group !== undefined) return { fingerprint: options.group }
  return { filter: filter ?? {} }
}
