/** What the ledger tells about runs and items, and what people ask of it: the second half of the port's types. */
import type { Failure } from '../core/failure.ts'
import type { ItemState } from '../core/item-state.ts'
import type { Json } from '../core/json.ts'
import type { DeadLetterCause } from '../policy/retry/dead-letter.ts'
import type { NewTurn } from './port.ts'

export interface ItemCounters {
  /** Tries that may have reached the API, the first included. */
  readonly attempts: number
  /** Refusals by gate, breaker, limiter: use no attempt (rule 4, D14). */
  readonly deferrals: number
  /** Leases lost. */
  readonly crashes: number
  /** Times put back by a person, or by a cause that went away. */
  readonly replays: number
}

export interface DeadLetterFacts {
  /** Equal for failures with the same root cause (R134). */
  readonly fingerprint: string
  /** For people, e.g. `The CRM refused it: field "company" is required.` (R132) */
  readonly summary: string
  /** What to do (R132). */
  readonly hint: string
  readonly cause: DeadLetterCause
}

export interface AttemptRecord {
  readonly startedAtMs: number
  readonly endedAtMs: number
  readonly outcome: 'succeeded' | 'failed' | 'reconciled' | 'not_found' | 'crashed'
  /** False for looking at an effect and for a throttled call: recorded, but uses no attempt. */
  readonly counts: boolean
  readonly status?: number
  readonly failure?: Failure
  readonly idempotencyKey?: string
  readonly note?: string
}

// --- people ---------------------------------------------------------------------------------------------------------------

export interface OperatorOrder {
  readonly itemId: string
  /** Who asked: `cli:ada`, `engine:breaker_closed`. */
  readonly by: string
}

export interface ReplayOrder extends OperatorOrder {
  /** JSON text that replaces the input for this item, from now on; the original stays beside it. */
  readonly editedInput?: string
  /** Needed to replay an unknown outcome: the person's word that it did not happen. */
  readonly knownNotApplied?: boolean
  readonly dueAtMs: number
  /** Where the edited payload is of another entity or version than before: it takes the last place there. */
  readonly turn?: NewTurn
}

export interface DiscardOrder extends OperatorOrder {
  readonly reason: string
}

export interface CancelOrder extends OperatorOrder {
  readonly reason: string
}

export interface ResolveOrder extends OperatorOrder {
  /** JSON text of what the step gave, `null` where nothing is known. */
  readonly output: string
  readonly externalId?: string
  readonly reason: string
}

export type OperatorReceipt =
  | { readonly outcome: 'done'; readonly itemId: string; readonly state: ItemState }
  | { readonly outcome: 'marked'; readonly itemId: string }
  | { readonly outcome: 'refused'; readonly itemId: string; readonly state: ItemState; readonly why: string }
  | { readonly outcome: 'not_found'; readonly itemId: string }

export interface WakeRequest {
  readonly lane?: string
  readonly endpoint?: string
  /** `parked` items; `outage` dead letters that wait in the slow lane. */
  readonly what: 'parked' | 'slow_lane'
  readonly limit: number
}

/** Something that an operator did, or began to do. */
export interface ActionRecord {
  /** Unique. */
  readonly id: string
  readonly atMs: number
  /** Who: `cli:ada`, `token:ci`. */
  readonly by: string
  /** From where: the name of a machine, or a network address. */
  readonly from: string
  /** `replay`, `suspend`, ... */
  readonly what: string
  /** What it was done to: an integration, an item, `group 3f2a`. */
  readonly target: string
  /** As given; may be empty. */
  readonly reason: string
  /** What was asked for, and what came of it; never a secret. */
  readonly details: Json
  /** `begun` where it was never told how it ended: the process was lost, or it is under way. */
  readonly outcome: 'begun' | 'done' | 'failed'
}

export interface ActionFilter {
  readonly by?: string
  readonly what?: string
}

// --- reading ----------------------------------------------------------------------------------------------------------------

export interface RunRecord {
  readonly id: string
  readonly tenant: string
  readonly pipeline: string
  readonly key: string
  readonly input: Json
  readonly labels: Readonly<Record<string, string>>
  readonly batch: string
  readonly correlationId: string
  readonly createdAtMs: number
  readonly items: readonly ItemSummary[]
}

