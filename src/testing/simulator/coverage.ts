/**
 * What a simulated run has really exercised: counters, derived from its facts. A trouble that never fired and a path that was
 * never taken prove nothing, however many seeds have passed.
 */

import type { HoldfastEvent } from '../../core/events.ts'
import type { JobState } from '../../engine/jobs/job.ts'
import type {
  JobRecord,
  NewRun,
  OperatorReceipt,
  Settlement,
  SubmitReceipt,
  SupersededItem,
} from '../../ledger/port.ts'
import { itemIdsOf } from './checks/calls.ts'
import type { Fact, StoreFact } from './fact.ts'
import type { Scenario, StepPlan, TroublePlan } from './scenario.ts'
import { isUndoing, planName, plannedSteps } from './undoing.ts'

export interface Coverage {
  /** Sees every fact, in order. */
  observe(fact: Fact): void
  /** By name, `group: what`, in the order of the alphabet. */
  counts(): Readonly<Record<string, number>>
}

type Count = (name: string, by?: number) => void

export function createCoverage(scenario: Scenario): Coverage {
  const counts = new Map<string, number>()
  const count: Count = (name, by = 1) => {
    if (by > 0) counts.set(name, (counts.get(name) ?? 0) + by)
  }
  countShapes(scenario, count)
  const stories = createStories(count)
  const steps = plannedSteps(scenario)

  function observe(fact: Fact): void {
    stories.observe(fact)
    switch (fact.kind) {
      case 'trouble':
        if (fact.what === 'fired') count(`trouble: ${troubleName(fact.trouble)}`)
        return
      case 'event':
        countEvent(fact.event, steps, count)
        break
      case 'store':
        countStore(fact, count)
        break
      case 'answered':
        count(`answer: ${fact.fault ?? `status ${fact.status}`}`)
        break
      case 'operation':
        count(`operation: ${fact.operation.what}, ${operationEnd(fact.outcome)}`)
        break
      case 'acknowledged':
        count(`acknowledged: ${fact.duplicate ? 'duplicate' : 'new'}${fact.key === undefined ? ', no key' : ''}`)
        break
      case 'process_ended':
        count(`process: ${fact.how}`)
        break
      case 'code':
        count(`code: ${fact.what}`)
        break
    }
  }

  return { observe, counts: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))) }
}

/** Adds up the counters of several runs. */
export function addCounts(
  total: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum: Record<string, number> = { ...total }
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count
  return sum
}

/** `network lost_answer`, `crash`, `clock_jump back`: what counts as one kind of trouble. */
export function troubleName(trouble: TroublePlan): string {
  switch (trouble.kind) {
    case 'network':
    case 'api':
    case 'store':
      return `${trouble.kind} ${trouble.what}`
    case 'rolling_restart':
      return trouble.config ? 'rolling_restart with other settings' : 'rolling_restart'
    case 'clock_jump':
      return `clock_jump ${trouble.byMs < 0 ? 'back' : 'ahead'}`
    default:
      return trouble.kind
  }
}

/** What the pipelines and the traffic of a scenario look like. */
function countShapes(scenario: Scenario, count: Count): void {
  if (scenario.mood !== undefined) count(`mood: ${scenario.mood}`)
  for (const { steps } of scenario.pipelines) {
    const heirs = new Map<string, number>()
    for (const { after } of steps) for (const name of after) heirs.set(name, (heirs.get(name) ?? 0) + 1)
    count('shape: fan-out', [...heirs.values()].filter((number) => number > 1).length)
    count('shape: fan-in', steps.filter(({ after }) => after.length > 1).length)
    count('shape: optional step', steps.filter(({ optional }) => optional).length)
  }
  const orders = scenario.pipelines.flatMap(({ steps }) => steps.flatMap(({ order }) => order ?? []))
  for (const order of orders) count(`order: steps that ${order}`)
  const records = scenario.submissions.flatMap((submission) => submission.records)
  count('shape: tenant of its own', records.filter(({ tenant }) => tenant !== undefined).length)
  count('shape: record that an API refuses', records.filter(({ refusedBy }) => refusedBy !== undefined).length)
  count('shape: machines with skewed clocks', scenario.machines.filter(({ skewMs }) => skewMs !== 0).length)
}

function countEvent(event: HoldfastEvent, steps: ReadonlyMap<string, StepPlan>, count: Count): void {
  count(`event: ${event.type}`)
  switch (event.type) {
    case 'item.claimed':
      count(`claimed from: ${event.from}`)
      break
    case 'item.settled': {
      count(`settled: ${event.state}`)
      const kind = steps.get(planName(event.pipeline, event.step))?.kind
      if (kind) count(`${isUndoing(event.pipeline) ? 'undo' : 'step'}: ${kind} ${event.state}`)
      break
    }
    case 'call.held':
      count(`held by: ${event.by}`)
      break
    case 'call.ended':
      if (event.failure) count(`failure: ${event.failure.class}, ${event.failure.certainty}`)
      break
    case 'breaker.changed':
      count(`breaker: ${event.from} -> ${event.to}`)
      break
  }
}

