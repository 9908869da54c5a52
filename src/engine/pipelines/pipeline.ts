/**
 * Pipelines: typed graphs of steps (design.md, "Steps"). A definition is plain, immutable data; `definePipeline` starts one
 * and each `.step()` gives a new one whose type knows the outputs of all steps so far.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Answer } from '../../client/call/call.ts'
import type { BatchShape, BatchShapeName } from '../../config/batch-shapes.ts'
import { oursAmongNewest } from '../../config/lookup.ts'
import type { WrittenSize } from '../../config/schema-parts.ts'
import type { IdempotencySettings, JitterStrategy } from '../../config/settings.ts'
import { type Duration, durationMs } from '../../core/duration.ts'
import { configurationError } from '../../core/errors.ts'
import type { StepOrder, StepSupersede } from '../step-order.ts'

export type Awaitable<Value> = Value | Promise<Value>

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** What a step sees. */
export interface StepContext<Input = unknown, Outputs = Record<string, unknown>> {
  readonly input: Input
  /** What the steps named in `after` gave. A step that was skipped or degraded gives `undefined`. */
  readonly outputs: Outputs
  readonly runId: string
  readonly itemId: string
  readonly key: string
  readonly tenant: string
  readonly labels: Readonly<Record<string, string>>
  readonly correlationId: string
  /** Equal on all attempts and replays of this step of this run: hand it to whatever takes an idempotency key. */
  readonly idempotencyKey: string
  /** 1 for the first try. */
  readonly attempt: number
}

/** What code steps see beside that. */
export interface CodeContext<Input = unknown, Outputs = Record<string, unknown>> extends StepContext<Input, Outputs> {
  /** Aborts when the step's time is over, its lease is lost, or the worker must end. */
  readonly signal: AbortSignal
}

/** A call as data: method and path are fixed, so that breakers, timeouts and lanes are known before it runs. */
export interface RequestTemplate<Context> {
  readonly method: Method
  /** Path template below the integration's base URL: `/people/{email}`. */
  readonly path: string
  readonly params?: (context: Context) => Awaitable<Readonly<Record<string, string | number>>>
  readonly query?: (context: Context) => Awaitable<Readonly<Record<string, string | number | boolean | undefined>>>
  readonly headers?: (context: Context) => Awaitable<Readonly<Record<string, string>>>
  readonly body?: (context: Context) => unknown
}

/** How to look for an effect whose outcome is unknown (R094, R095). */
export interface RequestReconciliation<Context, Output> {
  readonly request: RequestTemplate<Context>
  /**
   * The effect's output where the answer shows that it happened; `undefined` where it shows that it did not. For a list of the
   * newest records see {@link newestFirst}.
   */
  readonly match: (answer: Answer, context: Context, look: LookFacts) => Awaitable<Output | undefined>
  /** The id that the API gave it; kept with the item. Default none. */
  readonly externalId?: (found: Output, context: Context, answer: Answer) => Awaitable<string | undefined>
  /** Your word that a request by POST only searches. Without it, only GET and HEAD are taken. */
  readonly readOnly?: true
  /** Looks in a row that must find nothing before it counts as not done. Default 2. */
  readonly looks?: number
  /** Before the first look and between two: longer than the API may take to finish or to show it. Default 2 s. */
  readonly delay?: Duration
}

export interface LookFacts {
  /** By our clock: when the step was tried first. */
  readonly firstTriedAtMs: number
}

export interface NewestFirst<Found, Context> {
  /** All records of the answer. */
  readonly records: (answer: Answer) => readonly Found[]
  /** Does it match what was intended? Best by something that only this operation has. */
  readonly matches: (record: Found, context: Context) => boolean
  /** When it was made, by the API's clock: RFC 3339 text, or seconds or milliseconds since 1970. */
  readonly createdAt: (record: Found) => string | number
  /** How far the two clocks may differ. Default 5 min. */
  readonly within?: Duration
  /** How many records a full answer has: with fewer, there are no older ones. Default: unknown. */
  readonly size?: number
}