export interface ItemSummary {
  readonly itemId: string
  readonly runId: string
  readonly tenant: string
  readonly pipeline: string
  readonly step: string
  readonly key: string
  readonly lane: string
  readonly endpoint: string
  readonly state: ItemState
  readonly reason: string
  readonly dueAtMs: number | undefined
  readonly counters: ItemCounters
  readonly createdAtMs: number
  readonly firstAttemptAtMs: number | undefined
  readonly endedAtMs: number | undefined
  readonly updatedAtMs: number
  readonly lease: { readonly workerId: string; readonly untilMs: number; readonly startedAtMs: number } | undefined
  readonly deadLetter: (DeadLetterFacts & { readonly sinceMs: number }) | undefined
  readonly externalId: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly batch: string
  readonly optional: boolean
}

export interface ItemRecord extends ItemSummary {
  /** As submitted. */
  readonly input: Json
  /** What replays were asked to send instead, oldest first. */
  readonly edits: readonly {
    readonly input: Json
    readonly by: string
    readonly atMs: number
    readonly replay: number
  }[]
  readonly output: Json | undefined
  readonly after: readonly string[]
  /** Steps of the run that wait for this one, however far down (R130). */
  readonly dependents: readonly string[]
  readonly attempts: readonly (AttemptRecord & { readonly number: number })[]
  /** What people and the engine did to it, oldest first. */
  readonly operations: readonly {
    readonly what: string
    readonly by: string
    readonly atMs: number
    readonly note: string
  }[]
  readonly correlationId: string
  readonly memo: string | undefined
  readonly slowLaneTries: number
  readonly cancelRequested: boolean
  /** Its place in the order of an entity, until it has ended. */
  readonly turn: TurnRecord | undefined
}

/** See `NewTurn` of the port. */
export type TurnRule = 'continue' | 'hold' | 'supersede'

export interface TurnRecord {
  readonly series: string
  readonly entity: string
  readonly rule: TurnRule
  /** `passed`: a dead letter that those behind it do not wait for. */
  readonly standing: 'has_turn' | 'waits' | 'passed'
  /** The item right before it, while it waits. */
  readonly waitsFor: string | undefined
  /** Items that wait behind it. */
  readonly behind: number
}

export interface ItemFilter {
  readonly states?: readonly ItemState[]
  readonly pipeline?: string
  readonly step?: string
  readonly lane?: string
  readonly endpoint?: string
  readonly runId?: string
  readonly key?: string
  readonly tenant?: string
  readonly batch?: string
  readonly fingerprint?: string
  /** Only those that no machine will touch again: dead letters and unknown outcomes without a due time. */
  readonly needsPerson?: boolean
  readonly labels?: Readonly<Record<string, string>>
}

export interface Page {
  readonly limit: number
  /** From the page before; opaque. */
  readonly cursor?: string
}

export interface PageOf<Row> {
  readonly rows: readonly Row[]
  readonly cursor: string | undefined
}

export interface DeadLetterGroup extends DeadLetterFacts {
  readonly count: number
  readonly states: Readonly<Partial<Record<ItemState, number>>>
  readonly pipelines: readonly string[]
  readonly endpoints: readonly string[]
  readonly firstMs: number
  readonly lastMs: number
  /** One item to look at. */
  readonly exampleItemId: string
  /** How many have a due time: the slow lane will try them by itself. */
  readonly willRetry: number
}

/** Failed attempts of one kind on one day: same lane, endpoint, deciding rule, code and status (R018). */
export interface FailureTally {
  readonly lane: string
  readonly endpoint: string
  /** When the day began, in UTC. */
  readonly dayMs: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  /** One that ended so, and the item that it is of. */
  readonly failure: Failure
  readonly exampleItemId: string
}

export interface BalanceFilter {
  readonly batch?: string
  readonly pipeline?: string
  readonly labels?: Readonly<Record<string, string>>
}

export interface Balance {
  /** Items accepted, counted when they came in. */
  readonly accepted: number
  /** Items by state, retained history included. */
  readonly states: Readonly<Record<ItemState, number>>
  /** Items without a due time among dead letters and unknown outcomes. */
  readonly needsPerson: number
  readonly balanced: boolean
}

export interface AuditReport {
  /** The books balance, counted anew row by row, and no check was violated. */
  readonly balanced: boolean
  readonly balance: Balance
  readonly batches: readonly (Balance & { readonly batch: string })[]
  /** Every check made, with how many rows broke it (0: none) and up to ten of them. */
  readonly checks: readonly {
    readonly name: string
    readonly description: string
    readonly violations: number
    readonly examples: readonly string[]
  }[]
}
