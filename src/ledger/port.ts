/**
 * The ledger: the record of truth. A small port, named after what the engine means, batch-first and asynchronous, so that
 * a local file and a remote, concurrent server fit it alike. No method is optional; `conformance/` holds every adapter
 * to the same behaviour.
 *
 * Time: every method that needs "now" takes `nowMs` from the caller's clock; the ledger compares it with what callers gave
 * before, and reads no clock for that. The one authority is the clock of the machine that keeps the store: callers on other
 * machines follow it (`system/store-clock.ts`), to within half a round trip. Whatever a clock says, a lease is only as good
 * as its token.
 *
 * Tenants: every reference carries the tenant, which is the partition key of every unique key and hot query.
 */
import type { Failure } from '../core/failure.ts'
import type { ItemState } from '../core/item-state.ts'
import type { JobChange, JobFilter, JobItem, JobMember, JobRecord, JobTally } from './jobs.ts'
import type { RecodeReceipt, RecodeScope, Rewrite } from './recoding.ts'
import type {
  ActionFilter,
  ActionRecord,
  AttemptRecord,
  AuditReport,
  Balance,
  BalanceFilter,
  CancelOrder,
  DeadLetterFacts,
  DeadLetterGroup,
  DiscardOrder,
  FailureTally,
  ItemCounters,
  ItemFilter,
  ItemRecord,
  ItemSummary,
  OperatorReceipt,
  Page,
  PageOf,
  ReplayOrder,
  ResolveOrder,
  RunRecord,
  TurnRule,
  WakeRequest,
} from './records.ts'
import type { Gate, HealthChange, HealthReceipt, HealthRecord, LaneState, Suspension } from './shared-records.ts'

export type { JobChange, JobFilter, JobItem, JobMember, JobRecord, JobTally } from './jobs.ts'
export type { Cell, CellKind, RecodeReceipt, RecodeScope, Rewrite } from './recoding.ts'
export type * from './records.ts'
export type * from './shared-records.ts'

export interface Ledger {
  /** What and where, for messages: `sqlite:./holdfast.db`. Never contains a password. */
  readonly description: string

  // --- in ---------------------------------------------------------------------------------------------------------
  /**
   * Accepts runs with all their items. Resolves once they are on disk (rule 1). A run whose (tenant, pipeline, key) is
   * known is not accepted again: same input -> `duplicate`, other input -> `conflict` (D17).
   * @throws HoldfastError `invalid_run`: an id that another run has, no items, a step twice, `after` naming no earlier step.
   *   Nothing of the call was accepted then.
   */
  submit(runs: readonly NewRun[]): Promise<SubmitReceipt[]>

  // --- work -------------------------------------------------------------------------------------------------------
  /** Channels that hold claimable items, with when the earliest is due. Cheap: one index probe per channel. */
  channels(): Promise<ChannelDue[]>
  /** How many items of each channel are due, counted up to its `atMost`: is there enough for a whole call? */
  countDue(channels: readonly DueQuestion[], nowMs: number): Promise<number[]>
  /**
   * Leases due items, in order of due time, oldest first. The claim is the write-ahead of the attempt (rule 5): on disk
   * before the promise resolves. Lanes whose gate is closed or that are suspended give nothing; a lane never has more
   * than its `concurrency` items leased, counted over all workers.
   */
  claim(request: ClaimRequest): Promise<ClaimedItem[]>
  /**
   * Takes over items whose lease expired: a new lease token, `crashes` + 1, and an attempt recorded as `crashed` for the
   * one that was lost. The caller then decides what to do and settles them like any other claim.
   */
  reclaimExpired(request: ReclaimRequest): Promise<ClaimedItem[]>
  /** Renews leases; returns those that were lost (settled, taken over, or gone). */
  extendLeases(fences: readonly Fence[], leaseUntilMs: number): Promise<Fence[]>
  /**
   * Ends claims, all or nothing per item: state, attempt record, effect record, gate and the queueing of what follows
   * commit together (rule 5). Fenced: a settlement whose token is not the current lease changes nothing and is
   * reported as `lease_lost` (rule 6).
   *
   * What follows is queued when each step it needs succeeded, was skipped, or is `optional` and failed for good, was
   * cancelled or discarded. A step that is not optional keeps it waiting while it is a dead letter, and takes it along
   * when it is cancelled, discarded or superseded. Where cancellation was asked for meanwhile, only a success is stronger.
   * An end also gives the next of its entity its turn ({@link NewTurn}); `queued` of the receipt tells of both.
   */
  settle(settlements: readonly Settlement[], nowMs: number): Promise<SettleReceipt[]>

