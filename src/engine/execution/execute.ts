/**
 * One claimed item, from claim to settlement. The order is the request lifecycle of design.md: what is already done is not
 * done again, what may have happened is looked for first, and only then is anything sent.
 */

import type { AttemptParts } from '../../client/attempt/attempt.ts'
import type { Health } from '../../client/health/health.ts'
import type { Deadlines } from '../../client/wire/deadlines.ts'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { ClaimedItem, Ledger, Settlement } from '../../ledger/port.ts'
import { decideCrash } from '../../policy/retry/retry.ts'
import type { EngineSettings } from '../defaults.ts'
import type { Catalog, StepPlan } from '../pipelines/catalog.ts'
import { createStepContext } from './context.ts'
import { runCodeStep } from './execute-code.ts'
import { notBuilt, runRequestStep } from './execute-request.ts'
import { type Memo, parseMemo } from './memo.ts'
import { reconcile } from './reconcile.ts'
import {
  cancelledSettlement,
  deadLetter,
  fence,
  heldSettlement,
  noFailureKnown,
  settlementFor,
  unknownOutcome,
  type VerdictFacts,
} from './verdict.ts'

export interface ExecuteParts {
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly health: Health
  readonly attempt: AttemptParts
  readonly clock: Clock
  readonly random: Random
  readonly settings: EngineSettings
  /** Of code steps. */
  readonly deadlines: Deadlines
}

/** A claim under way, as the worker sees it. */
export interface Claim {
  readonly item: ClaimedItem
  /** False once the lease may have passed to someone else: nothing may be sent any more (C1). */
  leaseIsLive(): boolean
  /** Aborts when the worker must end at once. */
  readonly signal: AbortSignal | undefined
  /** Set by a running step, so that a lost lease or a shutdown can stop it. */
  abort?: (reason: unknown) => void
}

export interface Execution {
  readonly parts: ExecuteParts
  readonly claim: Claim
  readonly item: ClaimedItem
  readonly plan: StepPlan
  readonly memo: Memo
  readonly startedAtMs: number
}

/** `undefined`: the lease was lost on the way, and there is nothing to settle. Never throws for what a step does. */
export function executeClaim(
  parts: ExecuteParts,
  claim: Claim,
): Settlement | undefined | Promise<Settlement | undefined> {
  const execution = executionOf(parts, claim)
  if (!execution) return unknownStep(parts, claim.item)
  if (execution.memo.unresolved) return reconcile(execution)
  const { readiness } = execution.plan
  if (readiness && !claim.item.cancelRequested) return whenReady(execution, readiness)
  return carryOut(execution)
}

function carryOut(execution: Execution): Settlement | undefined | Promise<Settlement | undefined> {
  const settlement = endedBefore(execution)
  if (settlement) return settlement
  return execution.plan.turnOf ? startInOrder(execution) : start(execution)
}

function start(execution: Execution): Settlement | undefined | Promise<Settlement | undefined> {
  const { plan } = execution
  return plan.kind === 'request' ? runRequestStep(execution, plan) : runCodeStep(execution, plan)
}

async function whenReady(
  execution: Execution,
  readiness: NonNullable<StepPlan['readiness']>,
): Promise<Settlement | undefined> {
  const { item, plan, memo } = execution
  const answer = await readiness(item)
  if (answer.kind === 'ready') return carryOut(execution)
  if (answer.kind === 'skip') return { ...fence(item), to: { state: 'skipped', reason: answer.reason } }
  if (answer.kind === 'refuse') return deadLetter(failureFacts(execution, answer.failure), answer.failure.message)
  return heldSettlement({ item, plan, memo, untilMs: answer.untilMs, reason: answer.reason })
}

async function startInOrder(execution: Execution): Promise<Settlement | undefined> {
  return (await refusedTurn(execution)) ?? start(execution)
}

/** An item for which nobody can say whose turn it takes must not be sent: it could overwrite what is newer. */
export async function refusedTurn(execution: Execution): Promise<Settlement | undefined> {
  try {
    await execution.plan.turnOf?.(createStepContext(execution.item))
    return undefined
  } catch (thrown) {
    return notBuilt(execution, thrown)
  }
}

