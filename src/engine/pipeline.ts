/**
 * Pipelines: typed graphs of steps (design.md, "Steps"). A definition is plain, immutable data; `definePipeline` starts one
 * and each `.step()` gives a new one whose type knows the outputs of all steps so far.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Answer } from '../client/call.ts'
import { oursAmongNewest } from '../config/lookup.ts'
import type { IdempotencySettings, JitterStrategy } from '../config/settings.ts'
import { type Duration, durationMs } from '../core/duration.ts'
import { configurationError } from '../core/errors.ts'

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
  /** Names the operation across runs: two runs that give the same key have the effect once. Default: each run its own. */
  readonly operation?: (context: StepContext<Input, Pick<Outputs, After>>) => Awaitable<string>
}

export interface CodeStep<Input, Outputs, After extends keyof Outputs, Output> extends StepOptions<Outputs, After> {
  readonly run: (context: CodeContext<Input, Pick<Outputs, After>>) => Awaitable<Output>
  /** Running it twice has the effect of running it once. Default false: after a crash its outcome counts as unknown. */
  readonly safe?: boolean
  /** The time one try may take. Default 60 s. */
  readonly timeout?: Duration
  /** Tries at the same time, over all workers. Default 100. */
  readonly concurrency?: number
  readonly reconcile?: (context: CodeContext<Input, Pick<Outputs, After>>) => Awaitable<Reconciliation<Output>>
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
}

export interface Pipeline<Input = unknown, Outputs = Record<never, never>> {
  readonly name: string
  readonly inputSchema: StandardSchemaV1<unknown, Input> | undefined
  readonly steps: ReadonlyMap<string, AnyStep>
  step<const Name extends string, Output, const After extends keyof Outputs & string = never>(
    name: Name,
    step: RequestStep<Input, Outputs, After, Output> | CodeStep<Input, Outputs, After, Output>,
  ): Pipeline<Input, Outputs & Record<Name, Output>>
}

export interface PipelineOptions<Input> {
  /** Any Standard Schema; refused input is refused at `submit`, before anything is stored. */
  readonly input?: StandardSchemaV1<unknown, Input>
}

const NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/

/**
 * Starts a pipeline.
 * @throws HoldfastError `invalid_pipeline` for a name that is not a word, a step twice, or `after` a step that is not there.
 */
export function definePipeline<Input = unknown>(name: string, options: PipelineOptions<Input> = {}): Pipeline<Input> {
  checkName('pipeline', name, name)
  return build<Input, Record<never, never>>(name, options.input, new Map())
}

function build<Input, Outputs>(
  name: string,
  inputSchema: StandardSchemaV1<unknown, Input> | undefined,
  steps: ReadonlyMap<string, AnyStep>,
): Pipeline<Input, Outputs> {
  return {
    name,
    inputSchema,
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
      return build(name, inputSchema, new Map(steps).set(stepName, step as AnyStep))
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
