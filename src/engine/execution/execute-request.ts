/** A declarative step: build the call, reserve the operation, send, read the answer. */
import { makeAttempt } from '../../client/attempt/attempt.ts'
import type { Answer, OutboundCall } from '../../client/call/call.ts'
import { formatDuration } from '../../core/duration.ts'
import { HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import { fingerprintOf, toJson } from '../../core/json.ts'
import type { EffectEnd, Settlement } from '../../ledger/port.ts'
import { classifyMalformed, classifyThrown, isAlreadyExists } from '../../policy/classify/classify.ts'
import type { RequestPlan } from '../pipelines/catalog.ts'
import type { StepContext } from '../pipelines/pipeline.ts'
import { afterFailure } from './after-failure.ts'
import { buildCall } from './build-request.ts'
import { createStepContext } from './context.ts'
import { type Execution, failureFacts } from './execute.ts'
import { keyUseOf } from './idempotency-key.ts'
import { type OperationGrant, reserveOperation } from './operation.ts'
import { deadLetter, fence, givenBack, heldSettlement, noFailureKnown, unknownOutcome } from './verdict.ts'

export async function runRequestStep(execution: Execution, plan: RequestPlan): Promise<Settlement | undefined> {
  const { item, claim, parts, memo } = execution
  const context = createStepContext(item)
  const use = await keyUseOf({ item, memo, plan, nowMs: parts.clock.wallMs(), ledger: parts.ledger })
  if (use.forgottenSinceMs !== undefined) return keyForgotten(execution, use.forgottenSinceMs)
  let call: OutboundCall
  try {
    call = await buildCall(plan, item, context, claim, use.key)
  } catch (thrown) {
    return notBuilt(execution, thrown)
  }
  const operation = await reserveOperation(execution, plan, context, () =>
    fingerprintOf([call.path, call.body ?? null]),
  )
  if (operation.kind === 'settled') return operation.settlement
  if (!claim.leaseIsLive()) return undefined
  if (claim.signal?.aborted) return withEffect(givenBack(item, 'given back: the worker is stopping'), operation, false)

  const result = await makeAttempt(call, parts.attempt)
  if (result.kind === 'held') {
    const held = heldSettlement({ item, plan, memo: execution.memo, untilMs: result.untilMs, reason: result.reason })
    return withEffect(held, operation, false)
  }
  if (result.kind === 'failed') {
    const failure = (await plan.whenFailed?.(item, result.failure)) ?? result.failure
    if (isOurs(plan, failure)) return alreadyThere(execution, operation, failure)
    return withEffect(await afterFailure(execution, failure), operation, failure.certainty !== 'not_sent')
  }
  return readAnswer(execution, plan, context, call, result.answer, operation)
}

export async function readAnswer(
  execution: Execution,
  plan: RequestPlan,
  context: StepContext,
  call: OutboundCall,
  answer: Answer,
  operation: OperationGrant,
): Promise<Settlement> {
  try {
    const output = plan.definition.parse ? await plan.definition.parse(answer, context) : answer.data
    return succeededRequest(execution, call, toJson(output ?? null), answer.status, operation)
  } catch (thrown) {
    const failure = classifyMalformed(
      { method: call.method, endpoint: call.endpoint.endpoint, idempotency: plan.endpoint.idempotency },
      { status: answer.status, bodyText: '' },
      `\`parse\` of step "${plan.step}" could not read it: ${messageOf(thrown)}`,
    )
    return withEffect(await afterFailure(execution, failure), operation, true)
  }
}

function succeededRequest(
  execution: Execution,
  call: OutboundCall,
  output: string,
  status: number,
  operation: OperationGrant,
): Settlement {
  const { item, parts, startedAtMs } = execution
  const sentKey = call.endpoint.idempotency.kind === 'key' ? call.idempotencyKey : undefined
  return {
    ...fence(item),
    to: { state: 'succeeded', output },
    attempt: {
      startedAtMs,
      endedAtMs: parts.clock.wallMs(),
      outcome: 'succeeded',
      counts: true,
      status,
      ...(sentKey !== undefined && { idempotencyKey: sentKey }),
    },
    ...(operation.key !== undefined && { effect: { key: operation.key, done: true, output } }),
  }
}

/** D19: the key no longer makes it safe. Whether it happened is looked for, else a person says. */
function keyForgotten(execution: Execution, sinceMs: number): Settlement {
  const { item, parts } = execution
  const age = formatDuration(parts.clock.wallMs() - sinceMs)
  const reason = `it may have happened ${age} ago, and the API does not know its key any longer: repeating it could double it (D19)`
  return unknownOutcome(failureFacts(execution, item.lastFailure ?? noFailureKnown(reason, 'key_forgotten')), reason)
}

/** "Already there", where the API keeps one record per natural key: what we wanted is the case (D05). */
export function isOurs(plan: RequestPlan, failure: Failure): boolean {
  return plan.endpoint.idempotency.kind === 'natural' && isAlreadyExists(failure)
}

export function alreadyThere(execution: Execution, operation: OperationGrant, failure: Failure): Settlement {
  const { item, parts, startedAtMs } = execution
  const output = toJson({ alreadyExists: true })
  const note = 'the API already had it, under the same natural key (D05)'
  return {
    ...fence(item),
    to: { state: 'succeeded', output, note },
    attempt: {
      startedAtMs,
      endedAtMs: parts.clock.wallMs(),
      outcome: 'succeeded',
      counts: true,
      ...(failure.status !== undefined && { status: failure.status }),
      note,
    },
    ...(operation.key !== undefined && { effect: { key: operation.key, done: true, output } }),
  }
}

/** The step's own code could not say what to send: it would fail the same way again, and nothing has left. */
export function notBuilt(execution: Execution, thrown: unknown): Settlement {
  const error = isHoldfastError(thrown)
    ? thrown
    : new HoldfastError({
        code: 'request_not_built',
        class: 'configuration',
        message: `Step "${execution.plan.step}" could not build its request: ${messageOf(thrown)}`,
        hint: "Fix the functions of the step's `request`, or correct the payload and replay.",
        cause: thrown,
      })
  const failure = { ...classifyThrown(error, true), certainty: 'not_sent' as const }
  const settlement = deadLetter(failureFacts(execution, failure), failure.message)
  return { ...settlement, attempt: { ...unsentAttempt(execution), failure } }
}

function unsentAttempt(execution: Execution) {
  const endedAtMs = execution.parts.clock.wallMs()
  return { startedAtMs: execution.startedAtMs, endedAtMs, outcome: 'failed' as const, counts: false }
}

/** Ends the reservation with the item: kept while it may have happened, free again where it surely did not. */
export function withEffect(settlement: Settlement, operation: OperationGrant, maybeApplied: boolean): Settlement {
  if (operation.key === undefined || operation.inDoubt || maybeApplied) return settlement
  const effect: EffectEnd = { key: operation.key, done: false }
  return { ...settlement, effect }
}
