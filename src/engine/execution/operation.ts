/** Steps that name their operation across runs (`operation`): it is reserved before anything is sent (R089-R092, R099). */
import { isEndState } from '../../core/item-state.ts'
import type { EffectReceipt, ItemRecord, Settlement } from '../../ledger/port.ts'
import type { RequestPlan } from '../pipelines/catalog.ts'
import type { StepContext } from '../pipelines/pipeline.ts'
import { type Execution, failureFacts } from './execute.ts'
import { foundMissingAtMs, uncertainSinceMs } from './idempotency-key.ts'
import { parseMemo } from './memo.ts'
import { deadLetter, fence, heldSettlement, noFailureKnown, unknownOutcome } from './verdict.ts'

/** `key` undefined: the step has no operation of its own, and the item itself is the record. */
export interface OperationGrant {
  readonly kind: 'granted'
  readonly key: string | undefined
  /** An earlier try may have done it: whatever becomes of this one, nobody else may begin it. */
  readonly inDoubt: boolean
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
  const key = await operationKeyOf(plan, context)
  if (key === undefined) return { kind: 'granted', key, inDoubt: false }
  for (;;) {
    const receipt = await begin(execution, plan, key, fingerprint())
    if (receipt.outcome === 'started') return { kind: 'granted', key, inDoubt: await isInDoubt(execution) }
    if (receipt.outcome === 'done' || receipt.outcome === 'mismatch') {
      return { kind: 'settled', settlement: settleKnown(execution, key, receipt) }
    }
    const settlement = await afterOwner(execution, plan, key, receipt.owner)
    if (settlement) return { kind: 'settled', settlement }
  }
}

async function begin(
  { item, parts }: Execution,
  plan: RequestPlan,
  key: string,
  fingerprint: string,
): Promise<EffectReceipt> {
  const nowMs = parts.clock.wallMs()
  const { maxAgeMs, slowLane } = plan.retry
  const [receipt] = await parts.ledger.beginEffects(
    [
      {
        tenant: item.tenant,
        key,
        fingerprint,
        owner: item.itemId,
        reservedUntilMs: nowMs + maxAgeMs + slowLane.spanMs,
        keepUntilMs: nowMs + Math.max(KEEP_MS, maxAgeMs + slowLane.spanMs),
      },
    ],
    nowMs,
  )
  return receipt ?? { outcome: 'started' }
}

/** Costs a look at its history only where it was tried before. */
async function isInDoubt({ item, parts }: Execution): Promise<boolean> {
  if (item.counters.attempts + item.counters.crashes === 0) return false
  const record = await parts.ledger.item(item.itemId)
  return record !== undefined && uncertainSinceMs(record) !== undefined
}

/**
 * In the hands of an item that works on it: wait. One that has ended will never say what became of it: where it surely did
 * nothing, or doing it again does no harm, the operation is free (`undefined`); else it is looked for, or a person decides.
 */
async function afterOwner(
  execution: Execution,
  plan: RequestPlan,
  key: string,
  owner: string,
): Promise<Settlement | undefined> {
  const { item, parts, memo } = execution
  const nowMs = parts.clock.wallMs()
  const record = await parts.ledger.item(owner)
  if (!record || !isEndState(record.state)) {
    const untilMs = nowMs + IN_PROGRESS_DELAY_MS
    return heldSettlement({ item, plan, memo, untilMs, reason: `operation "${key}" is in the hands of ${owner}` })
  }
  const sinceMs = inDoubtSinceMs(record)
  const own = sinceMs === undefined ? undefined : await parts.ledger.item(item.itemId)
  const isMissing = own !== undefined && sinceMs !== undefined && foundMissingAtMs(own) > sinceMs
  if (sinceMs === undefined || isMissing || HARMLESS.has(plan.endpoint.idempotency.kind)) {
    await parts.ledger.endEffects([{ tenant: item.tenant, key, owner, done: false }], nowMs)
    return undefined
  }
  const reason = `${owner}, which was ${record.state}, may have done operation "${key}": repeating it could double it`
  const failure = {
    ...noFailureKnown(reason, 'operation_in_doubt'),
    class: 'unknown',
    certainty: 'maybe_applied',
  } as const
  return unknownOutcome(failureFacts(execution, { ...failure, rule: 'engine: operation (R092, R097)' }), reason)
}

/** Of one that has ended. Where its effect was still being looked for, what was found until then is not enough. */
function inDoubtSinceMs(record: ItemRecord): number | undefined {
  if (!parseMemo(record.memo).unresolved) return uncertainSinceMs(record)
  return record.attempts.at(-1)?.startedAtMs ?? record.createdAtMs
}

/** As often as one likes, whoever does it. */
const HARMLESS: ReadonlySet<string> = new Set(['safe', 'natural'])

function settleKnown(
  execution: Execution,
  key: string,
  receipt: Extract<EffectReceipt, { outcome: 'done' | 'mismatch' }>,
): Settlement {
  const { item } = execution
  if (receipt.outcome === 'done') {
    const note = `operation "${key}" was already done; nothing was sent`
    return { ...fence(item), to: { state: 'succeeded', output: receipt.output, note } }
  }
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
