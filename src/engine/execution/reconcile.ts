/**
 * An effect whose outcome is unknown: look for it (rule 3, R094, R095). Found: done. Not found, twice with a pause between:
 * not done, and it may be sent again. Cannot tell: a person decides.
 */
import { makeAttempt } from '../../client/attempt/attempt.ts'
import type { Failure } from '../../core/failure.ts'
import { toJson } from '../../core/json.ts'
import type { AttemptRecord, Gate, Settlement } from '../../ledger/port.ts'
import { classifyThrown } from '../../policy/classify/classify.ts'
import { backoffDelayMs } from '../../policy/retry/backoff.ts'
import type { CodePlan, RequestPlan, StepPlan } from '../pipelines/catalog.ts'
import type { Reconciliation, RequestReconciliation, StepContext } from '../pipelines/pipeline.ts'
import { suspendLane } from './after-failure.ts'
import { buildLookup } from './build-request.ts'
import { createStepContext } from './context.ts'
import { type Execution, failureFacts } from './execute.ts'
import { runWithin } from './execute-code.ts'
import { operationKeyOf } from './operation.ts'
import { fence, heldSettlement, noFailureKnown, unknownOutcome } from './verdict.ts'

/** Thrown by a `match`: another look would not tell either. */
const CANNOT_TELL = 'reconcile_cannot_tell'

type Look =
  | { readonly kind: 'looked'; readonly found: Reconciliation<unknown>; readonly externalId?: string }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'held'; readonly untilMs: number; readonly reason: string }

export async function reconcile(execution: Execution): Promise<Settlement | undefined> {
  const { plan, claim } = execution
  if (!plan.definition.reconcile) {
    return unknownOutcome(
      failureFacts(execution, originalFailure(execution)),
      'nothing here can look for it: a person decides',
    )
  }
  if (!claim.leaseIsLive()) return undefined
  const look = plan.kind === 'request' ? await lookByRequest(execution, plan) : await lookByCode(execution, plan)
  if (look.kind === 'held') return heldSettlement({ ...execution, untilMs: look.untilMs, reason: look.reason })
  if (look.kind === 'failed') return lookAgain(execution, look.failure)
  switch (look.found.outcome) {
    case 'applied':
      return foundIt(execution, plan, look.found.output, look.externalId)
    case 'not_applied':
      return notThere(execution)
    case 'cannot_tell':
      return {
        ...unknownOutcome(
          { ...failureFacts(execution, originalFailure(execution)), reconcileDelayMs: undefined },
          'looked for it, and cannot tell: a person decides',
        ),
        attempt: lookRecord(execution, 'reconciled', 'looked: cannot tell'),
      }
  }
}

async function lookByRequest(execution: Execution, plan: RequestPlan): Promise<Look> {
  const { item, claim, parts } = execution
  const rule = plan.definition.reconcile as RequestReconciliation<StepContext, unknown>
  const context = createStepContext(item)
  try {
    const call = await buildLookup(plan, rule.request, item, context, claim)
    const result = await makeAttempt(call, parts.attempt)
    if (result.kind === 'held') return result
    if (result.kind === 'failed') {
      // A lookup by id that answers 404 has looked, and found nothing.
      if (result.failure.class !== 'not_found') return result
      return { kind: 'looked', found: { outcome: 'not_applied' } }
    }
    const firstTriedAtMs = item.firstAttemptAtMs ?? item.createdAtMs
    const output = await rule.match(result.answer, context, { firstTriedAtMs })
    if (output === undefined) return { kind: 'looked', found: { outcome: 'not_applied' } }
    const externalId = await rule.externalId?.(output, context, result.answer)
    return {
      kind: 'looked',
      found: { outcome: 'applied', output },
      ...(externalId !== undefined && { externalId }),
    }
  } catch (thrown) {
    return { kind: 'failed', failure: classifyThrown(thrown, true) }
  }
}

async function lookByCode(execution: Execution, plan: CodePlan): Promise<Look> {
  const look = plan.definition.reconcile as (context: unknown) => Promise<Reconciliation<unknown>>
  const ended = await runWithin(execution, plan, (context) => look(context))
  if (ended.kind === 'failed') return ended
  const outcome = (ended.value as { outcome?: unknown } | undefined)?.outcome
  if (outcome === 'applied' || outcome === 'not_applied' || outcome === 'cannot_tell') {
    return { kind: 'looked', found: ended.value }
  }
  const message = `\`reconcile\` of step "${plan.step}" returned no known outcome`
  return { kind: 'failed', failure: { ...noFailureKnown(message, 'reconcile_output_invalid'), class: 'configuration' } }
}

