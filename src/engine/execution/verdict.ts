/**
 * From a disposition to what is written: pure. Every way a claim can end is one function here, so that the whole of what
 * the engine does to an item can be read on one page.
 */
import type { Failure, FailureClass } from '../../core/failure.ts'
import type { AttemptRecord, ClaimedItem, DeadLetterFacts, Settlement } from '../../ledger/port.ts'
import { describeDeadLetter, slowLaneDelayMs } from '../../policy/retry/dead-letter.ts'
import type { Disposition } from '../../policy/retry/retry.ts'
import type { StepPlan } from '../pipelines/catalog.ts'
import type { Memo } from './memo.ts'

export interface VerdictFacts {
  readonly item: ClaimedItem
  readonly plan: StepPlan
  readonly nowMs: number
  readonly failure: Failure
  readonly attempt: AttemptRecord | undefined
  readonly memo: Memo
  /** Where the step says how to look for a lost effect: when to look first. */
  readonly reconcileDelayMs: number | undefined
}

/** The settlement of a try that failed, or that was refused on the way. */
export function settlementFor(disposition: Disposition, facts: VerdictFacts): Settlement {
  switch (disposition.kind) {
    case 'retry':
      return {
        ...base(facts),
        to: { state: 'retrying', dueAtMs: facts.nowMs + disposition.delayMs, reason: disposition.reason },
        memo: JSON.stringify({ ...facts.memo, previousDelayMs: disposition.delayMs } satisfies Memo),
      }
    case 'close_gate': {
      const untilMs = facts.nowMs + disposition.delayMs
      return {
        ...base(facts, false),
        to: { state: 'parked', dueAtMs: untilMs, reason: disposition.reason },
        deferral: true,
        gate: { lane: facts.item.lane, untilMs, reason: disposition.reason },
      }
    }
    case 'park':
      return {
        ...base(facts, false),
        to: { state: 'parked', dueAtMs: facts.nowMs + disposition.delayMs, reason: disposition.reason },
        deferral: true,
      }
    case 'suspend_lane':
      return {
        ...base(facts, false),
        to: { state: 'parked', dueAtMs: facts.nowMs, reason: disposition.reason },
        deferral: true,
      }
    case 'unknown_outcome':
      return unknownOutcome(facts, disposition.reason)
    case 'dead_letter':
      return deadLetter(facts, disposition.reason)
  }
}

/**
 * Held by a gate, a breaker or a limiter before anything was sent: no attempt, one deferral (rule 4). An effect that is being
 * looked for and a dead letter on its slow-lane try keep their state, and come back by time.
 */
export function heldSettlement(facts: HeldFacts): Settlement {
  const { item, untilMs, reason } = facts
  if (!facts.memo.unresolved && item.from !== 'dead_lettered') {
    return { ...fence(item), to: { state: 'parked', dueAtMs: untilMs, reason }, deferral: true }
  }
  const failure = item.lastFailure ?? noFailureKnown(reason)
  const deadLetter = toFacts(describeDeadLetter(failure, whereOf(facts.plan), reason))
  const state = facts.memo.unresolved ? 'unknown_outcome' : 'dead_lettered'
  return { ...fence(item), to: { state, dueAtMs: untilMs, reason, deadLetter }, deferral: true }
}

export interface HeldFacts {
  readonly item: ClaimedItem
  readonly plan: StepPlan
  readonly memo: Memo
  readonly untilMs: number
  readonly reason: string
}

/** Its time is over before it could be tried: cause and words are those of the last failure, where there was one. */
export function noFailureKnown(reason: string, code = 'not_tried'): Failure {
  return {
    class: 'held',
    code,
    message: reason,
    userMessage: 'This could not be done in time.',
    certainty: 'not_sent',
    hint: 'Check the health of the API with `holdfast breakers` and `holdfast integrations`, then replay.',
    rule: 'engine (D09)',
    countsAgainstBreaker: false,
  }
}

/** Given back unsent: at shutdown, or because this worker may not know the step. */
export function givenBack(item: ClaimedItem, reason: string): Settlement {
  return { ...fence(item), to: { state: 'queued', reason } }
}

export function cancelledSettlement(item: ClaimedItem): Settlement {
  return { ...fence(item), to: { state: 'cancelled', reason: 'cancelled on request' } }
}

export function deadLetter(facts: VerdictFacts, reason: string): Settlement {
  const { item, plan, failure } = facts
  const text = describeDeadLetter(failure, whereOf(plan), reason)
  const slowLaneTries = item.from === 'dead_lettered' ? item.slowLaneTries + 1 : item.slowLaneTries
  const delayMs = slowLaneDelayMs(text.cause, slowLaneTries, plan.retry.slowLane)
  return {
    ...base(facts, !USES_NO_ATTEMPT.has(failure.class)),
    to: {
      state: 'dead_lettered',
      reason,
      deadLetter: toFacts(text),
      slowLaneTries,
      ...(delayMs !== undefined && { dueAtMs: facts.nowMs + delayMs }),
    },
  }
}

/** The API did not look at it: throttled, out of quota, or under a credential that it does not know (rule 4). */
const USES_NO_ATTEMPT: ReadonlySet<FailureClass> = new Set(['rate_limited', 'wait_long', 'authentication'])

/** `dueAtMs` only where the step can look for the effect; else a person decides. */
export function unknownOutcome(facts: VerdictFacts, reason: string): Settlement {
  const text = describeDeadLetter(facts.failure, whereOf(facts.plan), reason)
  const looked = facts.reconcileDelayMs
  return {
    ...base({ ...facts, memo: { ...facts.memo, unresolved: true } }),
    to: {
      state: 'unknown_outcome',
      reason,
      deadLetter: looked === undefined ? { ...toFacts(text), hint: PERSON_HINT } : toFacts(text),
      ...(looked !== undefined && { dueAtMs: facts.nowMs + looked }),
    },
  }
}

const PERSON_HINT =
  'Look in the other system whether it happened, then say so: `holdfast dlq resolve ID --happened` or `--did-not-happen`.'

function base(facts: VerdictFacts, counts = true): Settlement & { to: never } {
  return {
    ...fence(facts.item),
    memo: JSON.stringify(facts.memo),
    ...(facts.attempt && { attempt: counts ? facts.attempt : { ...facts.attempt, counts: false } }),
  } as Settlement & { to: never }
}

export function fence(item: ClaimedItem): { itemId: string; tenant: string; token: number } {
  return { itemId: item.itemId, tenant: item.tenant, token: item.token }
}

function whereOf(plan: StepPlan) {
  return {
    integration: plan.kind === 'request' ? plan.integration.name : '',
    endpoint: plan.endpointName,
    pipeline: plan.pipeline,
    step: plan.step,
  }
}

function toFacts(text: DeadLetterFacts): DeadLetterFacts {
  return { fingerprint: text.fingerprint, summary: text.summary, hint: text.hint, cause: text.cause }
}
