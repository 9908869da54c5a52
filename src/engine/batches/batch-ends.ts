/** How one record of a shared call ends: the same ways as one that was sent alone (R121, R122). */
import { factsOf } from '../../client/attempt/attempt.ts'
import type { Answer } from '../../client/call/call.ts'
import { checkSchema } from '../../client/call/incoming.ts'
import type { Failure } from '../../core/failure.ts'
import type { AttemptRecord, Settlement } from '../../ledger/port.ts'
import type { RecordVerdict } from '../../policy/batches/batch-answer.ts'
import { classifyRecord, classifyUntold } from '../../policy/batches/classify-record.ts'
import { classifyMalformed } from '../../policy/classify/classify.ts'
import { afterFailure } from '../execution/after-failure.ts'
import { alreadyThere, isOurs, readAnswer, withEffect } from '../execution/execute-request.ts'
import { cancelledSettlement, fence, givenBack, heldSettlement } from '../execution/verdict.ts'
import { isLimited, type Member } from './batch-members.ts'

/** The call was answered record by record. */
export async function endTold(
  member: Member,
  verdict: RecordVerdict,
  answer: Answer,
  company: number,
): Promise<Settlement> {
  switch (verdict.kind) {
    case 'succeeded':
      return withNote(await succeeded(member, { ...answer, data: verdict.data }), company, isLimited(member))
    case 'failed': {
      const { call, execution } = member
      const { failure: refusal } = verdict
      const failure = classifyRecord(factsOf(call), refusal, call.integration, execution.parts.clock.wallMs())
      if (failure) return endFailed(member, failure, company)
      return withNote(await succeeded(member, { ...answer, data: refusal.body }), company, isLimited(member))
    }
    case 'rolled_back':
      return withNote(rolledBack(member, verdict), company, isLimited(member))
    case 'untold':
      return endFailed(member, classifyUntold(factsOf(member.call), answer.status, verdict.why), company)
  }
}

/** `response` and `parse` see what the answer says of this record. */
async function succeeded(member: Member, answer: Answer): Promise<Settlement> {
  const { execution, plan, context, call, operation } = member
  if (call.responseSchema) {
    const checked = await checkSchema(call, answer.data)
    if (!checked.ok) {
      const failure = classifyMalformed(factsOf(call), { status: answer.status, bodyText: '' }, checked.reason)
      return withEffect(await afterFailure(execution, failure), operation, true)
    }
    return readAnswer(execution, plan, context, call, { ...answer, data: checked.data }, operation)
  }
  return readAnswer(execution, plan, context, call, answer, operation)
}

/** It failed as a record, or with its whole call. */
export async function endFailed(
  member: Member,
  failure: Failure,
  company: number,
  afterLarger = isLimited(member),
): Promise<Settlement> {
  const { execution, plan, operation } = member
  const settlement = isOurs(plan, failure)
    ? alreadyThere(execution, operation, failure)
    : withEffect(await afterFailure(execution, failure), operation, failure.certainty !== 'not_sent')
  return withNote(settlement, company, afterLarger)
}

/** Innocent: sent again at once, without the record that spoiled its call, and no attempt is used. */
function rolledBack(member: Member, { failure }: Extract<RecordVerdict, { kind: 'rolled_back' }>): Settlement {
  const { execution, operation } = member
  const { item, parts, startedAtMs } = execution
  const nowMs = parts.clock.wallMs()
  const attempt: AttemptRecord = {
    startedAtMs,
    endedAtMs: nowMs,
    outcome: 'failed',
    counts: false,
    status: failure.status,
  }
  const reason = 'undone because another record of its call failed: sent again without that one'
  const settlement: Settlement = item.cancelRequested
    ? cancelledSettlement(item)
    : { ...fence(item), to: { state: 'retrying', dueAtMs: nowMs, reason } }
  return withEffect({ ...settlement, attempt }, operation, false)
}

export function endHeld(member: Member, untilMs: number, reason: string): Settlement {
  const { execution, plan, operation } = member
  const { item, memo } = execution
  return remembering(withEffect(heldSettlement({ item, plan, memo, untilMs, reason }), operation, false), member)
}

export function endGivenBack(member: Member): Settlement {
  const settlement = givenBack(member.execution.item, 'given back: the worker is stopping')
  return remembering(withEffect(settlement, member.operation, false), member)
}

/** What was learnt about its company before it was held up is not learnt again. */
function remembering(settlement: Settlement, { execution }: Member): Settlement {
  const { memo } = execution
  return memo.together === undefined ? settlement : { ...settlement, memo: JSON.stringify(memo) }
}

/** For `explain`: with whom it was sent. */
function withNote(settlement: Settlement, company: number, afterLarger: boolean): Settlement {
  const { attempt } = settlement
  if (!attempt) return settlement
  const sent = company === 1 ? 'sent alone' : `sent with ${company - 1} other${company === 2 ? '' : 's'} in one call`
  const after = !afterLarger ? '' : ', after a larger call with it was refused'
  if (company === 1 && after === '') return settlement
  const note = attempt.note === undefined ? sent + after : `${attempt.note}; ${sent}${after}`
  return { ...settlement, attempt: { ...attempt, note } }
}
