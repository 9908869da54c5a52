/** From claimed items to the calls that carry them: each record is built by itself, and shares a call with its like. */
import type { OutboundCall } from '../../client/call/call.ts'
import type { Failure } from '../../core/failure.ts'
import { fingerprintOf, type Json, toJson } from '../../core/json.ts'
import type { Settlement } from '../../ledger/port.ts'
import { batchBody } from '../../policy/batches/batch-request.ts'
import { buildCall } from '../execution/build-request.ts'
import { createStepContext } from '../execution/context.ts'
import type { Execution } from '../execution/execute.ts'
import { notBuilt } from '../execution/execute-request.ts'
import { type OperationGrant, reserveOperation } from '../execution/operation.ts'
import type { BatchPlan } from '../pipelines/batch-plan.ts'
import type { RequestPlan, StepPlan } from '../pipelines/catalog.ts'
import type { StepContext } from '../pipelines/pipeline.ts'

export type BatchedPlan = RequestPlan & { readonly batch: BatchPlan }

/** One record, ready to share a call. */
export interface Member {
  readonly execution: Execution
  readonly plan: BatchedPlan
  readonly context: StepContext
  /** As it would be if it were sent alone and without an envelope. */
  readonly call: OutboundCall
  readonly record: Json
  /** What it adds to the body. */
  readonly bytes: number
  readonly operation: OperationGrant
  /** What a larger call with it came to, where that call may have had its effect: a try, whether or not another follows. */
  readonly tried?: { readonly failure: Failure; readonly company: number; readonly limited: boolean }
}

export function isBatched(plan: StepPlan): plan is BatchedPlan {
  return plan.kind === 'request' && plan.batch !== undefined
}

/** A settlement where the item ends before any call. */
export async function prepareMember(execution: Execution, plan: BatchedPlan): Promise<Member | Settlement> {
  const { item, claim } = execution
  const context = createStepContext(item)
  let built: Pick<Member, 'call' | 'record' | 'bytes'>
  try {
    const call = await buildCall(plan, item, context, claim)
    const text = toJson(call.body ?? null)
    const record = JSON.parse(text) as Json
    built = { call, record, bytes: bytesOf(plan, record, text) }
  } catch (thrown) {
    return notBuilt(execution, thrown)
  }
  const operation = await reserveOperation(execution, plan, context, () =>
    fingerprintOf([built.call.path, built.record]),
  )
  return operation.kind === 'settled' ? operation.settlement : { execution, plan, context, ...built, operation }
}

/** With its place in the envelope: a comma, and a mark of up to five digits. */
function bytesOf({ batch }: BatchedPlan, record: Json, text: string): number {
  if (!batch.shape || batch.build) return Buffer.byteLength(text) + 1
  const { envelope } = batch.shape
  return Buffer.byteLength(toJson(batchBody(envelope, [record]))) - envelopeBytes(batch) + 5
}

function envelopeBytes({ shape, build }: BatchPlan): number {
  return shape && !build ? Buffer.byteLength(toJson(batchBody(shape.envelope, []))) : 0
}

/** Gathers the members into calls: one path, one set of headers, within size and bytes, in the order of their due times. */
export function gatherCalls(members: readonly Member[]): Member[][] {
  const alike = Map.groupBy(members, ({ plan, call, execution }) =>
    JSON.stringify([plan.pipeline, plan.step, call.path, call.headers, execution.memo.together ?? null]),
  )
  return [...alike.values()].flatMap(cutToSize)
}

function cutToSize(members: readonly Member[]): Member[][] {
  const [first] = members
  if (!first) return []
  const { batch } = first.plan
  const most = Math.min(batch.size, first.execution.memo.together ?? batch.size)
  const calls: Member[][] = []
  let open: Member[] = []
  let bytes = 0
  for (const member of members) {
    // One that is too large by itself goes alone.
    if (open.length > 0 && (open.length >= most || bytes + member.bytes > batch.bytes)) open = []
    if (open.length === 0) {
      calls.push(open)
      bytes = envelopeBytes(batch)
    }
    open.push(member)
    bytes += member.bytes
  }
  return calls
}

/** Two halves, which remember that they are not to meet again. */
export function halve(members: readonly Member[]): [Member[], Member[]] {
  const middle = Math.ceil(members.length / 2)
  return [members.slice(0, middle).map(limited(middle)), members.slice(middle).map(limited(middle))]
}

/** It has been in a call that was refused, and goes in smaller ones since. */
export function isLimited({ execution }: Pick<Member, 'execution'>): boolean {
  return execution.memo.together !== undefined
}

function limited(together: number): (member: Member) => Member {
  return (member) => {
    const { execution } = member
    return { ...member, execution: { ...execution, memo: { ...execution.memo, together } } }
  }
}
