/** The public face of a running Holdfast: what `await holdfast(...)` gives. */

import type { CredentialView, KeyRotation } from '../client/credentials/operators.ts'
import type { Forwarder } from '../client/fetch/forward.ts'
import type { BreakerView } from '../client/health/health.ts'
import type { Client, ClientOptions } from '../client/inline/client-types.ts'
import type { EventSource } from '../core/events.ts'
import type { Json } from '../core/json.ts'
import type { KeysInUse, PayloadRotation, RotateOptions } from '../ledger/payloads/open-payloads.ts'
import type {
  ActionFilter,
  ActionRecord,
  AuditReport,
  Balance,
  BalanceFilter,
  DeadLetterGroup,
  ItemFilter,
  ItemRecord,
  ItemSummary,
  JobItem,
  LaneState,
  OperatorReceipt,
  Page,
  PageOf,
  RunRecord,
} from '../ledger/port.ts'
import type { PostgresClient } from '../ledger/postgres/transactions/driver.ts'
import type { IdempotencyStore } from '../webhooks/idempotency-store.ts'
import type { WebhookHandlerOptions, WebhookReceiver } from '../webhooks/receiver.ts'
import type { DisabledAddress } from './callbacks/disabled-addresses.ts'
import type { JobOrder, JobView } from './jobs/job.ts'
import type { JobPlan } from './jobs/plan.ts'
import type { EndpointStatistics, TimeoutSuggestions } from './operations/endpoint-statistics.ts'
import type { Suggestion } from './operations/suggestions.ts'
import type { Method, PipelineOf } from './pipelines/pipeline.ts'

export type { Forwarded, Forwarder, ForwardRequest } from '../client/fetch/forward.ts'
export type { CallAnswer, CallOptions, Client, ClientOptions } from '../client/inline/client-types.ts'
export type { KeysInUse, PayloadRotation, RotateOptions } from '../ledger/payloads/open-payloads.ts'
export type { EndpointCategory, TimeoutAdvice } from '../policy/timeouts/suggest-timeouts.ts'
export type { DisabledAddress } from './callbacks/disabled-addresses.ts'
export type { JobCounts, JobKind, JobOrder, JobPhase, JobView } from './jobs/job.ts'
export type { JobPlan } from './jobs/plan.ts'
export type {
  EndpointStatistics,
  LatencyFigures,
  SuggestedIntegration,
  SuggestedTimeouts,
  TimeoutSuggestions,
} from './operations/endpoint-statistics.ts'
export type { Suggestion } from './operations/suggestions.ts'

export interface Holdfast extends AsyncDisposable {
  readonly events: EventSource

  /**
   * Accepts one record. Resolves once it is on disk, whatever state the APIs are in.
   * @throws HoldfastError `invalid_input` (refused by the pipeline's schema), `key_conflict` (same key, other input),
   *   `payload_too_large`, `callback_refused`, `callback_secret_missing`, `callback_secret_invalid`, `unknown_pipeline`, `store_unavailable`.
   */
  submit<Input>(
    pipeline: PipelineOf<Input> | string,
    input: Input,
    options?: SubmitOptions & TransactionOptions,
  ): Promise<Submitted>
  /** Many at once: one receipt each, in order; a bad record is reported in its place and stops nothing. */
  submitMany<Input>(
    pipeline: PipelineOf<Input> | string,
    records: readonly { readonly input: Input; readonly options?: SubmitOptions }[],
    options?: TransactionOptions,
  ): Promise<(Submitted | Refused)[]>

  /**
   * Accepts one call of an integration, to be made durably: retried, parked, dead-lettered like any step. Its runs belong to the
   * pipeline `request:INTEGRATION`, within which a `key` names the call.
   * @throws HoldfastError `invalid_input`, `invalid_path`, `key_conflict`, `payload_too_large`, `unknown_integration`,
   *   `store_unavailable`.
   */
  submitRequest(request: SingleRequest, options?: SubmitOptions): Promise<Submitted>

  /** Inline, resilient calls: retries while you wait, then a typed error. */
  client(integration: string, options?: ClientOptions): Client
  /** A drop-in `fetch` for SDKs that take one. */
  fetch(integration: string, options?: ClientOptions): typeof globalThis.fetch

