/** The balance of rule 2, as people and machines read it. */
import { ITEM_STATES, type ItemState } from '../../core/item-state.ts'
import type { Balance } from '../../ledger/port.ts'
import type { Colours } from './colours.ts'
import type { Output } from './output.ts'
import { formatCount } from './time.ts'

const ATTENTION: ReadonlySet<ItemState> = new Set(['dead_lettered', 'unknown_outcome'])

/** All states that hold items, the sum, and whether it is what was accepted. */
export function balanceText(output: Output, balance: Balance): string {
  const { colours } = output
  const rows = ITEM_STATES.map((state) => ({ state, count: balance.states[state] })).filter(({ count }) => count > 0)
  const sum = ITEM_STATES.reduce((total, state) => total + balance.states[state], 0)
  const paint = (text: string, { state }: { state: ItemState }) => paintState(colours, state, text)
  const states = output.table(
    [
      { title: 'state', value: ({ state }) => state, paint },
      { title: 'items', value: ({ count }) => formatCount(count), align: 'right', paint },
    ],
    rows,
  )
  const verdict = balance.balanced
    ? colours.good(`= ${formatCount(balance.accepted)} accepted: the books balance`)
    : colours.bad(`but ${formatCount(balance.accepted)} were accepted: THE BOOKS DO NOT BALANCE`)
  return `${rows.length > 0 ? `${states}\n` : ''}${formatCount(sum)} in all ${verdict}`
}

export function paintState(colours: Colours, state: ItemState, text: string): string {
  if (ATTENTION.has(state)) return colours.bad(text)
  if (state === 'succeeded') return colours.good(text)
  if (state === 'retrying' || state === 'parked') return colours.warn(text)
  return text
}