async function foundIt(
  execution: Execution,
  plan: StepPlan,
  found: unknown,
  externalId: string | undefined,
): Promise<Settlement> {
  const { item } = execution
  try {
    const output = toJson(found ?? null)
    const id = externalId === undefined ? {} : { externalId }
    const operation = plan.kind === 'request' ? await operationKeyOf(plan, createStepContext(item)) : undefined
    return {
      ...fence(item),
      to: { state: 'succeeded', output, ...id, note: 'found: it had happened' },
      attempt: lookRecord(execution, 'reconciled', 'looked for the effect and found it'),
      memo: null,
      ...(operation !== undefined && { effect: { key: operation, done: true, output, ...id } }),
    }
  } catch (thrown) {
    return lookAgain(execution, classifyThrown(thrown, true))
  }
}

/** One look that finds nothing may come too early: the API may still be working on it. */
function notThere(execution: Execution): Settlement {
  const { item, memo, parts, plan } = execution
  const looks = (memo.looks ?? 0) + 1
  const enough = plan.looking?.looks ?? parts.settings.reconcileLooks
  const attempt = lookRecord(execution, 'not_found', `looked for the effect: not there (${looks} of ${enough})`)
  if (looks < enough) {
    const facts = { ...failureFacts(execution, originalFailure(execution)), memo: { ...memo, looks } }
    return {
      ...unknownOutcome(facts, `not found yet; looking again (${looks} of ${enough})`),
      attempt,
    }
  }
  const { unresolved: _resolved, looks: _looks, ...rest } = memo
  return {
    ...fence(item),
    to: {
      state: 'retrying',
      dueAtMs: parts.clock.wallMs(),
      reason: 'looked for it and it is not there: sending it again is safe',
    },
    attempt,
    memo: JSON.stringify(rest),
  }
}

/** Looking failed: that says nothing about the effect. Look again later; a person after as many tries as a call gets. */
async function lookAgain(execution: Execution, failure: Failure): Promise<Settlement> {
  const { memo, parts, plan, item } = execution
  const inARow = (memo.inARow ?? 0) + 1
  const attempt = { ...lookRecord(execution, 'reconciled', 'could not look for the effect'), failure }
  const nextMemo = { ...memo, inARow }
  const ageMs = parts.clock.wallMs() - item.budgetFromMs
  const facts = { ...failureFacts(execution, originalFailure(execution)), memo: nextMemo }
  const delayMs = Math.max(failure.retryAfterMs ?? 0, backoffDelayMs(plan.retry, Math.min(inARow, 10), parts.random))
  const gate = await tellLane(execution, failure, delayMs)
  const lastLook = ageMs > plan.retry.maxAgeMs || failure.class === 'configuration' || failure.code === CANNOT_TELL
  const reason = whyUnknown(failure, lastLook)
  const settlement = unknownOutcome({ ...facts, reconcileDelayMs: lastLook ? undefined : delayMs }, reason)
  return { ...settlement, attempt, ...(gate && { gate }) }
}

function whyUnknown({ code, message }: Failure, lastLook: boolean): string {
  if (code === CANNOT_TELL) return `${message}: a person decides`
  return lastLook ? `could not look for it: ${message}` : `could not look for it (${code}); looking again`
}

/** What the API says to a look holds for the lane as what it says to a call does (rule 4). */
async function tellLane(execution: Execution, failure: Failure, delayMs: number): Promise<Gate | undefined> {
  const { item, parts } = execution
  if (failure.class === 'authentication') await suspendLane(execution, failure.message)
  if (failure.class !== 'rate_limited') return undefined
  const gate = { lane: item.lane, untilMs: parts.clock.wallMs() + delayMs, reason: failure.message }
  parts.health.closeGate(gate.lane, gate.untilMs, gate.reason)
  return gate
}

/** Looking uses no attempt: it sends nothing that could have an effect. */
function lookRecord(execution: Execution, outcome: AttemptRecord['outcome'], note: string): AttemptRecord {
  return {
    startedAtMs: execution.startedAtMs,
    endedAtMs: execution.parts.clock.wallMs(),
    outcome,
    counts: false,
    note,
  }
}

function originalFailure(execution: Execution): Failure {
  return execution.item.lastFailure ?? noFailureKnown('the worker was lost while it ran', 'worker_lost')
}