  // --- effects: which operation was already done, across runs and inline calls (R089-R092, R099) ---------------------
  /** Reserves operations before sending: write-ahead for operations with a key of their own. */
  beginEffects(effects: readonly NewEffect[], nowMs: number): Promise<EffectReceipt[]>
  /** Confirms or releases effects that no settlement covers: those of inline calls. */
  endEffects(effects: readonly EndedEffect[], nowMs: number): Promise<void>

  // --- lanes and health ---------------------------------------------------------------------------------------------
  /** Closes gates: the later of the stored and the given time wins, so that it can be repeated and reordered. */
  closeGates(gates: readonly Gate[]): Promise<void>
  /** Opens gates at once: an operator's decision. */
  openGates(lanes: readonly string[]): Promise<void>
  suspendLanes(lanes: readonly Suspension[]): Promise<void>
  resumeLanes(lanes: readonly string[]): Promise<void>
  lanes(): Promise<LaneState[]>
  /** Shared health records (breakers, limiters, probe leases, encrypted credentials, statistics) changed after `sinceRevision`, with the newest revision. */
  readHealth(sinceRevision: number): Promise<{ records: HealthRecord[]; revision: number }>
  /** Compare-and-swap by revision (0: must not exist). Answers with the current record where it did not apply. */
  updateHealth(changes: readonly HealthChange[], nowMs: number): Promise<HealthReceipt[]>

  // --- people -------------------------------------------------------------------------------------------------------
  /**
   * Puts dead letters (and, on a person's word, unknown outcomes) back: same item, `replays` + 1, counters kept (R057), memo
   * cleared: what the engine remembered belonged to the budget that ended.
   */
  replay(orders: readonly ReplayOrder[], nowMs: number): Promise<OperatorReceipt[]>
  /** Ends items with a reason. What waits for them, however far down, is discarded too; not where they are optional. */
  discard(orders: readonly DiscardOrder[], nowMs: number): Promise<OperatorReceipt[]>
  /**
   * Cancels what has not ended, and what waits for it; dead letters and unknown outcomes are for `discard` and `resolve`.
   * An item that is being processed is marked, and ends as cancelled when its worker settles, unless it succeeded.
   */
  cancel(orders: readonly CancelOrder[], nowMs: number): Promise<OperatorReceipt[]>
  /** A person's verdict on an unknown outcome, or on a dead letter done by hand; confirms its reserved effects too. */
  resolve(orders: readonly ResolveOrder[], nowMs: number): Promise<OperatorReceipt[]>
  /** Makes held items due now because what held them is gone; returns how many. */
  wake(request: WakeRequest, nowMs: number): Promise<number>
  /**
   * Writes down what operators do. The same id again changes only how it ended and its details: an action is recorded before
   * it is done, and again after.
   */
  recordActions(actions: readonly ActionRecord[]): Promise<void>
  /** Pages by cursor, newest first. Nothing of it is ever forgotten by `retain`. */
  actions(filter: ActionFilter, page: Page): Promise<PageOf<ActionRecord>>

  // --- jobs: what people asked for in bulk -----------------------------------------------------------------------------
  /** Makes or changes a job: compare-and-swap by revision. `undefined`: somebody was faster, and nothing is changed. */
  updateJob(change: JobChange): Promise<JobRecord | undefined>
  /** Newest first. */
  jobs(filter: JobFilter, page: Page): Promise<PageOf<JobRecord>>
  /** Adds members, each once; of one that is there, only why it is refused is changed. */
  writeJobMembers(jobId: string, members: readonly JobMember[]): Promise<void>
  /** Members after a position, in their order, each with how its item is now. */
  jobItems(jobId: string, request: { readonly after: number; readonly limit: number }): Promise<JobItem[]>
  /** Members after a position, up to another, counted by how their items are now. */
  jobTallies(jobId: string, range: { readonly after: number; readonly upTo: number }): Promise<JobTally[]>

  // --- reading --------------------------------------------------------------------------------------------------------
  run(runId: string): Promise<RunRecord | undefined>
  item(itemId: string): Promise<ItemRecord | undefined>
  /** Pages by cursor, newest first. */
  items(filter: ItemFilter, page: Page): Promise<PageOf<ItemSummary>>
  /** Items that need a person (or, if asked, all dead letters), by fingerprint, largest group first (R134). */
  groups(filter: ItemFilter): Promise<DeadLetterGroup[]>
  /**
   * What attempts failed with since then, whatever became of their items, by kind and day, the most frequent first; at most
   * 1,000 kinds. Reads all attempts that are kept: for people, not for screens that refresh.
   */
  failures(sinceMs: number): Promise<FailureTally[]>
  /**
   * Counts by state, and what was accepted, for the whole or for one batch, label or pipeline. Cheap enough to be asked
   * for several times a second, except by label. By label, runs that were forgotten are not counted on either side.
   */
  balance(filter: BalanceFilter): Promise<Balance>
  /** Proves rule 2 and the inner consistency of the store, row by row; names what is wrong. Reads everything. */
  audit(): Promise<AuditReport>