function countStore(fact: StoreFact, count: Count): void {
  const { method } = fact
  if (fact.method === 'claim' && fact.isStanding) {
    count('standing claim: leased by a submit', fact.result?.length)
    if (!fact.heard) count('standing claim: its news was lost')
    return
  }
  if (!fact.heard) count(`store: ${method}, done and not heard of`)
  if (fact.result === undefined) {
    if (fact.refused !== undefined) count(`store: ${method}, refused`)
    return
  }
  count(`store: ${method}`)
  switch (fact.method) {
    case 'settle':
      for (const settlement of fact.request[0]) countLook(settlement, count)
      for (const receipt of fact.result) {
        count(`settle: ${receipt.outcome}`)
        if (receipt.outcome === 'settled' && receipt.state === 'superseded') count('order: not tried again')
      }
      return
    case 'submit':
      for (const [index, receipt] of fact.result.entries()) {
        count(`submit: ${receipt.outcome}`)
        countUndoing(fact.request[0][index], receipt, count)
        if (receipt.outcome === 'accepted') countSuperseded(receipt, count)
      }
      return
    case 'beginEffects':
      for (const { outcome } of fact.result) count(`effect: ${outcome}`)
      return
    case 'updateHealth':
      for (const { applied } of fact.result) count(`health: ${applied ? 'written' : 'somebody was faster'}`)
      return
    case 'reclaimExpired':
      count('lease: taken over', fact.result.length)
      break
    case 'extendLeases':
      count('lease: found lost when renewing', fact.result.length)
      break
    case 'updateJob':
      if (fact.result) countJob(fact.result, count)
      break
    case 'retain':
      count('retain: runs forgotten', fact.result.runs)
      break
    case 'replay':
    case 'discard':
    case 'cancel':
    case 'resolve':
      countReceipts(fact.method, fact.result, count)
      break
  }
}

function countSuperseded(
  { runId, superseded = [] }: { runId: string; superseded?: readonly SupersededItem[] },
  count: Count,
) {
  for (const { itemId } of superseded) count(itemId.startsWith(runId) ? 'order: came too late' : 'order: replaced')
}

function countUndoing(run: NewRun | undefined, { outcome }: SubmitReceipt, count: Count): void {
  if (!run || !isUndoing(run.pipeline)) return
  count(`undoing: ${outcome}`)
  if (outcome !== 'accepted') return
  if (run.items.length > 1) count('undoing: of several steps')
  count('undoing: one step after another', run.items.filter(({ after }) => after.length > 0).length)
}

function countJob(job: JobRecord, count: Count): void {
  const { what, phase } = job.state as unknown as JobState
  if (job.endedAtMs !== undefined) count(`job: ${what}, ${phase}`)
}

function countReceipts(method: string, receipts: readonly OperatorReceipt[], count: Count): void {
  for (const { outcome } of receipts) count(`${method}: ${outcome}`)
}

/** How looking for a lost effect ended. */
function countLook({ attempt, to }: Settlement, count: Count): void {
  if (attempt?.outcome === 'not_found') count('look: not there')
  if (attempt?.outcome !== 'reconciled') return
  if (to.state === 'succeeded') count('look: found')
  else count(attempt.failure ? 'look: could not look' : 'look: cannot tell')
}

/** Paths that only several facts together show. */
function createStories(count: Count): { observe(fact: Fact): void } {
  /** By process: items whose request has left, and which are not settled. */
  const sent = new Map<string, Set<string>>()
  /** By job: who has worked on it last. */
  const runners = new Map<string, string>()
  /** By item: the token of what a submit has leased, until its worker begins with it. */
  const given = new Map<string, number>()
  const frozen = new Set<string>()
  const woken = new Set<string>()
  const of = (process: string) => sent.get(process) ?? sent.set(process, new Set()).get(process)

  return {
    observe(fact) {
      switch (fact.kind) {
        case 'sent':
          for (const itemId of itemIdsOf(fact)) of(fact.process)?.add(itemId)
          if (fact.shared) count(`shared call: ${fact.shared.length === 1 ? 'one record' : 'several records'}`)
          return
        case 'store':
          if (fact.method === 'updateJob' && fact.result?.endedAtMs === undefined) {
            const { id } = fact.request[0]
            const before = runners.get(id)
            if (before !== undefined && before !== fact.process)
              count('story: a job is gone on with by another process')
            if (fact.result) runners.set(id, fact.process)
            return
          }
          if (fact.method === 'claim' && fact.isStanding) {
            for (const { itemId, token } of fact.result ?? []) given.set(itemId, token)
          } else if (fact.method === 'reclaimExpired') {
            for (const { itemId, token } of fact.result ?? [])
              if (given.get(itemId) === token - 1) count('standing claim: leased to a worker that never heard of it')
          }
          if (fact.method !== 'settle' || fact.result === undefined) return
          for (const { itemId } of fact.request[0]) of(fact.process)?.delete(itemId)
          return
        case 'process_ended':
          if (fact.how === 'crashed') count('story: crash between sending and settling', of(fact.process)?.size)
          sent.delete(fact.process)
          return
        case 'process_frozen':
          frozen.add(fact.process)
          return
        case 'process_woken':
          if (frozen.delete(fact.process)) woken.add(fact.process)
          return
        case 'event':
          if (fact.event.type === 'item.claimed' && given.get(fact.event.itemId) === fact.event.claim)
            given.delete(fact.event.itemId)
          if (fact.event.type !== 'item.lease_lost' || !woken.has(fact.process)) return
          count('story: frozen past its lease, and woken')
      }
    },
  }
}

/** From the operator's words. */
function operationEnd(outcome: string): string {
  if (/^(no|nothing)\b|\b0 of 0$/.test(outcome)) return 'found nothing to do'
  if (outcome.startsWith('failed')) return 'failed'
  return /answer/.test(outcome) ? 'got no answer' : 'done'
}
