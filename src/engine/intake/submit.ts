/** From records to runs on disk: checked against the schema, fingerprinted, laid out as items. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Clock } from '../../core/clock.ts'
import { configurationError, HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import { parseItemId } from '../../core/ids.ts'
import { fingerprintOfJson, sha256Hex, toJson } from '../../core/json.ts'
import { validate } from '../../core/schema.ts'
import type { Payloads } from '../../ledger/payloads/open-payloads.ts'
import { SUBJECT_LABEL } from '../../ledger/payloads/rewrites.ts'
import type { Ledger, NewItem, NewRun, SubmitReceipt } from '../../ledger/port.ts'
import type { Refused, SubmitOptions, Submitted } from '../api.ts'
import type { CallbackDesk, ExpectedEnd } from '../callbacks/desk.ts'
import type { Catalog, StepPlan } from '../pipelines/catalog.ts'
import type { AnyPipeline } from '../pipelines/pipeline.ts'

export interface SubmitParts {
  readonly catalog: Catalog
  readonly ledger: Pick<Ledger, 'submit'>
  readonly clock: Clock
  readonly events: EventBus
  readonly newRunId: () => string
  readonly maxPayloadBytes: number
  readonly subjectHash: Payloads['subjectHash']
  readonly callbacks: CallbackDesk
}

export interface SubmitRecord {
  readonly input: unknown
  readonly options?: SubmitOptions
  /** The JSON text of `input`, where it came as text: stored as it is, unless a schema makes something else of it. */
  readonly text?: string
}

/**
 * One receipt per record, in order. A record that is refused (schema, size, key conflict) stops no other.
 * @throws HoldfastError only where nothing at all could be stored: `unknown_pipeline`, `store_*`.
 */
export async function submitRecords(
  parts: SubmitParts,
  pipeline: AnyPipeline,
  records: readonly SubmitRecord[],
  plans: readonly StepPlan[] = parts.catalog.plansOf(pipeline.name),
): Promise<(Submitted | Refused)[]> {
  const prepared = await prepareRuns(parts, pipeline, records, plans)
  const runs = prepared.filter((entry): entry is NewRun => !isHoldfastError(entry))
  const receipts = runs.length > 0 ? await parts.ledger.submit(runs) : []
  let next = 0
  const submitted = prepared.map((entry): Submitted | Refused => {
    if (isHoldfastError(entry)) return { ok: false, error: entry }
    const receipt = receipts[next++]
    if (!receipt) throw configurationError('ledger_broken', 'The ledger gave no receipt for a run', 'Report this.')
    if (receipt.outcome === 'conflict') return { ok: false, error: keyConflict(entry, receipt.runId) }
    if (receipt.outcome === 'accepted') announce(parts, entry, receipt)
    return { ok: true, runId: receipt.runId, duplicate: receipt.outcome === 'duplicate' }
  })
  // A process that is lost in between has acknowledged nothing: its caller submits again, and then both are there.
  await parts.callbacks.expect(parts.ledger, expectedEnds(records, prepared, submitted))
  return submitted
}

function expectedEnds(
  records: readonly SubmitRecord[],
  prepared: readonly (NewRun | HoldfastError)[],
  submitted: readonly (Submitted | Refused)[],
): ExpectedEnd[] {
  return records.flatMap(({ options }, index) => {
    const [run, receipt] = [prepared[index], submitted[index]]
    if (!options?.callback || !receipt?.ok || !run || isHoldfastError(run)) return []
    const { tenant, correlationId } = run
    return [{ callback: options.callback, runId: receipt.runId, tenant, correlationId }]
  })
}

