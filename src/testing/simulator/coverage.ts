/**
 * What a simulated run has really exercised: counters, derived from its facts. A trouble that never fired and a path that was
 * never taken prove nothing, however many seeds have passed.
 */

import type { EventName, HoldfastEvent } from '../../core/events.ts'
import type { JobState } from '../../engine/jobs/job.ts'
import type {
  JobRecord,
  NewRun,
  OperatorReceipt,
  Settlement,
  SubmitReceipt,
  SupersededItem,
} from '../../ledger/port.ts'
import type { DisturbanceKind } from '../network/disturbance.ts'
import { itemIdsOf } from './checks/calls.ts'
import type { Fact, StoreFact } from './fact.ts'
import type { ApiTroubleKind, OperationKind, Scenario, StepKind, StepPlan, TroublePlan, UndoKind } from './scenario.ts'
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

// Records, not lists: the compiler asks for every kind that is added.
const NETWORK: Readonly<Record<DisturbanceKind, true>> = {
  refused: true,
  lost_request: true,
  lost_answer: true,
  delayed: true,
  duplicated: true,
  reset_before_reading: true,
  reset_before_executing: true,
  reset_after_executing: true,
  cut_in_the_answer: true,
}
const API: Readonly<Record<ApiTroubleKind, true>> = {
  outage: true,
  unavailable: true,
  brown_out: true,
  flapping: true,
  server_error: true,
  executed_then_error: true,
  error_in_200: true,
  html: true,
  malformed: true,
  empty: true,
  hang: true,
  unauthorized: true,
  throttled: true,
}
/** No API of the simulator gives out tokens, calls by itself or is told the end of a run, and no SDK runs in it. */
type NotSimulated = 'credential.renewed' | 'nested_retries.detected' | `webhook.${string}` | `callback.${string}`
const EVENTS: Readonly<Record<Exclude<EventName, NotSimulated>, true>> = {
  'run.accepted': true,
  'item.claimed': true,
  'item.settled': true,
  'failure.unseen': true,
  'item.lease_lost': true,
  'call.ended': true,
  'call.held': true,
  'gate.closed': true,
  'breaker.changed': true,
  'lane.suspended': true,
  'lane.resumed': true,
  'credential.failed': true,
  'worker.started': true,
  'worker.stopped': true,
  'engine.trouble': true,
  'job.progressed': true,
}
const STEP_KINDS: Readonly<Record<StepKind, true>> = {
  read: true,
  put: true,
  delete: true,
  post_keyed: true,
  post_natural: true,
  post_reconciled: true,
  post_unsafe: true,
  post_operation: true,
  batch_put: true,
  batch_unsafe: true,
  batch_reconciled: true,
  code_safe: true,
  code_unsafe: true,
  code_reconciled: true,
}
const UNDO_KINDS: Readonly<Record<UndoKind, true>> = {
  put: true,
  delete: true,
  post_keyed: true,
  post_natural: true,
  post_reconciled: true,
  post_unsafe: true,
  code_unsafe: true,
}
const OPERATIONS: Readonly<Record<OperationKind, true>> = {
  replay: true,
  replay_edited: true,
  replay_canary: true,
  replay_dry_run: true,
  replay_group: true,
  discard: true,
  cancel: true,
  resolve_happened: true,
  resolve_not_happened: true,
  suspend: true,
  resume: true,
  reset_breaker: true,
  explain: true,
  retain: true,
  job_replay: true,
  job_discard: true,
  job_cancel: true,
  cancel_job: true,
}

/** What must be exercised by a few hundred seeds at the latest: one that never is, is a failure of the simulator. */
export const REQUIRED_COVERAGE: readonly string[] = [
  ...Object.keys(NETWORK).map((what) => `trouble: network ${what}`),
  ...Object.keys(API).map((what) => `trouble: api ${what}`),
  ...['refused', 'slow', 'outcome_unknown'].map((what) => `trouble: store ${what}`),
  ...['crash', 'freeze', 'rolling_restart', 'rolling_restart with other settings', 'lost_wake_ups'].map(
    (what) => `trouble: ${what}`,
  ),
  ...['ahead', 'back'].map((way) => `trouble: clock_jump ${way}`),
  ...Object.keys(EVENTS).map((type) => `event: ${type}`),
  ...Object.keys(STEP_KINDS).map((kind) => `step: ${kind} succeeded`),
  ...['retrying', 'parked', 'unknown_outcome', 'dead_lettered', 'succeeded', 'cancelled'].map(
    (state) => `settled: ${state}`,
  ),
  ...['queued', 'retrying', 'parked', 'processing', 'unknown_outcome', 'dead_lettered'].map(
    (state) => `claimed from: ${state}`,
  ),
  ...['gate', 'breaker', 'rate', 'retry_budget', 'suspended'].map((by) => `held by: ${by}`),
  ...['closed -> open', 'open -> half_open', 'half_open -> open', 'half_open -> ramping', 'ramping -> closed'].map(
    (change) => `breaker: ${change}`,
  ),
  ...['found', 'not there', 'could not look'].map((end) => `look: ${end}`),
  ...['settled', 'lease_lost'].map((outcome) => `settle: ${outcome}`),
  ...['accepted', 'duplicate'].map((outcome) => `submit: ${outcome}`),
  ...['started', 'done', 'in_progress', 'unknown'].map((outcome) => `effect: ${outcome}`),
  ...['written', 'somebody was faster'].map((outcome) => `health: ${outcome}`),
  ...['replay', 'discard', 'cancel', 'resolve'].map((method) => `${method}: done`),
  ...Object.keys(OPERATIONS).map((what) => `operation: ${what}, done`),
  ...['crashed', 'stopped'].map((how) => `process: ${how}`),
  ...['threw', 'returned', 'looked'].map((what) => `code: ${what}`),
  ...['continue', 'hold', 'supersede'].map((order) => `order: steps that ${order}`),
  ...['came too late', 'replaced', 'not tried again'].map((end) => `order: ${end}`),
  ...Object.keys(UNDO_KINDS).map((kind) => `undo: ${kind} succeeded`),
  ...['accepted', 'duplicate', 'of several steps', 'one step after another'].map((what) => `undoing: ${what}`),
  ...['replay, done', 'replay, stopped', 'replay, cancelled', 'discard, done', 'cancel, done'].map(
    (end) => `job: ${end}`,
  ),
  'story: a job is gone on with by another process',
  'cancel: marked',
  'lease: taken over',
  'shared call: several records',
  'retain: runs forgotten',
  'shape: fan-out',
  'shape: fan-in',
  'shape: machines with skewed clocks',
  'story: crash between sending and settling',
  'story: frozen past its lease, and woken',
  'store: settle, refused',
  'store: settle, done and not heard of',
  'store: claim, refused',
  'store: claim, done and not heard of',
  'store: submit, done and not heard of',
]

/** What of it is missing in `counts`. */
export function neverExercised(counts: Readonly<Record<string, number>>): readonly string[] {
  return REQUIRED_COVERAGE.filter((name) => !counts[name])
}
