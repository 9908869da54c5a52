/** Declarative pipelines: from written steps to what the engine runs, every name and expression checked. */
import { durationMs } from '../core/duration.ts'
import { configurationError, HoldfastError, messageOf } from '../core/errors.ts'
import { idempotencySettings } from './integration.ts'
import type {
  ConfiguredAnswer,
  ConfiguredBatch,
  ConfiguredPipeline,
  ConfiguredRequest,
  ConfiguredStep,
} from './loaded.ts'
import { lookupRequest, oursAmongNewest } from './lookup.ts'
import { didYouMean } from './nearest.ts'
import type { Path, Problem } from './problems.ts'
import { parseSize } from './quantities.ts'
import type { WrittenPipeline, WrittenRequest, WrittenStep } from './schema.ts'
import { compileExpression, compileTemplate, type Template, type TemplateScope } from './template.ts'

/** Builds all of them; what is wrong goes into `problems`, and then the result is not to be used. */
export function buildPipelines(
  written: Readonly<Record<string, WrittenPipeline>>,
  integrations: ReadonlySet<string>,
  problems: Problem[],
): ConfiguredPipeline[] {
  return Object.entries(written).map(([name, pipeline]) => {
    const path = ['pipelines', name, 'steps']
    const order = inOrder(pipeline.steps, path, problems)
    const steps = order.map((step): [string, ConfiguredStep] => {
      const definition = pipeline.steps[step] as WrittenStep
      return [step, buildStep(definition, integrations, [...path, step], problems)]
    })
    return {
      name,
      inputSchema: undefined,
      steps: new Map(steps),
      ...(pipeline.onFailure && { onFailure: pipeline.onFailure }),
      ...(pipeline.subject !== undefined && { subject: buildSubject(pipeline.subject, name, problems) }),
    }
  })
}

function buildSubject(text: string, pipeline: string, problems: Problem[]): (input: unknown) => Promise<unknown> {
  const read = compiled(() => compileExpression(text), ['pipelines', pipeline, 'subject'], problems)
  return (input) => read({ input })
}

/** Steps so that each stands after those it needs; people write them in any order. */
function inOrder(steps: Readonly<Record<string, WrittenStep>>, path: Path, problems: Problem[]): string[] {
  const ordered = new Set<string>()
  const names = new Set(Object.keys(steps))

  function visit(name: string, above: readonly string[]): void {
    if (ordered.has(name)) return
    if (above.includes(name)) {
      const circle = [...above.slice(above.indexOf(name)), name].join(' -> ')
      problems.push({ path: [...path, name, 'after'], message: `the steps wait for each other: ${circle}` })
      return
    }
    for (const [index, needed] of (steps[name]?.after ?? []).entries()) {
      if (names.has(needed)) visit(needed, [...above, name])
      else {
        const message = `there is no step "${needed}" in this pipeline${didYouMean(needed, names)}`
        problems.push({ path: [...path, name, 'after', index], message })
      }
    }
    ordered.add(name)
  }

  for (const name of names) visit(name, [])
  return [...ordered]
}

function buildStep(
  step: WrittenStep,
  integrations: ReadonlySet<string>,
  path: Path,
  problems: Problem[],
): ConfiguredStep {
  if (!integrations.has(step.integration)) {
    const near = didYouMean(step.integration, integrations)
    const message = `there is no integration "${step.integration}"${near || knownNames(integrations)}`
    problems.push({ path: [...path, 'integration'], message })
  }
  return {
    integration: step.integration,
    request: buildRequest(step.request, [...path, 'request'], problems),
    after: [...new Set(step.after ?? [])],
    optional: step.optional ?? false,
    ...(step.idempotency && { idempotency: idempotencySettings(step.idempotency) }),
    ...(step.maxAttempts !== undefined && { maxAttempts: step.maxAttempts }),
    ...(step.maxAge !== undefined && { maxAge: durationMs(step.maxAge) }),
    ...(step.reconcile && { reconcile: buildReconcile(step.reconcile, [...path, 'reconcile'], problems) }),
    ...(step.operation !== undefined && { operation: buildOperation(step.operation, path, problems) }),
    ...(step.order !== undefined && { order: buildOrder(step.order, [...path, 'order'], problems) }),
    ...(step.supersede && { supersede: buildSupersede(step, [...path, 'supersede'], problems) }),
    ...(step.compensate && { compensate: buildCompensation(step.compensate, [...path, 'compensate'], problems) }),
    ...(step.batch && { batch: buildBatch(step.batch) }),
    ...(step.output !== undefined && { parse: buildReader(step.output, [...path, 'output'], problems) }),
  }
}

