/**
 * Claimed items that share calls. One call is counted once by limiters and breakers; each record keeps its own item, lease,
 * attempt and outcome. A worker gives one place to all of it: calls go one after the other.
 */
import type { Settlement } from '../../ledger/port.ts'
import {
  type Claim,
  type ExecuteParts,
  type Execution,
  endedBefore,
  executeClaim,
  executionOf,
  refusedTurn,
} from '../execution/execute.ts'
import { createDelivery } from './batch-delivery.ts'
import { gatherCalls, isBatched, type Member, prepareMember } from './batch-members.ts'

/** One of them is told, once, for each claim. */
export interface ClaimEnds {
  /** `undefined`: the lease was lost, and there is nothing to settle. */
  ended(claim: Claim, settlement: Settlement | undefined): void
  /** A defect of ours: the item goes back by its lease. */
  broke(claim: Claim, error: unknown): void
}

/** Never rejects; every claim has ended when it resolves. */
export async function executeTogether(parts: ExecuteParts, claims: readonly Claim[], ends: ClaimEnds): Promise<void> {
  const alone: Claim[] = []
  const preparing: Promise<Member | undefined>[] = []
  for (const claim of claims) {
    const execution = executionOf(parts, claim)
    if (execution && isBatched(execution.plan) && !execution.memo.unresolved) preparing.push(prepare(execution, ends))
    else alone.push(claim)
  }
  const members = await Promise.all(preparing)
  for (const call of gatherCalls(members.filter((member) => member !== undefined))) await deliver(parts, call, ends)
  for (const claim of alone) {
    try {
      ends.ended(claim, await executeClaim(parts, claim))
    } catch (error) {
      ends.broke(claim, error)
    }
  }
}

/** `undefined`: it has ended. */
async function prepare(execution: Execution, ends: ClaimEnds): Promise<Member | undefined> {
  const { claim, plan } = execution
  try {
    const ended = endedBefore(execution) ?? (plan.turnOf && (await refusedTurn(execution)))
    const prepared = ended ?? (isBatched(plan) ? await prepareMember(execution, plan) : undefined)
    if (prepared && 'record' in prepared) return prepared
    ends.ended(claim, prepared)
  } catch (error) {
    ends.broke(claim, error)
  }
  return undefined
}

async function deliver(parts: ExecuteParts, call: readonly Member[], ends: ClaimEnds): Promise<void> {
  const open = new Set(call.map((member) => member.execution.claim))
  const deliverAll = createDelivery(parts, ({ execution }, settlement) => {
    open.delete(execution.claim)
    ends.ended(execution.claim, settlement)
  })
  try {
    await deliverAll(call)
  } catch (error) {
    for (const claim of open) ends.broke(claim, error)
  }
}
