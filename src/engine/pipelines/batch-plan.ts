/** From what a step says about `batch` to what the engine does: every default filled in. */
import { BATCH_SHAPES, type BatchShape } from '../../config/batch-shapes.ts'
import { parseSize } from '../../config/quantities.ts'
import type { EndpointSettings } from '../../config/settings.ts'
import { durationMs } from '../../core/duration.ts'
import { configurationError } from '../../core/errors.ts'
import type { AnyRequestStep, StepBatch, StepContext } from './pipeline.ts'

export interface BatchPlan {
  readonly size: number
  /** Infinity: no limit. */
  readonly bytes: number
  readonly lingerMs: number
  /** `undefined` only where `build` and `split` say all. */
  readonly shape: BatchShape | undefined
  readonly build: StepBatch<StepContext>['build']
  readonly split: StepBatch<StepContext>['split']
}

/** Short beside any call over a network, long beside the time between two records of a stream. */
const DEFAULT_LINGER_MS = 50

/** @throws HoldfastError `invalid_step` */
export function planBatch(
  pipeline: string,
  step: string,
  definition: AnyRequestStep,
  endpoint: EndpointSettings,
): BatchPlan | undefined {
  const written = definition.batch as StepBatch<StepContext> | undefined
  if (!written) return undefined
  const refuse = (message: string, hint: string) =>
    configurationError('invalid_step', `Pipeline "${pipeline}", step "${step}": ${message}`, hint, { pipeline, step })
  const shape = typeof written.shape === 'string' ? BATCH_SHAPES[written.shape] : (written.shape ?? endpoint.batchShape)
  if (!shape && !(written.build && written.split)) {
    throw refuse(
      '"batch" does not say how the API takes and answers several records',
      `Give "shape" (${Object.keys(BATCH_SHAPES).join(', ')}, or one of your own), or "build" and "split".`,
    )
  }
  if (!definition.request.body && !written.build) {
    throw refuse('"request.body" is missing', 'It gives each record as the call has it.')
  }
  if (endpoint.idempotency.kind === 'key') {
    // One header cannot name a hundred operations, and a record that is sent again comes in other company.
    throw refuse(
      `calls of this endpoint carry one idempotency key ("${endpoint.idempotency.header}"), and a batch has many operations`,
      'Put `idempotencyKey` into each record where the API takes it there and set idempotency to { kind: "safe" }, else to { kind: "unsafe" }.',
    )
  }
  return {
    size: written.size,
    bytes: bytesOf(written.bytes),
    lingerMs: written.size === 1 ? 0 : durationMs(written.linger ?? DEFAULT_LINGER_MS),
    shape,
    build: written.build,
    split: written.split,
  }
}

function bytesOf(written: StepBatch<StepContext>['bytes']): number {
  if (written === undefined) return Number.POSITIVE_INFINITY
  return typeof written === 'number' ? written : parseSize(written)
}
