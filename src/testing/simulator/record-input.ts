/** What a planned record is when it is handed in, and what its steps name their effects after. */
import type { Json } from '../../core/json.ts'
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

/** The effect's key at the twin: the item itself, or an operation that several runs share. */
export function effectKeyOf(step: Pick<StepPlan, 'kind'>, record: Pick<RecordPlan, 'entity'>, itemId: string): string {
  return step.kind === 'post_operation' ? `op:${record.entity}` : itemId
}
