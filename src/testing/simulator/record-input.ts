/** What a planned record is when it is handed in, and what its steps name their effects after. */
import { itemId as itemIdOf } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { UndoInput } from '../../engine/pipelines/undo-pipeline.ts'
import type { RecordPlan, StepPlan } from './scenario.ts'

/** The input of a run. A type, not an interface, so that it is also a JSON object to the compiler. */
export type RecordInput = {
  readonly id: string
  readonly entity: string
  readonly variant?: number
  readonly subject?: string
  readonly version?: number
  readonly refusedBy?: readonly string[]
  readonly padding?: string
}

export function inputOf({ id, entity, variant, subject, version, refusedBy, padding }: RecordPlan): RecordInput {
  return {
    id,
    entity,
    ...(variant !== undefined && { variant }),
    ...(subject !== undefined && { subject }),
    ...(version !== undefined && { version }),
    ...(refusedBy && { refusedBy }),
    ...(padding !== undefined && { padding: 'x'.repeat(padding) }),
  }
}

/** What an operator changes in data that an API refuses (RFC 7396). */
export const ACCEPTABLE: Json = { refusedBy: null }

/** What a run was submitted with: a record, or another run that it undoes. */
export type AnyInput = Pick<RecordPlan, 'entity'> | Pick<UndoInput, 'runId' | 'outputs'>

/** The effect's key at the twin: the item itself, an operation that several runs share, or the item that is undone. */
export function effectKeyOf(step: Pick<StepPlan, 'kind' | 'name'>, input: AnyInput, itemId: string): string {
  if ('outputs' in input) return undoKeyOf(itemIdOf(input.runId, step.name))
  return step.kind === 'post_operation' ? `op:${input.entity}` : itemId
}

/** So that undoing something twice is an effect twice, whichever run does it. */
export function undoKeyOf(operation: string): string {
  return `undo-${operation}`
}
