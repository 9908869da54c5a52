/** Steps that name their operation across runs (`operation`): it is reserved before anything is sent (R089-R092, R099). */
import type { EffectReceipt, Settlement } from '../../ledger/port.ts'
import type { RequestPlan } from '../pipelines/catalog.ts'
import type { StepContext } from '../pipelines/pipeline.ts'
import { type Execution, failureFacts } from './execute.ts'
import { deadLetter, fence, heldSettlement, noFailureKnown } from './verdict.ts'

/** `key` undefined: the step has no operation of its own, and the item itself is the record. */
export interface OperationGrant {
  readonly kind: 'granted'
  readonly key: string | undefined
}

export type OperationDecision = OperationGrant | { readonly kind: 'settled'; readonly settlement: Settlement }

/** Effects are remembered for at least three days, and never shorter than the item's life (D19). */
const KEEP_MS = 72 * 3_600_000
const IN_PROGRESS_DELAY_MS = 5000

/** The name under which the operation is known across runs; `undefined` where the step has none of its own. */
export async function operationKeyOf(plan: RequestPlan, context: StepContext): Promise<string | undefined> {
  const { operation } = plan.definition
  return operation && `${plan.pipeline}.${plan.step}:${await operation(context)}`
}

export async function reserveOperation(
  execution: Execution,
  plan: RequestPlan,
  context: StepContext,
  fingerprint: () => string,
): Promise<OperationDecision> {
  const { item, parts } = execution
  const nowMs = parts.clock.wallMs()
  const key = await operationKeyOf(plan, context)
  if (key === undefined) return { kind: 'granted', key }
  const [receipt] = await parts.ledger.beginEffects(
    [
      {
        tenant: item.tenant,
        key,
        fingerprint: fingerprint(),
        owner: item.itemId,
        reservedUntilMs: nowMs + plan.retry.maxAgeMs + plan.retry.slowLane.spanMs,
        keepUntilMs: nowMs + Math.max(KEEP_MS, plan.retry.maxAgeMs + plan.retry.slowLane.spanMs),
      },
    ],
    nowMs,
  )
  if (!receipt || receipt.outcome === 'started') return { kind: 'granted', key }
  return { kind: 'settled', settlement: settleReserved(execution, plan, key, receipt) }
}

function settleReserved(
  execution: Execution,
  plan: RequestPlan,
  key: string,
  receipt: Exclude<EffectReceipt, { outcome: 'started' }>,
): Settlement {
  const { item, parts } = execution
  const nowMs = parts.clock.wallMs()
  switch (receipt.outcome) {
    case 'done':
      return {
        ...fence(item),
        to: {
          state: 'succeeded',
          output: receipt.output,
          note: `operation "${key}" was already done; nothing was sent`,
        },
      }
    case 'in_progress':
    case 'unknown':
      return heldSettlement({
        item,
        plan,
        memo: execution.memo,
        untilMs: nowMs + IN_PROGRESS_DELAY_MS,
        reason: `operation "${key}" is in the hands of ${receipt.owner}`,
      })
    case 'mismatch': {
      const reason = `operation "${key}" was already begun with other content by ${receipt.owner} (D17)`
      return deadLetter(
        failureFacts(execution, {
          ...noFailureKnown(reason, 'operation_conflict'),
          class: 'conflict',
          hint: 'Two records claim the same operation with different content: decide which is right, discard the other.',
          rule: 'engine (D17)',
        }),
        reason,
      )
    }
  }
}
