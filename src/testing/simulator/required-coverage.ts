/** What a campaign must have exercised, by the names under which `coverage.ts` counts it. */
import type { EventName } from '../../core/events.ts'
import type { DisturbanceKind } from '../network/disturbance.ts'
import type { ApiTroubleKind, OperationKind, StepKind, UndoKind } from './scenario.ts'

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
  ...['leased by a submit', 'leased to a worker that never heard of it'].map((what) => `standing claim: ${what}`),
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