/** `undefined`: nothing here knows the step. */
export function executionOf(parts: ExecuteParts, claim: Claim): Execution | undefined {
  const { item } = claim
  const plan = parts.catalog.plan(item.pipeline, item.step, item.endpoint)
  return plan && { parts, claim, item, plan, memo: parseMemo(item.memo), startedAtMs: parts.clock.wallMs() }
}

/** What ends a claim before anything is sent. */
export function endedBefore(execution: Execution): Settlement | undefined {
  const { item } = execution
  if (item.cancelRequested) return cancelledSettlement(item)
  const crashed = item.from === 'processing' ? afterCrash(execution) : undefined
  return crashed ?? tooLate(execution)
}

/** A deployment that knows the step may be on its way: hold it, use no attempt. */
function unknownStep(parts: ExecuteParts, item: ClaimedItem): Settlement {
  return {
    ...fence(item),
    to: {
      state: 'parked',
      dueAtMs: parts.clock.wallMs() + UNKNOWN_STEP_DELAY_MS,
      reason: `no worker here knows step "${item.step}" of pipeline "${item.pipeline}"`,
    },
    deferral: true,
  }
}

const UNKNOWN_STEP_DELAY_MS = 30_000

/** Taken over from a worker that was lost: the step may or may not have been done (R097). */
function afterCrash(execution: Execution): Settlement | undefined {
  const { item, plan, parts } = execution
  const decision = decideCrash({
    repeatable: plan.repeatable,
    crashes: item.counters.crashes,
    maxCrashes: parts.settings.maxCrashes,
    reconcilable: plan.definition.reconcile !== undefined,
  })
  if (decision.kind === 'retry' && decision.delayMs === 0) return undefined
  const failure = {
    ...noFailureKnown(decision.reason, 'worker_lost'),
    class: 'unknown' as const,
    certainty: 'maybe_applied' as const,
    hint: 'Look at what the step does to its process: memory, native crashes, endless loops. Then replay.',
    rule: 'engine: lease expired (R097, D18)',
  }
  const facts = afterLease(failureFacts(execution, failure), parts.settings)
  if (decision.kind === 'retry') return settlementFor(decision, facts)
  if (decision.kind === 'dead_letter') return deadLetter(facts, decision.reason)
  return unknownOutcome(decision.reconcile ? facts : { ...facts, reconcileDelayMs: undefined }, decision.reason)
}

/**
 * Whoever had it may still live, where a clock was set or stood still. A lease later it knows: its renewal was refused, or it has not renewed.
 * What is on its way then is what the delay is for.
 */
function afterLease(facts: VerdictFacts, { leaseMs }: EngineSettings): VerdictFacts {
  const delayMs = facts.reconcileDelayMs
  return delayMs === undefined ? facts : { ...facts, reconcileDelayMs: leaseMs + delayMs }
}

/** Older than its age budget: sending it now may do harm (D09, C17). The slow lane has its own budget. */
function tooLate(execution: Execution): Settlement | undefined {
  const { item, plan, parts } = execution
  if (item.from === 'dead_lettered') return undefined
  const ageMs = parts.clock.wallMs() - item.budgetFromMs
  if (ageMs <= plan.retry.maxAgeMs) return undefined
  const reason = `older than its age limit when its turn came (max_age)`
  return deadLetter(failureFacts(execution, item.lastFailure ?? noFailureKnown(reason, 'max_age')), reason)
}

/** Facts for a verdict about something that was not an attempt. */
export function failureFacts(execution: Execution, failure: VerdictFacts['failure']): VerdictFacts {
  const { item, plan, memo, parts } = execution
  return {
    item,
    plan,
    memo,
    failure,
    nowMs: parts.clock.wallMs(),
    attempt: undefined,
    reconcileDelayMs: plan.looking && (plan.looking.delayMs ?? parts.settings.reconcileDelayMs),
  }
}
