/** A try that failed: decide, tell the lane, and word the settlement. */

import { hideInFailure } from '../../client/credentials/known-secrets.ts'
import { formatDuration } from '../../core/duration.ts'
import type { Failure } from '../../core/failure.ts'
import type { Gate, Settlement } from '../../ledger/port.ts'
import { type Disposition, decideRetry } from '../../policy/retry/retry.ts'
import { type Execution, failureFacts } from './execute.ts'
import { rememberFailure } from './memo.ts'
import { cancelledSettlement, givenBack, settlementFor } from './verdict.ts'

export async function afterFailure(execution: Execution, found: Failure): Promise<Settlement> {
  const { item, parts } = execution
  // A step's own code may have been given what the API repeated of a secret.
  const failure = hideInFailure(found, (text) => parts.attempt.credentials.secrets.hide(text))
  const nowMs = parts.clock.wallMs()
  const memo = rememberFailure(execution.memo, failure)
  const disposition = dispositionOf(execution, failure, memo.inARow)
  if (disposition === 'give_back') return givenBack(item, 'given back: the worker stopped before it was sent')
  if (item.cancelRequested && disposition.kind === 'retry') return cancelledSettlement(item)
  if (disposition.kind === 'suspend_lane') await suspendLane(execution, disposition.reason)
  if (disposition.kind === 'close_gate') {
    parts.health.closeGate(item.lane, nowMs + disposition.delayMs, disposition.reason)
  }
  const gate = gateOfLast429(execution, failure, disposition, nowMs)
  if (gate) parts.health.closeGate(gate.lane, gate.untilMs, gate.reason)
  const settlement = settlementFor(disposition, {
    ...failureFacts(execution, failure),
    memo,
    nowMs,
    attempt: {
      startedAtMs: execution.startedAtMs,
      endedAtMs: nowMs,
      outcome: 'failed',
      counts: true,
      failure,
      ...(failure.status !== undefined && { status: failure.status }),
    },
  })
  return gate ? { ...settlement, gate } : settlement
}

/** Before the item is given back: else it would be claimed again at once. The lanes of a credential are suspended by its call. */
export async function suspendLane({ item, plan, parts }: Execution, reason: string): Promise<void> {
  if (plan.kind === 'request') return
  await parts.ledger.suspendLanes([{ lane: item.lane, reason, atMs: parts.clock.wallMs() }])
}

/** The item gives up on an API that asks for more patience than it has; the lane must still hear of it (rule 4). */
function gateOfLast429(
  execution: Execution,
  failure: Failure,
  disposition: Disposition,
  nowMs: number,
): Gate | undefined {
  if (failure.class !== 'rate_limited' || disposition.kind !== 'dead_letter') return undefined
  if (failure.retryAfterMs === undefined) return undefined
  const reason = `the API asked for ${formatDuration(failure.retryAfterMs)} (${failure.code})`
  return { lane: execution.item.lane, untilMs: nowMs + failure.retryAfterMs, reason }
}

function dispositionOf(execution: Execution, failure: Failure, inARow: number): Disposition | 'give_back' {
  const { item, plan, parts, claim } = execution
  if (failure.class === 'cancelled' && claim.signal?.aborted) return afterShutdown(execution, failure)
  const retry =
    plan.kind === 'request' && plan.endpoint.eventuallyConsistent && failure.class === 'not_found'
      ? lateRecord(plan.endpoint.eventuallyConsistent, inARow)
      : undefined
  if (retry) return retry
  if (isStaleRefusal(execution, failure)) {
    const reason = 'the API repeats a refusal from before the replay; it was not done, and is sent under a new key'
    return { kind: 'retry', delayMs: 0, reason }
  }
  return decideRetry(
    {
      failure,
      repeatable: plan.repeatable,
      attempts: item.counters.attempts + 1 - item.attemptsBeforeBudget,
      sameClassInARow: inARow,
      // The slow lane has its own budget of age.
      ageMs: item.from === 'dead_lettered' ? 0 : parts.clock.wallMs() - item.budgetFromMs,
      ...(execution.memo.previousDelayMs !== undefined && { previousDelayMs: execution.memo.previousDelayMs }),
    },
    // A dead letter on a slow-lane try gets that one try; the slow lane spaces them.
    item.from === 'dead_lettered' ? { ...plan.retry, maxAttempts: 1 } : plan.retry,
    parts.random,
  )
}

/** A person has removed the cause and replayed it, but under this key the API will refuse it for ever. Once per replay. */
function isStaleRefusal({ item, memo }: Execution, failure: Failure): boolean {
  return failure.keySpent === true && failure.certainty === 'not_sent' && item.counters.replays > 0 && !memo.keySpent
}

/** The worker is ending and broke the call off itself: not the API's fault, and no reason to lose or double anything. */
function afterShutdown(execution: Execution, failure: Failure): Disposition | 'give_back' {
  if (failure.certainty === 'not_sent') return 'give_back'
  if (execution.plan.repeatable) {
    return { kind: 'retry', delayMs: 0, reason: 'the worker stopped while it ran; repeating it is safe' }
  }
  return { kind: 'unknown_outcome', reason: 'the worker stopped while it ran; it may have happened' }
}

/** A record that shows up late (R014, D04). */
function lateRecord(
  settings: { readonly retries: number; readonly delayMs: number },
  inARow: number,
): Disposition | undefined {
  if (inARow > settings.retries) return undefined
  return {
    kind: 'retry',
    delayMs: settings.delayMs * 2 ** (inARow - 1),
    reason: `not found yet, look ${inARow} of ${settings.retries}: the endpoint is eventually consistent (R014)`,
  }
}
