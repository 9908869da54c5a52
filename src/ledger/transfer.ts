/**
 * A store as a stream of records that belongs to no adapter: what is moved from one store to another. Fields are named like
 * the columns that SQL stores have in common, so that a row is a record. Texts of JSON stay texts.
 */
import type { ItemState } from '../core/item-state.ts'
import type { ActionRow } from './actions.ts'
import type { JobMemberRow, JobRow } from './jobs.ts'
import type { AuditReport } from './port.ts'
import type { AttemptRecord } from './records.ts'

/** Gate and suspension; what is processing in it, its items tell. */
export interface TransferredLane {
  readonly lane: string
  readonly gate_until_ms: number
  readonly gate_reason: string
  readonly suspended_at_ms: number | null
  readonly suspended_reason: string | null
}

export interface TransferredChannel {
  readonly lane: string
  readonly endpoint: string
}

/** What is struck per batch and pipeline; what its items do not tell is how many were forgotten, in which end. */
export interface TransferredBook {
  readonly batch: string
  readonly pipeline: string
  readonly archived: Readonly<Partial<Record<ItemState, number>>>
}

export interface TransferredRun {
  /** Grows in the order of acceptance; the target gives its own. */
  readonly no: number
  readonly id: string
  readonly tenant: string
  readonly pipeline: string
  readonly key: string | null
  readonly batch: string
  readonly item_count: number
  readonly created_at_ms: number
  readonly correlation_id: string
  readonly labels: string
  readonly input_fingerprint: string | null
  readonly input: string
  readonly items: readonly TransferredItem[]
}

export interface TransferredItem {
  readonly step: string
  readonly position: number
  readonly lane: string
  readonly endpoint: string
  readonly state: ItemState
  readonly due_at_ms: number | null
  /** Of one that is being processed: it comes over as it is, and is taken over when its lease ends, as after a crash. */
  readonly lease_until_ms: number | null
  readonly lease_from_ms: number | null
  readonly lease_worker: string | null
  readonly lease_token: number
  readonly attempts: number
  readonly deferrals: number
  readonly crashes: number
  readonly replays: number
  readonly recorded: number
  readonly edits: number
  readonly attempts_before_budget: number
  readonly budget_from_ms: number | null
  readonly slow_lane_tries: number
  readonly optional: boolean
  readonly unmet: number
  readonly released: boolean
  readonly first_attempt_at_ms: number | null
  readonly updated_at_ms: number
  readonly ended_at_ms: number | null
  readonly not_before_ms: number | null
  readonly reason: string | null
  readonly cancel_reason: string | null
  readonly external_id: string | null
  readonly fingerprint: string | null
  readonly summary: string | null
  readonly hint: string | null
  readonly cause: string | null
  readonly dead_since_ms: number | null
  readonly after: string | null
  readonly dependents: string | null
  readonly memo: string | null
  readonly last_failure: string | null
  readonly output: string | null
  /** In whose order it is or was; `null`: nobody's. */
  readonly entity_series: string | null
  readonly entity_name: string | null
  /** Of one that has not ended. */
  readonly place: number | null
  readonly place_rule: string | null
  readonly place_standing: string | null
  readonly history: TransferredHistory
}

/** Each in the order in which it happened. */
export interface TransferredHistory {
  readonly attempts: readonly TransferredAttempt[]
  readonly edits: readonly TransferredEdit[]
  readonly operations: readonly TransferredOperation[]
}

export interface TransferredAttempt {
  readonly number: number
  readonly outcome: AttemptRecord['outcome']
  readonly counts: boolean
  readonly started_at_ms: number
  readonly ended_at_ms: number
  readonly status: number | null
  readonly idempotency_key: string | null
  readonly note: string | null
  readonly failure: string | null
}

export interface TransferredEdit {
  readonly number: number
  readonly replay: number
  readonly by: string
  readonly at_ms: number
  readonly input: string
}

export interface TransferredOperation {
  readonly what: string
  readonly by: string
  readonly at_ms: number
  readonly note: string
}

export interface TransferredEffect {
  readonly tenant: string
  readonly key: string
  readonly fingerprint: string
  readonly owner: string
  readonly done: boolean
  readonly reserved_until_ms: number
  readonly keep_until_ms: number
  readonly external_id: string | null
  readonly output: string | null
}

/** Whose items are in order, and the newest of its values that was accepted. */
export interface TransferredEntity {
  readonly tenant: string
  readonly series: string
  readonly name: string
  readonly places: number
  readonly newest: string | null
  readonly newest_place: number | null
  readonly newest_item: string | null
  readonly updated_at_ms: number
}