function buildOrder(
  written: NonNullable<WrittenStep['order']>,
  path: Path,
  problems: Problem[],
): NonNullable<ConfiguredStep['order']> {
  if (typeof written === 'string') return { by: buildRecordReader(written, path, problems) }
  const { by, afterDeadLetter } = written
  return { by: buildRecordReader(by, [...path, 'by'], problems), ...(afterDeadLetter && { afterDeadLetter }) }
}

function buildSupersede(
  { supersede, order, compensate }: WrittenStep,
  path: Path,
  problems: Problem[],
): NonNullable<ConfiguredStep['supersede']> {
  if (order !== undefined) problems.push({ path, message: 'keeps an order by itself; leave out "order"' })
  if (compensate) {
    const message = 'undoing an older value would overwrite the newer one; leave out "compensate" or "supersede"'
    problems.push({ path, message })
  }
  const { by = '', version } = supersede ?? {}
  return {
    by: buildRecordReader(by, [...path, 'by'], problems),
    ...(version !== undefined && { version: buildRecordReader(version, [...path, 'version'], problems) }),
  }
}

/** Over a record as it is accepted: what steps give is not known then. */
function buildRecordReader(text: string, path: Path, problems: Problem[]) {
  if (USES_OUTPUTS.test(text)) {
    const message = 'is decided when a record is accepted: "outputs" of steps are not known then; use "input"'
    problems.push({ path, message })
  }
  const read = compiled(() => compileExpression(text), path, problems)
  return (record: object) => {
    const { input, key, labels, tenant, runId } = record as TemplateScope
    // What it may give is checked where it is used, for steps in code give such values too.
    return read({ input, key, labels, tenant, runId }) as Promise<string | number>
  }
}

const USES_OUTPUTS = /(?<![\w.$])outputs\b/

function buildCompensation(
  { request, idempotency }: NonNullable<WrittenStep['compensate']>,
  path: Path,
  problems: Problem[],
): NonNullable<ConfiguredStep['compensate']> {
  return {
    request: buildRequest(request, [...path, 'request'], problems),
    ...(idempotency && { idempotency: idempotencySettings(idempotency) }),
  }
}

function buildBatch({ size, bytes, linger, shape }: NonNullable<WrittenStep['batch']>): ConfiguredBatch {
  return {
    size,
    ...(bytes !== undefined && { bytes: parseSize(bytes) }),
    ...(linger !== undefined && { linger: durationMs(linger) }),
    ...(shape !== undefined && { shape }),
  }
}

function knownNames(names: ReadonlySet<string>): string {
  return names.size > 0 ? `; there are: ${[...names].join(', ')}` : '; none is defined'
}

type WrittenReconcile = NonNullable<WrittenStep['reconcile']>
type ConfiguredReconcile = NonNullable<ConfiguredStep['reconcile']>

function buildReconcile(written: WrittenReconcile, path: Path, problems: Problem[]): ConfiguredReconcile {
  const { get, request = lookupRequest(get ?? '/'), externalId, newestFirst } = written
  const find = buildReader(written.found, [...path, 'found'], problems)
  const ours = newestFirst && buildNewest(newestFirst, [...path, 'newestFirst'], problems)
  return {
    request: buildRequest(request, [...path, get === undefined ? 'request' : 'get'], problems),
    async match(answer, context, look) {
      const found = await find(answer, context)
      if (ours) return ours(found, answer, context, look.firstTriedAtMs)
      if (found === null || found === false || (Array.isArray(found) && found.length === 0)) return undefined
      refuseWholeForPart(found, answer, written.found)
      return found
    },
    ...(externalId !== undefined && { externalId: buildExternalId(externalId, [...path, 'externalId'], problems) }),
    ...(written.readOnly && { readOnly: true as const }),
    ...(written.looks !== undefined && { looks: written.looks }),
    ...(written.delay !== undefined && { delay: durationMs(written.delay) }),
  }
}

const USUAL_CLOCK_DIFFERENCE = '5m'

function buildNewest(written: NonNullable<WrittenReconcile['newestFirst']>, path: Path, problems: Problem[]) {
  const list = buildReader(written.records, [...path, 'records'], problems)
  const createdAt = compiled(() => compileExpression(written.createdAt), [...path, 'createdAt'], problems)
  const withinMs = durationMs(written.within ?? USUAL_CLOCK_DIFFERENCE)
  return async (found: unknown, answer: ConfiguredAnswer, context: object, firstTriedAtMs: number) => {
    const records = listOf(await list(answer, context))
    const times = new Map<unknown, unknown>()
    const candidates = listOf(found)
    for (const record of [...records, ...candidates]) times.set(record, await createdAt({ record }))
    const { size } = written
    return oursAmongNewest({
      records,
      candidates,
      createdAt: (record) => times.get(record),
      firstTriedAtMs,
      withinMs,
      size,
    })
  }
}

