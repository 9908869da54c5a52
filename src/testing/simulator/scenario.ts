/**
 * What one simulated run does, as plain JSON: drawn from a seed, replayed from a file, shrunk by leaving parts out. All times are
 * virtual milliseconds from the start. Nothing here is a function, so that a scenario can be stored beside the bug it found.
 */
import type { WrittenIntegration } from '../../config/schema.ts'
import type { EngineSettings } from '../../engine/defaults.ts'
import type { DisturbanceKind } from '../network/disturbance.ts'
import type { RateLimitOptions } from '../twin/rate-limit.ts'

export interface Scenario {
  /** Also the seed of every draw that is made while it runs. */
  readonly seed: string
  /** What kind of bad luck it is about, for people. */
  readonly mood?: string
  /** Traffic, troubles and operations all begin before this, and every trouble has ended by then; what follows is the quiet, in which everything must come to an end. */
  readonly busyMs: number
  readonly machines: readonly MachinePlan[]
  readonly apis: readonly ApiPlan[]
  readonly pipelines: readonly PipelinePlan[]
  readonly submissions: readonly SubmissionPlan[]
  readonly troubles: readonly TroublePlan[]
  readonly operations: readonly OperationPlan[]
}

/** One process at a time on a machine of its own: a new one starts after each crash. All of them share one store. */
export interface MachinePlan {
  readonly name: string
  /** How far its wall clock is ahead of true time; negative: behind. */
  readonly skewMs: number
  readonly workers: number
  readonly concurrency: number
  readonly settings: Partial<EngineSettings>
}

/** A vendor: how Holdfast is told to treat it, and how its twin behaves. Every twin has the same routes: `twin-routes.ts`. */
export interface ApiPlan {
  readonly name: string
  readonly integration: WrittenIntegration
  /** Time the API takes to answer, drawn from this range for each call. */
  readonly latencyMs: readonly [low: number, high: number]
  /** Enforced by the twin, whether or not the integration knows of it. */
  readonly rateLimit?: RateLimitOptions
}

export interface PipelinePlan {
  readonly name: string
  readonly steps: readonly StepPlan[]
}

export interface StepPlan {
  readonly name: string
  readonly kind: StepKind
  /** Name of the API; code steps that have an effect have it there too. */
  readonly api: string
  readonly after: readonly string[]
  readonly optional: boolean
  /** By the subjects of its records; `supersede` also by their versions. */
  readonly order?: 'continue' | 'hold' | 'supersede'
  readonly maxAttempts?: number
  readonly maxAgeMs?: number
  /** Code steps: how long one try takes, and its limit. */
  readonly workMs?: number
  readonly timeoutMs?: number
  /** Code steps: share of the tries that throw, and that never return. */
  readonly throws?: number
  readonly hangs?: number
  /** `batch_*` steps. */
  readonly batch?: SharedCallPlan
  /** How it is undone where a later step fails for good. A pipeline compensates as soon as one of its steps says so. */
  readonly undo?: UndoKind
}

/** What undoing a step does at its API, and so what a repetition of it would do. */
export type UndoKind = Extract<
  StepKind,
  'put' | 'delete' | 'post_keyed' | 'post_natural' | 'post_reconciled' | 'post_unsafe' | 'code_unsafe'
>

/** How a step shares its calls. */
export interface SharedCallPlan {
  readonly size: number
  readonly lingerMs: number
  /** True: the API does all of a call or nothing, and does not say which record was to blame. False: it answers for each. */
  readonly atomic: boolean
}

/** What a step does, and so what a repetition of it would do. */
export type StepKind =
  /** GET: no effect. */
  | 'read'
  /** PUT: an effect that may be repeated. */
  | 'put'
  | 'delete'
  /** POST with an Idempotency-Key that the API honours. */
  | 'post_keyed'
  /** POST of a record with a unique field: the API refuses a second one with 409. */
  | 'post_natural'
  /** POST that doubles when repeated, with a `reconcile` that looks for it. */
  | 'post_reconciled'
  /** POST that doubles when repeated, and nothing can look for it. */
  | 'post_unsafe'
  /** `post_reconciled` that names its operation across runs: several runs share one effect. */
  | 'post_operation'
  /** As `put`, `post_unsafe` and `post_reconciled`, with others in one call. */
  | 'batch_put'
  | 'batch_unsafe'
  | 'batch_reconciled'
  /** Code without an effect. */
  | 'code_safe'
  /** Code with an effect that doubles; nothing can look for it. */
  | 'code_unsafe'
  | 'code_reconciled'

