/** Counting items by state: the two sides of the balance. */
import { ITEM_STATES, type ItemState } from '../core/item-state.ts'
import type { Balance } from './port.ts'

/** Kinds of tallies beside the states: items that came in, and, followed by a state, those whose rows are deleted. */
export const ACCEPTED = 'accepted'
export const ARCHIVED_PREFIX = 'archived:'

export type StateCounts = Record<ItemState, number>

export function noStates(): StateCounts {
  return Object.fromEntries(ITEM_STATES.map((state) => [state, 0])) as StateCounts
}

export function balanceOf(accepted: number, states: StateCounts, needsPerson: number): Balance {
  const counted = Object.values(states).reduce((sum, count) => sum + count, 0)
  return { accepted, states, needsPerson, balanced: accepted === counted }
}