  /**
   * Takes the webhooks of one source, of `webhooks` in the configuration: verified, on disk, then 200 (R154, R155). 401 where
   * the signature is not good, 413 too large, 503 where it could not be stored.
   * @throws HoldfastError `unknown_webhook`, `webhook_secret_invalid`
   */
  webhookHandler(source: string, options?: WebhookHandlerOptions): (request: Request) => Promise<Response>
  /** The same for servers that read requests themselves. */
  webhookReceiver(source: string, options?: WebhookHandlerOptions): WebhookReceiver
  /** What `idempotent(handler, { store: hf })` keeps its keys and answers in. */
  readonly idempotency: IdempotencyStore
  /** Calls handed through as they come: for a proxy. */
  forwarder(integration: string, options?: ClientOptions): Forwarder

  /** Starts working on items in this process. */
  startWorker(options?: WorkerOptions): Worker
  /**
   * Resolves with the balance once nothing can move any more without a person: all items have ended, are dead letters
   * (the slow lane is not waited for), wait behind one, or need a verdict or a resumed lane.
   * @throws HoldfastError `store_corrupt`, `store_read_only`, ... where the store will not work again by waiting.
   */
  drain(options?: DrainOptions): Promise<Balance>

  readonly operations: Operations
  /** Stops workers, gives back what was not sent, flushes and closes the store. Idempotent. */
  close(): Promise<void>
}

export interface SubmitOptions {
  /** Names the record: submitting it again changes nothing. Default: a new id (so: no deduplication). */
  readonly key?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly tenant?: string
  readonly batch?: string
  readonly correlationId?: string
  /** Whose personal data it holds, such as an e-mail address: stored as a keyed hash. Default: what the pipeline's `subject` says. */
  readonly subject?: string
  /** Told by a signed webhook when the run ends, and when it needs a person. Its host must stand in `callbacks.hosts`. */
  readonly callback?: Callback
}

export interface Callback {
  readonly url: string
  /** `whsec_` and base64 of 24 to 64 bytes; kept encrypted. Default: that of the configuration. */
  readonly secret?: string
}

/** One call of an integration. */
export interface SingleRequest {
  readonly integration: string
  readonly method: Method
  /** Below the base URL, encoded as it is sent; may have a query. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean>>
  /** Beside the integration's own. Credentials and headers of the connection are refused: the integration has them. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Json
}

export interface TransactionOptions {
  /**
   * A client of `pg` with a transaction open, in the database of the store: what is submitted commits, or is rolled back,
   * with it, and is worked on once it is committed. Only where the store is PostgreSQL.
   * @throws HoldfastError `no_transaction`, `transaction_not_supported`
   */
  readonly transaction?: PostgresClient
}

export interface Submitted {
  readonly ok: true
  readonly runId: string
  /** True: it was already known, and nothing was added. */
  readonly duplicate: boolean
}

export interface Refused {
  readonly ok: false
  readonly error: import('../core/errors.ts').HoldfastError
}

export interface WorkerOptions {
  /** Items at the same time in this process. Default 100. */
  readonly concurrency?: number
  /** Default: all lanes. */
  readonly lanes?: readonly string[]
}

export interface Worker extends AsyncDisposable {
  readonly id: string
  /** Stops claiming, lets what is under way end for `graceMs` (default 10,000), gives back the rest. */
  stop(options?: { graceMs?: number }): Promise<void>
  readonly inFlight: number
}

export interface DrainOptions {
  readonly signal?: AbortSignal
  /** Only what belongs to this batch, or this pipeline. Default: everything. */
  readonly batch?: string
  readonly pipeline?: string
}