/**
 * A `match` over a list of the newest records (R095): ours is the one that matches and was made since the first try. Where more
 * than one may be ours, or the list does not reach back so far, a person decides.
 */
export function newestFirst<Found, Context>(
  options: NewestFirst<Found, Context>,
): (answer: Answer, context: Context, look: LookFacts) => Found | undefined {
  const withinMs = durationMs(options.within ?? '5m')
  return (answer, context, { firstTriedAtMs }) => {
    const records = options.records(answer)
    const candidates = records.filter((record) => options.matches(record, context))
    const createdAt = (record: unknown) => options.createdAt(record as Found)
    const { size } = options
    return oursAmongNewest({ records, candidates, createdAt, firstTriedAtMs, withinMs, size }) as Found | undefined
  }
}

/** What a compensation sees: the step's context, and what it gave. */
export interface UndoContext<Input, Outputs, Output> extends StepContext<Input, Outputs> {
  readonly output: Output
}

/** How to undo a request step: a call of the same integration, retried, keyed and looked for like any other. */
export interface RequestCompensation<Context> {
  readonly request: RequestTemplate<Context>
  /** What makes repeating it safe. Default: by method; a `DELETE` of what is gone is success. */
  readonly idempotency?: IdempotencySettings
  readonly reconcile?: RequestReconciliation<Context, unknown>
}

/** How to undo a code step. */
export interface CodeCompensation<Context> {
  readonly run: (context: Context & Pick<CodeContext, 'signal'>) => Awaitable<unknown>
  /** Running it twice has the effect of running it once. Default false. */
  readonly safe?: boolean
}

export type Reconciliation<Output> =
  | { readonly outcome: 'applied'; readonly output: Output }
  | { readonly outcome: 'not_applied' }
  | { readonly outcome: 'cannot_tell' }

export interface StepOptions<Outputs, After extends keyof Outputs> {
  /** Steps that must end well first. Default none: it starts at once. */
  readonly after?: readonly After[]
  /** When it fails for good, the run goes on without it (degraded). Default false. */
  readonly optional?: boolean
  /** Durable retries end at this age. Default: the integration's. */
  readonly maxAge?: Duration
  readonly maxAttempts?: number
  /** How long to wait before a retry. Default: the integration's; for code steps 1 s, doubling up to 60 s, full jitter. */
  readonly backoff?: StepBackoff
}

export interface StepBackoff {
  /** Before the first retry, about; doubles with each. */
  readonly base?: Duration
  /** The longest wait. */
  readonly cap?: Duration
  readonly jitter?: JitterStrategy
}

/**
 * Several records in one call. `request.body` gives each record as the call has it; every record keeps its own item, attempts,
 * lease and outcome (R121, R122).
 */
export interface StepBatch<Context> {
  /** The most records in one call. */
  readonly size: number
  /** The largest body of a call, in bytes or as `'500KB'`. A record that is larger alone is sent alone. Default: no limit. */
  readonly bytes?: number | WrittenSize
  /** How long a record may wait for others. It waits in the store: no worker is held. Default 50 ms. */
  readonly linger?: Duration
  /** How the API takes and answers several records. Default: what is known about the endpoint. */
  readonly shape?: BatchShapeName | BatchShape
  /** The body of a call, where no shape can say it. Default: the shape's envelope around the records. */
  readonly build?: (members: readonly BatchMember<Context>[]) => unknown
  /**
   * What a good answer says of each record, in their order, where no shape can read it. `undefined`: it is about the call as a
   * whole. Used instead of the shape's answer.
   */
  readonly split?: (
    answer: Answer,
    members: readonly BatchMember<Context>[],
  ) => Awaitable<readonly RecordResult[] | undefined>
}

export interface BatchMember<Context> {
  /** What `request.body` gave. */
  readonly record: unknown
  readonly context: Context
}