  // --- upkeep ---------------------------------------------------------------------------------------------------------
  /**
   * Forgets runs whose items all ended before `endedBeforeMs`, and expired effects, at most `limit` of each, keeping their
   * counts in the balance. The keys of forgotten runs are new again. Jobs that ended before are forgotten too.
   */
  retain(request: { endedBeforeMs: number; nowMs: number; limit: number }): Promise<{ runs: number; effects: number }>
  /**
   * Rewrites what is stored in place, in one transaction: a page of everything, or all that belongs to some runs. States, counts
   * and times stay. `rewrite` may be called more than once for a text. Only runs whose items have all ended may be named: others
   * may be in the hands of a worker.
   */
  recode(scope: RecodeScope, rewrite: Rewrite): Promise<RecodeReceipt>
  /** Leaves nothing of what was overwritten or deleted in the files of the store, as far as the store can see to that. */
  scrub(): Promise<void>
  /**
   * Calls `listener` when another process may have made work due. A hint that may come late or never: whoever waits
   * polls as well.
   */
  watch(listener: () => void): Disposable
  /** Flushes what was promised, then closes. Idempotent. */
  close(): Promise<void>
}

// --- submitting -------------------------------------------------------------------------------------------------------

export interface NewRun {
  /** Unique, without a dot: a UUID, see core/ids.ts. */
  readonly id: string
  readonly tenant: string
  readonly pipeline: string
  /**
   * Names the operation; unique per tenant and pipeline. Absent: nothing else is the same operation, and wherever a key is
   * shown or asked for, the run's id stands for it.
   */
  readonly key?: string
  /** JSON text, stored as given. */
  readonly input: string
  /** Of the canonical input: tells, by the same key, a repetition from a conflict. Only with a key. */
  readonly inputFingerprint?: string
  readonly labels: Readonly<Record<string, string>>
  /** What the balance is struck per: an input file, a campaign, `default`. */
  readonly batch: string
  readonly correlationId: string
  readonly createdAtMs: number
  /** In topological order. */
  readonly items: readonly NewItem[]
}

export interface NewItem {
  readonly step: string
  readonly lane: string
  readonly endpoint: string
  /** Earlier steps of the same run that must end well first. */
  readonly after: readonly string[]
  /** The earliest time it may be claimed. */
  readonly dueAtMs: number
  /** An optional step that fails for good does not stop what follows. */
  readonly optional: boolean
  /** Whose turn it waits for, beside the steps before it. Absent: nobody's. */
  readonly turn?: NewTurn
}

/**
 * A place in the order of an entity (R116). Items of one tenant, series and entity are worked on one at a time, in the order
 * in which they took their places: at acceptance, or when a person put them back. An item that has not ended keeps its place,
 * and whoever comes after it `waiting`; its end gives the next its turn, in the same transaction.
 */
export interface NewTurn {
  /** What is in order among itself: `pipeline.step`. */
  readonly series: string
  /** Of what: a product, a customer. */
  readonly entity: string
  /**
   * What a dead letter that nobody tries again means for those behind it: `continue`: they go on, and it takes the last place
   * when it is replayed; `hold`: they wait. `supersede`: only the newest value counts. What is older ends as `superseded`:
   * at once where it is not being processed and its outcome is known, else as soon as that is so and it would be tried again.
   */
  readonly rule: TurnRule
  /** With `supersede`: as `storedVersion` of core/version.ts gives it. Absent: whoever was accepted later is newer. */
  readonly version?: string
}

export type SubmitReceipt =
  /** `superseded`: items that ended because of it, which may be its own. Absent: none. */
  | { readonly outcome: 'accepted'; readonly runId: string; readonly superseded?: readonly SupersededItem[] }
  | { readonly outcome: 'duplicate'; readonly runId: string }
  | { readonly outcome: 'conflict'; readonly runId: string }

export interface SupersededItem {
  readonly itemId: string
  readonly reason: string
  readonly attempts: number
}

// --- working ----------------------------------------------------------------------------------------------------------

export interface ChannelDue {
  readonly lane: string
  readonly endpoint: string
  readonly earliestDueMs: number
}

export interface DueQuestion {
  readonly lane: string
  readonly endpoint: string
  readonly atMost: number
}

export interface ClaimRequest {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
  readonly channels: readonly ClaimChannel[]
}

export interface ClaimChannel {
  readonly lane: string
  readonly endpoint: string
  /** The most to take from this channel now. */
  readonly limit: number
  /** The most leased items of the whole lane, over all workers. */
  readonly laneConcurrency: number
}