export function announce(
  { clock, events }: Pick<SubmitParts, 'clock' | 'events'>,
  run: NewRun,
  { superseded }: Extract<SubmitReceipt, { outcome: 'accepted' }>,
): void {
  const { id: runId, pipeline, tenant, key = runId, items } = run
  if (events.wants('run.accepted')) {
    events.emit('run.accepted', clock.wallMs(), { runId, pipeline, tenant, key, items: items.length })
  }
  if (!superseded || !events.wants('item.settled')) return
  for (const { itemId, reason, attempts } of superseded) {
    const { runId: ended = '', step = '' } = parseItemId(itemId) ?? {}
    const { lane = '', endpoint = '' } = items.find((item) => item.step === step) ?? {}
    const ref = { itemId, runId: ended, pipeline, step, tenant, lane, endpoint }
    events.emit('item.settled', clock.wallMs(), { ...ref, state: 'superseded', reason, attempts })
  }
}

/** Where the records of one call go. */
interface Target {
  readonly parts: SubmitParts
  readonly pipeline: AnyPipeline
  readonly nowMs: number
  readonly plans: readonly StepPlan[]
  /** The same for all runs of a tenant. */
  itemsFor(tenant: string): readonly NewItem[]
}

function targetOf(parts: SubmitParts, pipeline: AnyPipeline, plans: readonly StepPlan[]): Target {
  const nowMs = parts.clock.wallMs()
  const byTenant = new Map<string, readonly NewItem[]>()
  return {
    parts,
    pipeline,
    nowMs,
    plans,
    itemsFor(tenant) {
      let items = byTenant.get(tenant)
      if (!items) {
        items = plans.map((plan) => newItem(plan, tenant, nowMs))
        byTenant.set(tenant, items)
      }
      return items
    },
  }
}

function newItem(plan: StepPlan, tenant: string, nowMs: number): NewItem {
  return {
    step: plan.step,
    lane: plan.laneFor(tenant),
    endpoint: plan.endpointName,
    after: plan.after,
    dueAtMs: nowMs,
    optional: plan.optional,
  }
}

/** Who takes whose turn. An item for which that cannot be said takes none: its claim finds the same, and says what is wrong. */
async function withTurns({ plans }: Target, run: NewRun): Promise<NewRun> {
  const { key = run.id, labels, tenant, id: runId } = run
  const record = { input: JSON.parse(run.input) as unknown, key, labels, tenant, runId }
  const turns = await Promise.all(plans.map((plan) => plan.turnOf?.(record).catch(() => undefined)))
  const items = run.items.map((item, index) => {
    const turn = turns[index]
    return turn ? { ...item, turn } : item
  })
  return { ...run, items }
}

/**
 * What is to be stored for each record, or why it cannot be. Without a schema there is nothing to wait for, and a promise per
 * record would cost more than the rest.
 */
export async function prepareRuns(
  parts: SubmitParts,
  pipeline: AnyPipeline,
  records: readonly SubmitRecord[],
  plans: readonly StepPlan[] = parts.catalog.plansOf(pipeline.name),
): Promise<readonly (NewRun | HoldfastError)[]> {
  const target = targetOf(parts, pipeline, plans)
  const schema = pipeline.inputSchema
  const isOrdered = plans.some((plan) => plan.turnOf)
  const prepared = isOrdered
    ? await Promise.all(records.map((record) => prepareInOrder(target, schema, record)))
    : schema
      ? await Promise.all(records.map((record) => check(target, schema, record)))
      : records.map((record) => prepare(target, record.input, record.options, record.text))
  const isAboutSomebody = pipeline.subject || records.some(({ options }) => options?.subject !== undefined)
  if (!isAboutSomebody) return prepared
  return Promise.all(prepared.map((run, index) => withSubject(target, run, records[index]?.options?.subject)))
}

/** With whose data it holds, as a hash; what an expression cannot find, nobody's. */
async function withSubject(
  { parts, pipeline }: Target,
  run: NewRun | HoldfastError,
  given: string | undefined,
): Promise<NewRun | HoldfastError> {
  if (isHoldfastError(run)) return run
  try {
    const subject = given ?? (await pipeline.subject?.(JSON.parse(run.input) as never))
    if ((typeof subject !== 'string' && typeof subject !== 'number') || String(subject).trim() === '') return run
    return { ...run, labels: { ...run.labels, [SUBJECT_LABEL]: await parts.subjectHash(String(subject)) } }
  } catch (error) {
    // Of the store, not of the record.
    if (isHoldfastError(error) && error.code !== 'expression_failed') throw error
    return brokenSubject(pipeline.name, error)
  }
}

