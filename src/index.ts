/** `holdfast`: the library. */

export { BATCH_SHAPES, type BatchShape, type BatchShapeName } from './config/batch-shapes.ts'
export type { ConfigInput, NamedIntegration } from './config/define.ts'
export { defineConfig, defineIntegration } from './config/define.ts'
export type { RequestSigner, RequestToSign } from './config/settings.ts'
export type { Clock, Timer } from './core/clock.ts'
export { type Duration, durationMs, formatDuration } from './core/duration.ts'
export { HoldfastError, isHoldfastError } from './core/errors.ts'
export type { EventCatalogue, EventName, EventOf, EventSource, HoldfastEvent } from './core/events.ts'
export type { Certainty, Failure, FailureClass } from './core/failure.ts'
export type { ItemState } from './core/item-state.ts'
export type { Json } from './core/json.ts'
export type * from './engine/api.ts'
export {
  type BatchMember,
  type CodeCompensation,
  type CodeContext,
  type CodeStep,
  definePipeline,
  type LookFacts,
  type NewestFirst,
  newestFirst,
  type OnFailure,
  type Pipeline,
  type Reconciliation,
  type RecordResult,
  type RequestCompensation,
  type RequestReconciliation,
  type RequestStep,
  type RequestTemplate,
  type StepBatch,
  type StepContext,
  type UndoContext,
} from './engine/pipelines/pipeline.ts'
export type { AcceptedRecord, EntityName, StepOrder, StepSupersede } from './engine/step-order.ts'
export type {
  AuditReport,
  Balance,
  DeadLetterGroup,
  ItemFilter,
  ItemRecord,
  ItemSummary,
  LaneState,
  PageOf,
  RunRecord,
} from './ledger/port.ts'
export { type HoldfastOptions, holdfast } from './system/open.ts'
export { systemClock } from './system/system-clock.ts'
export { type IdempotentOptions, idempotent } from './webhooks/idempotent.ts'
export type { WebhookHandlerOptions, WebhookReceiver } from './webhooks/receiver.ts'
