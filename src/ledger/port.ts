import type { Where } from './hints.ts'
import type { JobChange, JobFilter, JobItem, JobMember, JobRecord, JobTally } from './jobs.ts'
import type { RecodeReceipt, RecodeScope, Rewrite } from './recoding.ts'
import type {
  ActionFilter,
  ActionRecord,
  AuditReport,
  Balance,
  BalanceFilter,
  CancelOrder,
  DeadLetterGroup,
  DiscardOrder,
  FailureTally,
  ItemFilter,
  ItemRecord,
  ItemSummary,
  OperatorReceipt,
  Page,
  PageOf,
  ReplayOrder,
  ResolveOrder,
  RunRecord,
  WakeRequest,
} from './records.ts'
import type {
  ChannelDue,
  ClaimedItem,
  ClaimRequest,
  DueQuestion,
  EffectReceipt,
  EndedEffect,
  Fence,
  NewEffect,
  NewRun,
  NewTurn,
  ReclaimRequest,
  Settlement,
  SettleReceipt,
  StandingClaim,
  StandingLease,
  SubmitReceipt,
} from './requests.ts'
import type { Gate, HealthChange, HealthReceipt, HealthRecord, LaneState, Suspension } from './shared-records.ts'

export type { Where } from './hints.ts'
export type { JobChange, JobFilter, JobItem, JobMember, JobRecord, JobTally } from './jobs.ts'
export type { Cell, CellKind, RecodeReceipt, RecodeScope, Rewrite } from './recoding.ts'
export type * from './records.ts'
export type * from './requests.ts'
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
   * Leaves a claim standing, in place of the one that this worker left before. Nothing is promised: a ledger may lease nothing to
   * it, and a worker claims as if there were none. What is leased to it is as if claimed: on disk when it is told of, lanes have
   * their say, and a worker that never hears of it lets the lease end. Resolves when the claim before stands no more and, if
   * that takes no longer than a second, all that was leased to it has been told; to whether this one stands.
   */
  standClaim(claim: StandingClaim, onLeased: (lease: StandingLease) => void): Promise<boolean>
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
   * Calls `listener` when another process may have made work due, with the channels where, if the store knows. A hint that may
   * come late or never: whoever waits polls as well.
   */
  watch(listener: (where: Where) => void): Disposable
  /** Flushes what was promised, then closes. Idempotent. */
  close(): Promise<void>
}