async function prepareInOrder(
  target: Target,
  schema: StandardSchemaV1 | undefined,
  record: SubmitRecord,
): Promise<NewRun | HoldfastError> {
  const run = schema ? await check(target, schema, record) : prepare(target, record.input, record.options, record.text)
  return isHoldfastError(run) ? run : withTurns(target, run)
}

async function check(
  target: Target,
  schema: StandardSchemaV1,
  { input, options }: SubmitRecord,
): Promise<NewRun | HoldfastError> {
  const { name } = target.pipeline
  try {
    const result = await validate(schema, input)
    return result.ok ? prepare(target, result.value, options) : refusedInput(name, result.problems)
  } catch (error) {
    return isHoldfastError(error) ? error : brokenSchema(name, error)
  }
}

function prepare(target: Target, value: unknown, options: SubmitOptions = {}, text?: string): NewRun | HoldfastError {
  const { parts, pipeline } = target
  try {
    if (options.callback) parts.callbacks.check(options.callback)
    const input = text ?? toJson(value)
    const bytes = moreThan(parts.maxPayloadBytes, input)
    if (bytes !== undefined) return tooLarge(pipeline.name, bytes, parts.maxPayloadBytes)
    // Text is compared as text: making it canonical would cost more than all the rest.
    const fingerprint = text === undefined ? fingerprintOfJson : sha256Hex
    return layOut(target, input, options, fingerprint)
  } catch (error) {
    if (isHoldfastError(error)) return error
    throw error
  }
}

/** How many bytes a text has, where those are more than the limit. They are only counted where they may be. */
function moreThan(limitBytes: number, text: string): number | undefined {
  if (text.length * MOST_BYTES_PER_UNIT <= limitBytes) return undefined
  const bytes = Buffer.byteLength(text)
  return bytes > limitBytes ? bytes : undefined
}

/** Of UTF-8, for what is one unit of a string. */
const MOST_BYTES_PER_UNIT = 3

function layOut(
  { parts, pipeline, nowMs, itemsFor }: Target,
  input: string,
  options: SubmitOptions,
  fingerprint: (input: string) => string,
): NewRun {
  const id = parts.newRunId()
  const tenant = options.tenant ?? 'default'
  return {
    id,
    tenant,
    pipeline: pipeline.name,
    // Without a key nothing can be its duplicate: then there is nothing to compare.
    ...(options.key !== undefined && { key: options.key, inputFingerprint: fingerprint(input) }),
    input,
    labels: options.labels ?? NO_LABELS,
    batch: options.batch ?? 'default',
    correlationId: options.correlationId ?? id,
    createdAtMs: nowMs,
    items: itemsFor(tenant),
  }
}

const NO_LABELS: Readonly<Record<string, string>> = {}

function refusedInput(pipeline: string, problems: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'invalid_input',
    class: 'validation',
    message: `Pipeline "${pipeline}" refused the input: ${problems.join('; ')}`,
    userMessage: 'The data is not complete or not valid.',
    hint: 'Correct the named fields and submit it again.',
    details: { problems },
  })
}

function brokenSchema(pipeline: string, error: unknown): HoldfastError {
  return new HoldfastError({
    code: 'invalid_input',
    class: 'validation',
    message: `Pipeline "${pipeline}": its input schema failed: ${messageOf(error)}`,
    hint: 'The schema itself threw; fix it.',
    cause: error,
  })
}

function brokenSubject(pipeline: string, error: unknown): HoldfastError {
  return new HoldfastError({
    code: 'invalid_input',
    class: 'validation',
    message: `Pipeline "${pipeline}": whose data it is cannot be told: ${messageOf(error)}`,
    hint: '`subject` of the pipeline failed for this record; without it the record could not be found again to be erased.',
    cause: error,
  })
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
