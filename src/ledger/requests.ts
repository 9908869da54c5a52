/** What a ledger is asked for with work, and what it answers: runs, claims, settlements, effects. Plain data. */
import type { Failure } from '../core/failure.ts'
import type { ItemState } from '../core/item-state.ts'
import type { AttemptRecord, DeadLetterFacts, ItemCounters, TurnRule } from './records.ts'
import type { Gate } from './shared-records.ts'
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
  | AcceptedRun
  | { readonly outcome: 'duplicate'; readonly runId: string }
  | { readonly outcome: 'conflict'; readonly runId: string }

export interface AcceptedRun {
  readonly outcome: 'accepted'
  readonly runId: string
  /** Items that ended because of it, which may be its own. Absent: none. */
  readonly superseded?: readonly SupersededItem[]
  /** All that is due of it was leased to claims that stood: nobody has to be woken for it. */
  readonly isLeased?: boolean
}

export interface SupersededItem {
  readonly itemId: string
  readonly reason: string
  readonly attempts: number
}

// --- working ----------------------------------------------------------------------------------------------------------

/** Where items wait. */
export interface ChannelRef {
  readonly lane: string
  readonly endpoint: string
}

export interface ChannelDue extends ChannelRef {
  readonly earliestDueMs: number
}

export interface DueQuestion extends ChannelRef {
  readonly atMost: number
}

export interface ClaimRequest {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
  readonly channels: readonly ClaimChannel[]
}

export interface ClaimChannel extends ChannelRef {
  /** The most to take from this channel now. */
  readonly limit: number
  /** The most leased items of the whole lane, over all workers. */
  readonly laneConcurrency: number
}

/**
 * A claim that stays (decision 035): what a submit makes due in its channels may be leased to its worker by that very submit, up to
 * the limits, which are for all the time that it stands.
 */
export interface StandingClaim {
  readonly workerId: string
  /** Of each item, from when it is submitted. */
  readonly leaseMs: number
  /** It stands no longer. */
  readonly untilMs: number
  /** None: the worker takes back the claim that it had left. */
  readonly channels: readonly ClaimChannel[]
}

/** What was leased to a claim that stood. */
export interface StandingLease {
  readonly items: readonly ClaimedItem[]
  readonly leaseUntilMs: number
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