/** Records handed in at one moment on one machine. A record with a key is handed in again until it is acknowledged, as a careful client does. */
export interface SubmissionPlan {
  readonly atMs: number
  readonly machine: string
  readonly pipeline: string
  readonly records: readonly RecordPlan[]
}

export interface RecordPlan {
  /** Unique among all records that are not repetitions of each other. */
  readonly id: string
  /** Default: submitted without a key. */
  readonly key?: string
  readonly tenant?: string
  readonly batch?: string
  readonly labels?: Readonly<Record<string, string>>
  /** What `post_operation` steps name their operation after; records of one tenant with the same entity share the effect. */
  readonly entity: string
  /** Content of `post_operation` requests. Records with the same entity and other variants contradict each other. */
  readonly variant?: number
  /** Whose record it is: what steps with an order go by. */
  readonly subject?: string
  /** Missing: such steps cannot tell what is newer. */
  readonly version?: number
  /** Steps whose API will refuse this record's data (422) until an operator edits it. */
  readonly refusedBy?: readonly string[]
  /** Bytes of padding in the input. */
  readonly padding?: number
}

/** Everything that goes wrong. `share`: of the calls, messages or writes it concerns. */
export type TroublePlan =
  | NetworkTrouble
  | ApiTrouble
  | StoreTrouble
  | CrashPlan
  | FreezePlan
  | RestartPlan
  | ClockTrouble
  | WakeUpTrouble

export interface NetworkTrouble {
  readonly kind: 'network'
  readonly atMs: number
  readonly lastsMs: number
  readonly api: string
  readonly what: DisturbanceKind
  readonly share: number
  /** `delayed`: at most this much. */
  readonly delayMs?: number
}

export interface ApiTrouble {
  readonly kind: 'api'
  readonly atMs: number
  readonly lastsMs: number
  readonly api: string
  readonly what: ApiTroubleKind
  readonly share: number
}
export type ApiTroubleKind =
  | 'outage'
  | 'unavailable'
  | 'brown_out'
  | 'flapping'
  | 'server_error'
  | 'executed_then_error'
  | 'error_in_200'
  | 'html'
  | 'malformed'
  | 'empty'
  | 'hang'
  | 'unauthorized'
  | 'throttled'

export interface StoreTrouble {
  readonly kind: 'store'
  readonly atMs: number
  readonly lastsMs: number
  readonly machine: string
  /** `outcome_unknown`: the write is done, and the caller gets an error. */
  readonly what: 'refused' | 'slow' | 'outcome_unknown'
  readonly share: number
  readonly delayMs: number
}

/** The process is gone at the n-th thing that goes in or out of it after `atMs`; another starts `downMs` later. */
export interface CrashPlan {
  readonly kind: 'crash'
  readonly atMs: number
  readonly machine: string
  readonly crossings: number
  readonly downMs: number
}

/** As by SIGSTOP: time goes on, and the process notices nothing of it until it is woken. */
export interface FreezePlan {
  readonly kind: 'freeze'
  readonly atMs: number
  readonly machine: string
  readonly lastsMs: number
}

/** One machine after the other is asked to stop, and started anew; with `config`, under other settings. */
export interface RestartPlan {
  readonly kind: 'rolling_restart'
  readonly atMs: number
  readonly graceMs: number
  readonly downMs: number
  /** By integration: what is different from then on. */
  readonly config?: Readonly<Record<string, Partial<WrittenIntegration>>>
}

/** The wall clock of one machine (default: of all) jumps. */
export interface ClockTrouble {
  readonly kind: 'clock_jump'
  readonly atMs: number
  readonly machine?: string
  readonly byMs: number
}

/** Nobody is told that another process has made work due. */
export interface WakeUpTrouble {
  readonly kind: 'lost_wake_ups'
  readonly atMs: number
  readonly lastsMs: number
}

/** What a person does. `pick` (0 to 1) chooses among what there is to choose from at that moment; `most` bounds how many. */
export interface OperationPlan {
  readonly atMs: number
  readonly machine: string
  readonly what: OperationKind
  readonly pick: number
  readonly most: number
  /** `retain`: runs that ended longer ago than this are forgotten. */
  readonly maxAgeMs?: number
}
export type OperationKind =
  | 'replay'
  | 'replay_edited'
  | 'replay_canary'
  | 'replay_dry_run'
  | 'replay_group'
  | 'discard'
  | 'cancel'
  | 'resolve_happened'
  | 'resolve_not_happened'
  | 'suspend'
  | 'resume'
  | 'reset_breaker'
  | 'explain'
  | 'retain'
  | JobOperation
/** Many items at once, as a job that goes on by itself: `most` of them, one first where `pick` is small. */
export type JobOperation = 'job_replay' | 'job_discard' | 'job_cancel' | 'cancel_job'