export interface TransferredHealth {
  readonly key: string
  readonly revision: number
  readonly state: string
  readonly updated_at_ms: number
}

/** As a row: see `actions.ts`. */
export type TransferredAction = ActionRow

/** As rows: see `jobs.ts`. */
export type TransferredJob = JobRow
export type TransferredJobMember = JobMemberRow

/** Written whole or not at all, together with the place that it reaches. */
export type TransferBatch = {
  /** Where it ends: from here the source goes on. Opaque. */
  readonly reaches: string
  readonly records: number
} & (
  | { readonly kind: 'lanes'; readonly lanes: readonly TransferredLane[]; readonly channels: TransferredChannel[] }
  | { readonly kind: 'books'; readonly books: readonly TransferredBook[] }
  | { readonly kind: 'entities'; readonly entities: readonly TransferredEntity[] }
  | { readonly kind: 'runs'; readonly runs: readonly TransferredRun[] }
  | { readonly kind: 'effects'; readonly effects: readonly TransferredEffect[] }
  | { readonly kind: 'actions'; readonly actions: readonly TransferredAction[] }
  | { readonly kind: 'jobs'; readonly jobs: readonly TransferredJob[] }
  | { readonly kind: 'job_members'; readonly members: readonly TransferredJobMember[] }
  | { readonly kind: 'health'; readonly health: readonly TransferredHealth[] }
)

/** Rows of a store, by what they are. */
export interface TransferCounts {
  readonly runs: number
  readonly items: number
  readonly attempts: number
  readonly edits: number
  readonly operations: number
  readonly effects: number
  readonly entities: number
  readonly places: number
  readonly actions: number
  readonly jobs: number
  readonly job_members: number
  readonly health: number
}

export const NO_ROWS: TransferCounts = {
  runs: 0,
  items: 0,
  attempts: 0,
  edits: 0,
  operations: 0,
  effects: 0,
  entities: 0,
  places: 0,
  actions: 0,
  jobs: 0,
  job_members: 0,
  health: 0,
}

/** What a store that is being moved says of itself. */
export interface MoveMark {
  /** Of the move: the same at both ends. */
  readonly id: string
  /** Where to; without a password. */
  readonly target: string
  readonly startedAtMs: number
  /** True: everything is there, and this store stays closed for ever. */
  readonly finished: boolean
}

/** Where a store moves from. */
export interface TransferSource {
  readonly description: string
  mark(): Promise<MoveMark | undefined>
  /**
   * Closes the store for work, for all processes and at once: from then on every write of theirs is refused with
   * `store_moved`. Where it is closed already, returns that mark.
   */
  closeForWork(mark: Omit<MoveMark, 'finished'>): Promise<MoveMark>
  /** Gives up a move: the store is open for work again. */
  reopen(): Promise<void>
  /**
   * From here on there is no way back: the target may be worked on.
   * @throws HoldfastError `move_not_begun` where this move was given up meanwhile.
   */
  finish(id: string): Promise<void>
  /** Everything, or what follows on a place that was reached; the same each time, while the store is closed for work. */
  batches(reached: string | undefined): Iterable<TransferBatch>
  counts(): Promise<TransferCounts>
  audit(): Promise<AuditReport>
  close(): Promise<void>
}

/** What a target is found to be: `taken` means that it holds something else. */
export type TargetFound =
  | { readonly what: 'empty' | 'taken' }
  | {
      readonly what: 'moving' | 'moved'
      readonly id: string
      readonly source: string
      readonly reached: string | undefined
      readonly records: number
    }

/** Where a store moves to. */
export interface TransferTarget {
  readonly description: string
  found(): Promise<TargetFound>
  /**
   * Keeps everybody else from working here until {@link finish}: their writes are refused with `store_moving`.
   * @throws HoldfastError `move_target_taken` where it is not empty.
   */
  begin(mark: MoveMark, source: string): Promise<void>
  /** @throws HoldfastError `move_elsewhere` where it does not follow on what is there: another process moves too. */
  write(id: string, batch: TransferBatch, reached: string | undefined): Promise<void>
  counts(): Promise<TransferCounts>
  audit(): Promise<AuditReport>
  /** Opens it for work. Idempotent. */
  finish(id: string): Promise<void>
  /** Gives up a move: removes what was written, and opens the target for whatever comes. */
  discard(id: string): Promise<void>
  close(): Promise<void>
}
