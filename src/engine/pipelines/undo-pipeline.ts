/**
 * The compensations of a pipeline, as a pipeline of their own: undoing is work like any other, with items, attempts, retries and
 * dead letters that can be seen (R029).
 */
import { configurationError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type {
  AnyCodeStep,
  AnyPipeline,
  AnyRequestStep,
  AnyStep,
  CodeContext,
  RequestReconciliation,
  RequestTemplate,
  StepContext,
  UndoContext,
} from './pipeline.ts'

/** No step or pipeline of a user can have this name: a colon is not part of names. */
export function undoNameOf(pipeline: string): string {
  return `${pipeline}:undo`
}

/** The input of a run that undoes another. */
export interface UndoInput {
  /** The run that is undone. */
  readonly runId: string
  readonly key: string
  /** The step that failed for good. */
  readonly because: string
  readonly input: Json
  /** Of the steps that succeeded. */
  readonly outputs: { readonly [step: string]: Json }
}

/**
 * `undefined` where the pipeline does not ask for it.
 * @throws HoldfastError `invalid_pipeline` where it asks, and no step says how.
 */
export function undoPipelineOf(pipeline: AnyPipeline): AnyPipeline | undefined {
  if (pipeline.onFailure !== 'compensate') return undefined
  const steps = [...pipeline.steps].flatMap(([name, definition]): [string, AnyStep][] => {
    const undo = undoStepOf(name, definition)
    return undo ? [[name, undo]] : []
  })
  if (steps.length === 0) {
    throw configurationError(
      'invalid_pipeline',
      `Pipeline "${pipeline.name}" says onFailure: "compensate", but none of its steps says how to undo it`,
      'Give `compensate` to each step that can be undone, or leave out `onFailure`.',
      { pipeline: pipeline.name },
    )
  }
  return { name: undoNameOf(pipeline.name), inputSchema: undefined, steps: new Map(steps) }
}

function undoStepOf(step: string, definition: AnyStep): AnyStep | undefined {
  if (!definition.compensate) return undefined
  return 'run' in definition ? undoCode(step, definition) : undoRequest(step, definition)
}

function undoCode(step: string, { compensate, timeout, concurrency, backoff }: AnyCodeStep): AnyCodeStep | undefined {
  return (
    compensate && {
      run: (context: CodeContext) => compensate.run(seenByUndo(step, context)),
      safe: compensate.safe ?? false,
      ...(timeout !== undefined && { timeout }),
      ...(concurrency !== undefined && { concurrency }),
      ...(backoff && { backoff }),
    }
  )
}

function undoRequest(step: string, { compensate, integration, backoff }: AnyRequestStep): AnyRequestStep | undefined {
  if (!compensate) return undefined
  const { request, idempotency, reconcile } = compensate
  return {
    integration,
    request: templateFor(step, request as Template<Seen>),
    ...(idempotency && { idempotency }),
    ...(backoff && { backoff }),
    ...(reconcile && { reconcile: reconciliationFor(step, reconcile as RequestReconciliation<Seen, unknown>) }),
  }
}

function reconciliationFor(
  step: string,
  { request, match, externalId, ...patience }: RequestReconciliation<Seen, unknown>,
): RequestReconciliation<StepContext, unknown> {
  return {
    ...patience,
    request: templateFor(step, request),
    match: (answer, context, look) => match(answer, seenByUndo(step, context), look),
    ...(externalId && {
      externalId: (found, context, answer) => externalId(found, seenByUndo(step, context), answer),
    }),
  }
}

// The builder has checked the types of what the user wrote.
type Seen = UndoContext<unknown, unknown, unknown>
type Template<Context> = RequestTemplate<Context>

function templateFor(step: string, template: Template<Seen>): Template<StepContext> {
  const { method, path, params, query, headers, body } = template
  return {
    method,
    path,
    ...(params && { params: (context) => params(seenByUndo(step, context)) }),
    ...(query && { query: (context) => query(seenByUndo(step, context)) }),
    ...(headers && { headers: (context) => headers(seenByUndo(step, context)) }),
    ...(body && { body: (context) => body(seenByUndo(step, context)) }),
  }
}

/** The step's own view of the run that is undone; ids, attempt and key are those of the undoing. */
function seenByUndo(
  step: string,
  context: StepContext | CodeContext,
): UndoContext<never, never, never> & CodeContext<never, never> {
  const { key, input, outputs } = context.input as UndoInput
  return {
    input: input as never,
    outputs: outputs as never,
    output: (outputs[step] ?? null) as never,
    key,
    runId: context.runId,
    itemId: context.itemId,
    tenant: context.tenant,
    labels: context.labels,
    correlationId: context.correlationId,
    attempt: context.attempt,
    idempotencyKey: context.idempotencyKey,
    get signal() {
      return (context as CodeContext).signal
    },
  }
}
