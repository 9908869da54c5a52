/** From a scenario to the pipelines that one simulated process runs. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Answer } from '../../client/call/call.ts'
import { isJsonObject } from '../../core/json.ts'
import {
  type AnyPipeline,
  definePipeline,
  type Method,
  type Pipeline,
  type RequestCompensation,
  type RequestReconciliation,
  type RequestStep,
  type StepContext,
  type UndoContext,
} from '../../engine/pipelines/pipeline.ts'
import type { AcceptedRecord } from '../../engine/step-order.ts'
import { type CodeHooks, codeStep } from './code-step.ts'
import { effectKeyOf, type RecordInput, undoKeyOf } from './record-input.ts'
import type { PipelinePlan, Scenario, StepKind, StepPlan, UndoKind } from './scenario.ts'
import { compensates } from './undoing.ts'

export type { CodeHooks } from './code-step.ts'

type Outputs = Record<string, unknown>
type Context = StepContext<RecordInput, Outputs>
type AnySimulatedStep = RequestStep<RecordInput, Outputs, string, unknown>

/** Requests say in this header which item they work for. */
const ITEM_HEADER = 'x-item'

export function buildPipelines(scenario: Scenario, hooks: CodeHooks): AnyPipeline[] {
  return scenario.pipelines.map((plan) => buildPipeline(scenario.seed, plan, hooks))
}

function buildPipeline(seed: string, plan: PipelinePlan, hooks: CodeHooks): AnyPipeline {
  const onFailure = compensates(plan) ? 'compensate' : 'keep'
  const empty = definePipeline<RecordInput>(plan.name, { onFailure }) as Pipeline<RecordInput, Outputs>
  return plan.steps.reduce<Pipeline<RecordInput, Outputs>>((pipeline, step) => {
    const common = {
      after: step.after,
      optional: step.optional,
      ...orderOf(step),
      ...(step.maxAttempts !== undefined && { maxAttempts: step.maxAttempts }),
      ...(step.maxAgeMs !== undefined && { maxAge: step.maxAgeMs }),
    }
    return isCode(step.kind)
      ? pipeline.step(step.name, { ...codeStep(seed, step, hooks), ...common })
      : pipeline.step(step.name, { ...requestStep(step, step.kind), ...common })
  }, empty)
}

function orderOf({ order }: StepPlan) {
  if (order === undefined) return {}
  // A record without a subject, or a version, becomes a dead letter that says so.
  const by = ({ input }: AcceptedRecord<RecordInput>) => input.subject ?? ''
  if (order !== 'supersede') return { order: { by, afterDeadLetter: order } }
  return { supersede: { by, version: ({ input }: AcceptedRecord<RecordInput>) => input.version ?? Number.NaN } }
}

type CodeKind = Extract<StepKind, `code_${string}`>
type RequestKind = Exclude<StepKind, CodeKind>

function isCode(kind: StepKind): kind is CodeKind {
  return kind.startsWith('code_')
}

const TARGETS: Readonly<Record<RequestKind, readonly [Method, string]>> = {
  read: ['GET', '/lookup/{id}'],
  put: ['PUT', '/things/{id}'],
  delete: ['DELETE', '/things/{id}'],
  post_keyed: ['POST', '/keyed'],
  post_natural: ['POST', '/unique'],
  post_reconciled: ['POST', '/records'],
  post_unsafe: ['POST', '/records'],
  post_operation: ['POST', '/records'],
  batch_put: ['POST', '/batch-things'],
  batch_unsafe: ['POST', '/batch-records'],
  batch_reconciled: ['POST', '/batch-records'],
}