/** What an answer says of one record. */
export type RecordResult =
  /** `data` is what `parse` sees as the answer's data. Default `null`. */
  | { readonly outcome: 'succeeded'; readonly data?: unknown }
  /** Judged like an answer of its own with this status and body: by the integration's rules, then by default. */
  | {
      readonly outcome: 'failed'
      /** Default 400. */
      readonly status?: number
      readonly code?: string
      readonly message?: string
      readonly field?: string
      readonly retryAfterMs?: number
    }
  /** Undone, or not begun, because another record failed: sent again without it. */
  | { readonly outcome: 'rolled_back' }
  /** The answer does not say: looked for, or sent again where that is safe. */
  | { readonly outcome: 'unknown' }

export interface RequestStep<Input, Outputs, After extends keyof Outputs, Output> extends StepOptions<Outputs, After> {
  /** Name of the integration that is called. */
  readonly integration: string
  readonly request: RequestTemplate<StepContext<Input, Pick<Outputs, After>>>
  /** Refused answers are `malformed_response`. Its output type is what `parse` gets. */
  readonly response?: StandardSchemaV1
  /** Reads the step's output from a good answer. Default: the answer's data. */
  readonly parse?: (answer: Answer, context: StepContext<Input, Pick<Outputs, After>>) => Awaitable<Output>
  /** Overrides what is known about the endpoint. */
  readonly idempotency?: IdempotencySettings
  readonly reconcile?: RequestReconciliation<StepContext<Input, Pick<Outputs, After>>, Output>
  /** Items about the same entity one at a time, as they were accepted. Default: as they come. */
  readonly order?: StepOrder<Input>
  /** A newer value of an entity replaces the older one; brings an order with it. Default: each item counts. */
  readonly supersede?: StepSupersede<Input>
  /** Names the operation across runs: two runs that give the same key have the effect once. Default: each run its own. */
  readonly operation?: (context: StepContext<Input, Pick<Outputs, After>>) => Awaitable<string>
  /** Undoes it when a later step fails for good, in pipelines with `onFailure: 'compensate'`. */
  readonly compensate?: RequestCompensation<UndoContext<Input, Pick<Outputs, After>, Output>>
  /** Gathers records into one call. `response` and `parse` then see the part of the answer that is about the record. */
  readonly batch?: StepBatch<StepContext<Input, Pick<Outputs, After>>>
}

export interface CodeStep<Input, Outputs, After extends keyof Outputs, Output> extends StepOptions<Outputs, After> {
  readonly run: (context: CodeContext<Input, Pick<Outputs, After>>) => Awaitable<Output>
  /** Items about the same entity one at a time, as they were accepted. Default: as they come. */
  readonly order?: StepOrder<Input>
  /** A newer value of an entity replaces the older one; brings an order with it. Default: each item counts. */
  readonly supersede?: StepSupersede<Input>
  /** Running it twice has the effect of running it once. Default false: after a crash its outcome counts as unknown. */
  readonly safe?: boolean
  /** The time one try may take. Default 60 s. */
  readonly timeout?: Duration
  /** Tries at the same time, over all workers. Default 100. */
  readonly concurrency?: number
  readonly reconcile?: (context: CodeContext<Input, Pick<Outputs, After>>) => Awaitable<Reconciliation<Output>>
  /** Undoes it when a later step fails for good, in pipelines with `onFailure: 'compensate'`. */
  readonly compensate?: CodeCompensation<UndoContext<Input, Pick<Outputs, After>, Output>>
}

