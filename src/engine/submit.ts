/** From records to runs on disk: checked against the schema, fingerprinted, laid out as items. */
import type { Clock } from '../core/clock.ts'
import { configurationError, HoldfastError, isHoldfastError, messageOf } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import { fingerprintOfJson, toJson } from '../core/json.ts'
import type { Random } from '../core/random.ts'
import { validate } from '../core/schema.ts'
import type { Ledger, NewItem, NewRun } from '../ledger/port.ts'
import type { Refused, SubmitOptions, Submitted } from './api.ts'
import type { Catalog, StepPlan } from './catalog.ts'
import type { AnyPipeline } from './pipeline.ts'

export interface SubmitParts {
  readonly catalog: Catalog
  readonly ledger: Pick<Ledger, 'submit'>
  readonly clock: Clock
  readonly random: Random
  readonly maxPayloadBytes: number
}

export interface SubmitRecord {
  readonly input: unknown
  readonly options?: SubmitOptions
}

/**
 * One receipt per record, in order. A record that is refused (schema, size, key conflict) stops no other.
 * @throws HoldfastError only where nothing at all could be stored: `unknown_pipeline`, `store_*`.
 */
export async function submitRecords(
  parts: SubmitParts,
  pipeline: AnyPipeline,
  records: readonly SubmitRecord[],
): Promise<(Submitted | Refused)[]> {
  const plans = parts.catalog.plansOf(pipeline.name)
  const prepared = await Promise.all(records.map((record) => prepare(parts, pipeline, plans, record)))
  const runs = prepared.filter((entry): entry is NewRun => !isHoldfastError(entry))
  const receipts = runs.length > 0 ? await parts.ledger.submit(runs) : []
  let next = 0
  return prepared.map((entry): Submitted | Refused => {
    if (isHoldfastError(entry)) return { ok: false, error: entry }
    const receipt = receipts[next++]
    if (!receipt) throw configurationError('ledger_broken', 'The ledger gave no receipt for a run', 'Report this.')
    if (receipt.outcome === 'conflict') return { ok: false, error: keyConflict(entry, receipt.runId) }
    return { ok: true, runId: receipt.runId, duplicate: receipt.outcome === 'duplicate' }
  })
}

async function prepare(
  parts: SubmitParts,
  pipeline: AnyPipeline,
  plans: readonly StepPlan[],
  record: SubmitRecord,
): Promise<NewRun | HoldfastError> {
  try {
    const value = await checkedInput(pipeline, record.input)
    const input = toJson(value)
    const bytes = Buffer.byteLength(input)
    if (bytes > parts.maxPayloadBytes) return tooLarge(pipeline.name, bytes, parts.maxPayloadBytes)
    return layOut(parts, pipeline, plans, input, fingerprintOfJson(input), record.options ?? {})
  } catch (error) {
    if (isHoldfastError(error)) return error
    return new HoldfastError({
      code: 'invalid_input',
      class: 'validation',
      message: `Pipeline "${pipeline.name}": its input schema failed: ${messageOf(error)}`,
      hint: 'The schema itself threw; fix it.',
      cause: error,
    })
  }
}

async function checkedInput(pipeline: AnyPipeline, input: unknown): Promise<unknown> {
  if (!pipeline.inputSchema) return input
  const result = await validate(pipeline.inputSchema, input)
  if (result.ok) return result.value
  throw new HoldfastError({
    code: 'invalid_input',
    class: 'validation',
    message: `Pipeline "${pipeline.name}" refused the input: ${result.problems.join('; ')}`,
    userMessage: 'The data is not complete or not valid.',
    hint: 'Correct the named fields and submit it again.',
    details: { problems: result.problems },
  })
}

function layOut(
  parts: SubmitParts,
  pipeline: AnyPipeline,
  plans: readonly StepPlan[],
  input: string,
  inputFingerprint: string,
  options: SubmitOptions,
): NewRun {
  const id = newId(parts.clock, parts.random)
  const nowMs = parts.clock.wallMs()
  const tenant = options.tenant ?? 'default'
  return {
    id,
    tenant,
    pipeline: pipeline.name,
    key: options.key ?? id,
    input,
    inputFingerprint,
    labels: options.labels ?? {},
    batch: options.batch ?? 'default',
    correlationId: options.correlationId ?? id,
    createdAtMs: nowMs,
    items: plans.map(
      (plan): NewItem => ({
        step: plan.step,
        lane: plan.laneFor(tenant),
        endpoint: plan.endpointName,
        after: plan.after,
        dueAtMs: nowMs,
        optional: plan.optional,
      }),
    ),
  }
}

function tooLarge(pipeline: string, bytes: number, limitBytes: number): HoldfastError {
  return new HoldfastError({
    code: 'payload_too_large',
    class: 'too_large',
    message: `Pipeline "${pipeline}": the input has ${bytes} bytes, more than the ${limitBytes} allowed`,
    userMessage: 'The data is too large.',
    hint: 'Store the large part elsewhere and pass a reference, or raise `maxPayload` in the configuration.',
    details: { bytes, limitBytes },
  })
}

function keyConflict(run: NewRun, knownRunId: string): HoldfastError {
  return new HoldfastError({
    code: 'key_conflict',
    class: 'conflict',
    message: `Pipeline "${run.pipeline}": key "${run.key}" was already submitted with other data (run ${knownRunId})`,
    userMessage: 'This was already submitted with other data.',
    hint: 'Use a key that changes when the data means another operation, or correct the stored item with a replay.',
    details: { key: run.key, runId: knownRunId },
  })
}