/** What the person on call can see and do: the same for the CLI, the API and the dashboard. */
export interface Operations {
  run(runId: string): Promise<RunRecord | undefined>
  item(itemId: string): Promise<ItemRecord | undefined>
  items(filter?: ItemFilter, page?: Partial<Page>): Promise<PageOf<ItemSummary>>
  groups(filter?: ItemFilter): Promise<DeadLetterGroup[]>
  /**
   * Failures that no rule of an integration or its profile knew, the most frequent first, each with the rule that could be
   * written for it (R018, R031). Looks at all attempts that are kept, or those since a time.
   */
  suggestions(options?: { readonly sinceMs?: number }): Promise<Suggestion[]>
  /** How many calls each endpoint had on the last seven days, and how long they took (R165): of all processes. */
  endpointStatistics(): Promise<EndpointStatistics[]>
  /** Timeouts that fit what was observed (R149-R153), each with its reason. Changes nothing. */
  suggestTimeouts(): Promise<TimeoutSuggestions>
  balance(filter?: BalanceFilter): Promise<Balance>
  audit(): Promise<AuditReport>
  /** These operations, on behalf of somebody: what changes anything is written to the trail of actions, before and after. */
  as(actor: Actor): Operations
  /** What operators did, newest first. */
  actions(filter?: ActionFilter, page?: Partial<Page>): Promise<PageOf<ActionRecord>>
  /**
   * Writes a few bytes and reads them: whether the store can be used.
   * @throws HoldfastError `store_*` where it cannot: gone, full, read-only.
   */
  probe(): Promise<void>
  /** In plain words: what happened, why, what comes next and when (rule 9). */
  explain(itemId: string): Promise<Explanation | undefined>
  /** Replays what the selection finds: plan (dry run), canary, the rest. */
  replay(request: ReplayRequest): Promise<ReplayReport>
  discard(selection: Selection, reason: string, by: string): Promise<OperatorReceipt[]>
  /** By filter: what has not ended and needs no person. */
  cancel(selection: Selection, reason: string, by: string): Promise<OperatorReceipt[]>
  /** What a job would do; changes nothing. */
  planJob(order: JobOrder): Promise<JobPlan>
  /**
   * Replays, discards or cancels many items, as a job: paced, few at first, worked on by whichever process has a worker, and
   * going on in another one where that is lost. Resolves once it is written down which items it is about.
   * @throws HoldfastError `reason_missing`, `invalid_patch`
   */
  startJob(order: JobOrder): Promise<JobView>
  /** Newest first. */
  jobs(page?: Partial<Page>): Promise<PageOf<JobView>>
  job(jobId: string): Promise<JobView | undefined>
  /** The items of a job after a position (from 1), with how each is now. */
  jobItems(jobId: string, request?: { readonly after?: number; readonly limit?: number }): Promise<JobItem[]>
  /**
   * Works here on one job until it has ended, without a worker: what it puts back is left to those. Where the signal aborts, or this
   * process is lost, the job goes on wherever there is a worker.
   */
  finishJob(jobId: string, signal?: AbortSignal): Promise<void>
  /**
   * Leaves what has not had its turn as it is; what was put back goes on.
   * @throws HoldfastError `job_ended`, `reason_missing`
   */
  cancelJob(jobId: string, reason: string, by: string): Promise<JobView | undefined>
  /** A person's verdict on unknown outcomes: it happened, or it did not (then it is sent again). */
  resolve(itemId: string, verdict: Verdict, by: string): Promise<OperatorReceipt>
  lanes(): Promise<LaneState[]>
  integrations(): Promise<IntegrationView[]>
  suspend(integration: string, reason: string): Promise<string[]>
  /** Also lifts what is held against its credential. */
  resume(integration: string): Promise<string[]>
  /** All credentials, and how they are; never a secret. */
  credentials(): Promise<CredentialView[]>
  /**
   * Stores a new secret or refresh token, for all processes, and resumes the lanes that waited for it: those are returned.
   * @param name `hubspot/default`, or `hubspot`
   * @throws HoldfastError `credential_not_stored`, `secret_invalid`, `encryption_key_missing`, `unknown_integration`
   */
  setCredential(name: string, secret: string): Promise<string[]>
  /**
   * Gets a new token from the token endpoint now, once for all processes, whatever the present one is still good for. Where it was
   * refused before, the lanes that waited for it are resumed.
   * @throws HoldfastError `credential_not_renewable`, `token_not_renewed`, `token_asked_too_soon`, `encryption_key_missing`,
   *   `unknown_integration`
   */
  refreshCredential(name: string): Promise<{ readonly credential: CredentialView; readonly resumed: readonly string[] }>
  /** Encrypts everything that is stored of credentials with the present key. */
  rotateCredentialKey(): Promise<KeyRotation>
  /** Addresses of callbacks that answered 410: what is to be told there is a dead letter. The oldest first. */
  disabledAddresses(): Promise<readonly DisabledAddress[]>
  /**
   * Lets callbacks be sent there again; those that ended meanwhile are to be replayed. `undefined`: it was not disabled.
   * @param named as {@link disabledAddresses} names it, or its URL
   */
  enableAddress(named: string): Promise<DisabledAddress | undefined>
  breakers(): Promise<BreakerView[]>
  resetBreaker(key: string): Promise<boolean>
  /** Forgets ended runs older than `maxAgeMs`; counts stay in the balance. */
  retain(maxAgeMs: number): Promise<{ runs: number; effects: number }>
  /**
   * Erases what runs hold of one subject, or of some runs, for good. What happened to them, when, and the balance stay.
   * @throws HoldfastError `erasure_of_nothing` where neither a subject nor runs are named
   */
  erase(request: EraseRequest): Promise<EraseReport>
  /** Which keys the contents in the store are encrypted with. Reads everything. */
  keysInUse(): Promise<KeysInUse>
  /** Encrypts all contents with the present key; safe to repeat, and to interrupt. Credentials: {@link rotateCredentialKey}. */
  rotatePayloadKey(options?: RotateOptions): Promise<PayloadRotation>
}