// Erased forms for the inside of the engine: the builder has checked the types.
// biome-ignore lint/suspicious/noExplicitAny: variance of the user's types ends here
export type AnyRequestStep = RequestStep<any, any, any, any>
// biome-ignore lint/suspicious/noExplicitAny: variance of the user's types ends here
export type AnyCodeStep = CodeStep<any, any, any, any>
export type AnyStep = AnyRequestStep | AnyCodeStep
/** A pipeline as `submit` needs it: only the type of its input matters. */
export type PipelineOf<Input> = Pick<Pipeline<Input>, 'name' | 'steps' | 'inputSchema'>
/** Any pipeline, whatever its types. */
export type AnyPipeline = Pick<Pipeline, 'name' | 'steps'> & {
  readonly inputSchema: StandardSchemaV1<unknown, unknown> | undefined
  readonly onFailure?: OnFailure
  readonly subject?: SubjectOf<never> | undefined
}

/** Whose personal data an input holds: an e-mail address, a customer number. `undefined`, or nothing: nobody's. */
export type SubjectOf<Input> = (input: Input) => unknown

/**
 * What becomes of a run whose step failed for good. `keep`: what was done stays, the dead letter waits for a person, what does
 * not need it goes on. `compensate`: nothing more is begun, what succeeded is undone, newest first.
 */
export type OnFailure = 'keep' | 'compensate'

export interface Pipeline<Input = unknown, Outputs = Record<never, never>> {
  readonly name: string
  readonly inputSchema: StandardSchemaV1<unknown, Input> | undefined
  readonly steps: ReadonlyMap<string, AnyStep>
  readonly onFailure: OnFailure
  readonly subject: SubjectOf<Input> | undefined
  step<const Name extends string, Output, const After extends keyof Outputs & string = never>(
    name: Name,
    step: RequestStep<Input, Outputs, After, Output> | CodeStep<Input, Outputs, After, Output>,
  ): Pipeline<Input, Outputs & Record<Name, Output>>
}

export interface PipelineOptions<Input> {
  /** Any Standard Schema; refused input is refused at `submit`, before anything is stored. */
  readonly input?: StandardSchemaV1<unknown, Input>
  /** Default `keep`. */
  readonly onFailure?: OnFailure
  /** Stored as a keyed hash, by which everything about one person can be found and erased. May give a promise. Default: nobody. */
  readonly subject?: SubjectOf<Input>
}

const NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/

/**
 * Starts a pipeline.
 * @throws HoldfastError `invalid_pipeline` for a name that is not a word, a step twice, or `after` a step that is not there.
 */
export function definePipeline<Input = unknown>(name: string, options: PipelineOptions<Input> = {}): Pipeline<Input> {
  checkName('pipeline', name, name)
  const { input, onFailure = 'keep', subject } = options
  return build<Input, Record<never, never>>({ name, inputSchema: input, onFailure, subject }, new Map())
}

function build<Input, Outputs>(
  frame: Pick<Pipeline<Input>, 'name' | 'inputSchema' | 'onFailure' | 'subject'>,
  steps: ReadonlyMap<string, AnyStep>,
): Pipeline<Input, Outputs> {
  const { name } = frame
  return {
    ...frame,
    steps,
    step(stepName, step) {
      checkName('step', stepName, name)
      if (steps.has(stepName))
        throw invalid(name, `step "${stepName}" is defined twice`, 'Give each step its own name.')
      for (const needed of step.after ?? []) {
        if (!steps.has(needed as string)) {
          throw invalid(
            name,
            `step "${stepName}" comes after "${String(needed)}", which is not defined before it`,
            `Steps so far: ${[...steps.keys()].join(', ') || '(none)'}.`,
          )
        }
      }
      return build(frame, new Map(steps).set(stepName, step as AnyStep))
    },
  }
}

function checkName(kind: string, name: string, pipeline: string): void {
  if (!NAME.test(name)) {
    throw invalid(
      pipeline,
      `"${name}" cannot be the name of a ${kind}`,
      'Use letters, digits, - and _, starting with a letter.',
    )
  }
}

function invalid(pipeline: string, message: string, hint: string) {
  return configurationError('invalid_pipeline', `Pipeline "${pipeline}": ${message}`, hint, { pipeline })
}
