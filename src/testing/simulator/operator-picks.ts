/** What a person picks from what there is. */
import type { ItemState } from '../../core/item-state.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { OperationPlan } from './scenario.ts'

/** How much of a list a person looks at. */
export const PAGE = 200

export async function some(plan: OperationPlan, hf: Holdfast, states: readonly ItemState[]): Promise<string[]> {
  const { rows } = await hf.operations.items({ states }, { limit: PAGE })
  return takeFrom(rows, plan).map(({ itemId }) => itemId)
}

/** `most` of them, from the picked one on. */
export function takeFrom<Row>(rows: readonly Row[], { pick, most }: OperationPlan): Row[] {
  const start = Math.floor(pick * rows.length)
  return rows.slice(start, start + most)
}

export function pickOne<Value>(values: readonly Value[], pick: number): Value | undefined {
  return values[Math.floor(pick * values.length)]
}