export interface EraseRequest {
  /** As the pipeline's `subject` gives it, or a run's key. Upper case makes no difference. */
  readonly subject?: string
  readonly runIds?: readonly string[]
  /** Only what is held for this tenant. Default: for all of them. */
  readonly tenant?: string
  /** Of runs that have not ended: leave them and say so, or end them first. Default `refuse`. */
  readonly notEnded?: 'refuse' | 'cancel'
  /** Only says what would be erased. */
  readonly dryRun?: boolean
  /**
   * Also clears what was erased from the files of the store. With SQLite it writes the whole file anew, and nothing else can be
   * written meanwhile. Default true.
   */
  readonly scrub?: boolean
  readonly by: string
}

export interface EraseReport {
  /** Runs that hold it, and their items. */
  readonly runs: number
  readonly items: number
  /** Ids of the runs that are erased now; with `dryRun`, that would be. */
  readonly erased: readonly string[]
  /** Runs that still hold it, and why. */
  readonly refused: readonly { readonly runId: string; readonly why: string }[]
  /** Jobs that are under way and whose patch names it: they keep that until they end, or are cancelled. */
  readonly jobs: readonly string[]
  readonly scrubbed: boolean
  readonly dryRun: boolean
}

/** Who acts, for the trail of actions. */
export interface Actor {
  /** `cli:ada`, `token:ci` */
  readonly by: string
  /** The name of a machine, or a network address. */
  readonly from: string
}

export type Verdict =
  | { readonly happened: true; readonly externalId?: string; readonly output?: Json; readonly reason?: string }
  | { readonly happened: false }

/** Which dead letters: by id, by group, or by filter. */
export type Selection =
  | { readonly itemIds: readonly string[] }
  | { readonly fingerprint: string }
  | { readonly filter: ItemFilter }

export interface ReplayRequest {
  readonly selection: Selection
  readonly by: string
  /** RFC 7396 merge patch applied to each payload; the original stays beside the edited one. */
  readonly patch?: Json
  /** Only says what would happen. */
  readonly dryRun?: boolean
  /** First this many alone; the rest only if all of them end well. Default 0: all at once. */
  readonly canary?: number
  readonly knownNotApplied?: boolean
  readonly signal?: AbortSignal
}

export interface ReplayReport {
  readonly selected: number
  readonly replayed: number
  readonly refused: readonly { readonly itemId: string; readonly why: string }[]
  /** Set where a canary did not end well: nothing after it was touched. */
  readonly stopped: { readonly itemId: string; readonly why: string } | undefined
  readonly dryRun: boolean
  /** Before and after, for the first few. */
  readonly samples: readonly { readonly itemId: string; readonly before: Json; readonly after: Json }[]
  readonly itemIds: readonly string[]
}

export interface IntegrationView {
  readonly name: string
  readonly baseUrl: string
  readonly lanes: readonly LaneState[]
  readonly breakers: readonly BreakerView[]
  readonly due: number
}

export interface Explanation {
  readonly itemId: string
  /** One sentence. */
  readonly headline: string
  readonly lines: readonly { readonly atMs: number | undefined; readonly text: string }[]
  /** What comes next, and when. */
  readonly next: string
  readonly hint: string
}