export interface ReclaimRequest {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
  readonly limit: number
}

/** Names one claim of one item. The token grows by one with each claim of the item and is never used again. */
export interface Fence {
  readonly itemId: string
  readonly tenant: string
  readonly token: number
}

export interface ClaimedItem extends Fence {
  readonly runId: string
  readonly pipeline: string
  readonly step: string
  readonly lane: string
  readonly endpoint: string
  readonly key: string
  /** The state it was claimed from; `processing` when taken over from a lost lease. */
  readonly from: ItemState
  readonly counters: ItemCounters
  /** `attempts` when the present budget began: 0, or the count at the last replay. */
  readonly attemptsBeforeBudget: number
  /** When the present age budget began: acceptance, or the last replay. */
  readonly budgetFromMs: number
  readonly slowLaneTries: number
  readonly createdAtMs: number
  readonly firstAttemptAtMs: number | undefined
  /** When the claim that was lost had begun; only on items taken over. */
  readonly lostAttemptStartedAtMs: number | undefined
  /** JSON text: the edited payload after a replay with edits, else the run's input. */
  readonly input: string
  /** JSON text of what the steps in `after` gave; a step that was skipped or degraded is missing. */
  readonly outputs: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly correlationId: string
  /** What the newest attempt that failed ended with. */
  readonly lastFailure: Failure | undefined
  /** Free space of the engine, given back as it was stored: e.g. how often it looked for a lost effect. JSON text. */
  readonly memo: string | undefined
  /** True when someone asked for cancellation while it was processing. */
  readonly cancelRequested: boolean
}

export type Settlement = Fence & {
  readonly to: SettledState
  /** Absent when nothing was tried (held, given back): then no attempt is recorded and `attempts` stays. */
  readonly attempt?: AttemptRecord
  /** Adds one to `deferrals`. */
  readonly deferral?: boolean
  readonly memo?: string | null
  /** The reservation made by `beginEffects` for this item, confirmed or released in the same transaction. */
  readonly effect?: EffectEnd
  /** Closes the lane's gate in the same transaction (one 429 slows the lane, rule 4). */
  readonly gate?: Gate
}

export type SettledState =
  | { readonly state: 'succeeded'; readonly output: string; readonly externalId?: string; readonly note?: string }
  | { readonly state: 'skipped'; readonly reason: string }
  | { readonly state: 'cancelled'; readonly reason: string }
  | { readonly state: 'queued'; readonly reason: string }
  | { readonly state: 'retrying'; readonly dueAtMs: number; readonly reason: string }
  | { readonly state: 'parked'; readonly dueAtMs: number; readonly reason: string }
  /** `dueAtMs` absent: a person must decide. */
  | {
      readonly state: 'unknown_outcome'
      readonly dueAtMs?: number
      readonly reason: string
      readonly deadLetter: DeadLetterFacts
    }
  /** `dueAtMs` present: the slow lane tries again by itself. */
  | {
      readonly state: 'dead_lettered'
      readonly dueAtMs?: number
      readonly slowLaneTries?: number
      readonly reason: string
      readonly deadLetter: DeadLetterFacts
    }

export type SettleReceipt =
  | { readonly outcome: 'settled'; readonly state: ItemState; readonly queued: readonly string[] }
  | { readonly outcome: 'lease_lost' }

// --- effects ------------------------------------------------------------------------------------------------------------

export interface NewEffect {
  readonly tenant: string
  /** Names the operation: scope (pipeline step, integration endpoint) and key. */
  readonly key: string
  /** Of what is sent; the same key with another fingerprint is refused (D17). */
  readonly fingerprint: string
  /** The item, or the inline call, that reserves it. The same owner may reserve again: that is its retry. */
  readonly owner: string
  /** A reservation that nobody ended is `unknown` to all others after this: it may have happened (R097). */
  readonly reservedUntilMs: number
  /** After this it is forgotten, done or not. */
  readonly keepUntilMs: number
}

export type EffectReceipt =
  | { readonly outcome: 'started' }
  | { readonly outcome: 'done'; readonly output: string; readonly externalId?: string }
  | { readonly outcome: 'in_progress'; readonly owner: string; readonly reservedUntilMs: number }
  /** Reserved by someone who never reported back: it may have happened. Whoever finds out ends it in that owner's name. */
  | { readonly outcome: 'unknown'; readonly owner: string }
  | { readonly outcome: 'mismatch'; readonly owner: string }

export type EffectEnd =
  | { readonly key: string; readonly done: true; readonly output: string; readonly externalId?: string }
  /** Surely had no effect: the key is free again. */
  | { readonly key: string; readonly done: false }

export type EndedEffect = EffectEnd & { readonly tenant: string; readonly owner: string }