function requestStep(step: StepPlan, kind: RequestKind): AnySimulatedStep {
  const [method, ownPath] = TARGETS[kind]
  const { batch } = step
  const path = batch?.atomic ? `${ownPath}-atomic` : ownPath
  const canLook = kind === 'post_reconciled' || kind === 'post_operation' || kind === 'batch_reconciled'
  return {
    integration: step.api,
    request: {
      method,
      path,
      // Records with headers of their own could not share a call: there the body names the items.
      ...(!batch && { headers: itemHeader }),
      ...(path.includes('{id}') && { params: ({ itemId }) => ({ id: itemId }) }),
      ...((method === 'POST' || method === 'PUT') && { body: (context) => bodyOf(step, context) }),
    },
    ...(batch && {
      batch: {
        size: batch.size,
        linger: batch.lingerMs,
        shape: batch.atomic ? ('all-or-nothing' as const) : ('json-array' as const),
      },
    }),
    ...(kind === 'batch_put' && { idempotency: { kind: 'safe' as const } }),
    // A 204 has no body to check, and all or nothing says nothing of each.
    ...(kind !== 'delete' && !batch?.atomic && { response: ECHO }),
    ...(canLook && { reconcile: lookBy((context) => operationOf(step, context)) }),
    // Whoever undoes it must know what it was.
    ...(step.undo && {
      parse: (_answer: Answer, context: Context) => ({ operation: operationOf(step, context) }),
      compensate: undoRequest(step.name, step.undo),
    }),
    ...(kind === 'post_operation' && { operation: ({ input }) => input.entity }),
  }
}

/** The same ways as any step has; what is undone is named by its output. */
function undoRequest(name: string, undo: UndoKind): RequestCompensation<Undoing> {
  const [method, path] = TARGETS[undo as RequestKind]
  // What `parse` gave, or a look, or a person.
  const keyOf = ({ output }: Undoing) => undoKeyOf((output as { operation: string }).operation)
  return {
    request: {
      method,
      path,
      headers: itemHeader,
      ...(path.includes('{id}') && { params: (context) => ({ id: keyOf(context) }) }),
      ...(method !== 'DELETE' && {
        body: (context) => ({ operation: keyOf(context), item: context.itemId, step: `undo ${name}` }),
      }),
    },
    ...(undo === 'post_reconciled' && { reconcile: lookBy(keyOf) }),
  }
}

type Undoing = UndoContext<RecordInput, Outputs, unknown>

function lookBy<Seen extends Pick<Context, 'itemId'>>(
  operation: (context: Seen) => string,
): RequestReconciliation<Seen, unknown> {
  return {
    request: {
      method: 'GET',
      path: '/records',
      headers: itemHeader,
      query: (context) => ({ operation: operation(context) }),
    },
    match: findRecord,
  }
}

function itemHeader({ itemId }: Pick<Context, 'itemId'>): Record<string, string> {
  return { [ITEM_HEADER]: itemId }
}

function operationOf(step: StepPlan, { input, itemId }: Context): string {
  return effectKeyOf(step, input, itemId)
}

/** Runs that share an operation must send the same, so nothing in it may tell them apart. */
function bodyOf(step: StepPlan, context: Context): unknown {
  const { input, itemId } = context
  const { id, variant, refusedBy, padding } = input
  const content = { step: step.name, ...(refusedBy && { refused: refusedBy }) }
  const operation = operationOf(step, context)
  if (step.kind === 'post_operation') return { operation, ...content, ...(variant !== undefined && { variant }) }
  return { operation, item: itemId, record: id, ...content, ...(padding !== undefined && { padding }) }
}

/** Every good answer with a body names the operation. */
const ECHO: StandardSchemaV1<unknown, { readonly operation: string }> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast-simulator',
    validate: (value) =>
      isJsonObject(value) && typeof value['operation'] === 'string'
        ? { value: { operation: value['operation'] } }
        : { issues: [{ message: 'expected an object with the operation' }] },
  },
}

/** Only a list that is there and empty shows that nothing was done. */
function findRecord({ data }: Answer): unknown {
  const results = isJsonObject(data) ? data['results'] : undefined
  if (!Array.isArray(results)) throw new Error('The answer holds no list of records')
  return results[0]
}