/** JSONata gives one for a list of one, and nothing for an empty list. */
function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return value === undefined || value === null || value === false ? [] : [value]
}

function buildExternalId(text: string, path: Path, problems: Problem[]) {
  const read = compiled(() => compileExpression(text), path, problems)
  return async (found: unknown, context: object, answer: ConfiguredAnswer) => {
    const id = await read({ ...scopeOf(context), answer, found })
    return typeof id === 'string' || typeof id === 'number' ? String(id) : undefined
  }
}

/**
 * JSONata takes one object for a list of one: `answer.data[0]` over `{ "results": [] }` is the whole body, and an effect that
 * is not there would count as found. Better a failed look, which ends with a person, than a record that nobody sends.
 */
function refuseWholeForPart(found: unknown, answer: ConfiguredAnswer, expression: string): void {
  if (found !== answer.data || Array.isArray(found) || !expression.includes('[')) return
  throw new HoldfastError({
    code: 'reconcile_unclear',
    class: 'malformed_response',
    message: `"found" (${expression}) asks for a part of a list, but the answer is no list, and all of it came back`,
    hint: 'Name the list inside the answer, for example "{{ answer.data.results[email = $$.input.email][0] }}".',
  })
}

function buildReader(text: string, path: Path, problems: Problem[]): NonNullable<ConfiguredStep['parse']> {
  const read = compiled(() => compileExpression(text), path, problems)
  return (answer, context) => read({ ...scopeOf(context), answer })
}

function buildOperation(text: string, path: Path, problems: Problem[]): NonNullable<ConfiguredStep['operation']> {
  const name = compiled(() => compileExpression(text), [...path, 'operation'], problems)
  return async (context) => {
    const value = await name(scopeOf(context))
    if ((typeof value === 'string' && value !== '') || typeof value === 'number') return String(value)
    throw new HoldfastError({
      code: 'operation_without_name',
      class: 'validation',
      message: `"operation" (${text}) gave no name for this record`,
      hint: 'It must give a text or a number that names the operation; correct the record, or change the pipeline.',
    })
  }
}

function buildRequest(written: WrittenRequest, path: Path, problems: Problem[]): ConfiguredRequest {
  checkParameters(written, path, problems)
  const part = <Filled>(name: 'params' | 'query' | 'headers' | 'body') => {
    if (written[name] === undefined) return {}
    const fill = compiled(() => compileTemplate(written[name]), [...path, name], problems)
    return { [name]: (context: object) => fill(scopeOf(context)) as Promise<Filled> }
  }
  return {
    method: written.method,
    path: written.path,
    ...part<Record<string, string | number>>('params'),
    ...part<Record<string, string | number | boolean>>('query'),
    ...part<Record<string, string>>('headers'),
    ...part<unknown>('body'),
  }
}

/** Every `{name}` of the path needs a value, and every value a place. */
function checkParameters(written: WrittenRequest, path: Path, problems: Problem[]): void {
  if (written.path.includes('{{')) {
    const message = 'expressions cannot stand in a path; write "{name}" here and its value in "params"'
    problems.push({ path: [...path, 'path'], message })
    return
  }
  const inPath = new Set([...written.path.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] as string))
  const given = new Set(Object.keys(written.params ?? {}))
  for (const name of inPath.difference(given)) {
    problems.push({ path: [...path, 'params'], message: `"{${name}}" of the path has no value here` })
  }
  for (const name of given.difference(inPath)) {
    const message = `the path has no "{${name}}"${didYouMean(name, inPath)}`
    problems.push({ path: [...path, 'params', name], message })
  }
}

function compiled(compile: () => Template, path: Path, problems: Problem[]): Template {
  try {
    return compile()
  } catch (error) {
    problems.push({ path, message: messageOf(error) })
    return async () => {
      throw configurationError('invalid_config', 'This pipeline has problems', 'See the problems of the configuration.')
    }
  }
}

/** Getters become values: expressions see plain data. */
function scopeOf(context: object): TemplateScope {
  const { input, outputs, output, key, labels, tenant, runId, idempotencyKey, correlationId } = context as TemplateScope
  const scope = { input, outputs, key, labels, tenant, runId, idempotencyKey, correlationId }
  return output === undefined ? scope : { ...scope, output }
}
