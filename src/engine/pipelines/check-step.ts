/** Steps written in code are checked like steps written in YAML: a typing slip must not become a silent default. */

import { BATCH_SHAPES } from '../../config/batch-shapes.ts'
import { didYouMean } from '../../config/nearest.ts'
import { parseSize } from '../../config/quantities.ts'
import { durationMs } from '../../core/duration.ts'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { AnyRequestStep, AnyStep } from './pipeline.ts'

const COMMON = [
  'after',
  'optional',
  'maxAge',
  'maxAttempts',
  'backoff',
  'reconcile',
  'compensate',
  'order',
  'supersede',
]
const REQUEST_OPTIONS = new Set([
  ...COMMON,
  'integration',
  'request',
  'response',
  'parse',
  'idempotency',
  'operation',
  'batch',
])
const CODE_COMPENSATION = new Set(['run', 'safe'])
const REQUEST_COMPENSATION = new Set(['request', 'idempotency', 'reconcile'])
const BATCH_OPTIONS = new Set(['size', 'bytes', 'linger', 'shape', 'build', 'split'])
const CODE_OPTIONS = new Set([...COMMON, 'run', 'safe', 'timeout', 'concurrency'])
const BACKOFF_OPTIONS = new Set(['base', 'cap', 'jitter'])
const JITTERS = new Set(['full', 'equal', 'additive', 'decorrelated', 'none'])
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** @throws HoldfastError `invalid_step`, naming the pipeline, the step, the option and what was expected. */
export function checkStep(pipeline: string, step: string, definition: AnyStep): void {
  const refuse = (message: string, hint: string): never => {
    throw configurationError('invalid_step', `Pipeline "${pipeline}", step "${step}": ${message}`, hint, {
      pipeline,
      step,
    })
  }
  const options = definition as unknown as Readonly<Record<string, unknown>>
  checkNames(options, 'run' in definition ? CODE_OPTIONS : REQUEST_OPTIONS, refuse)
  if ('run' in definition) checkFunction(options, 'run', refuse)
  else checkRequest(definition.request, refuse)
  for (const name of ['maxAge', 'timeout']) checkDuration(name, options[name], refuse)
  for (const name of ['maxAttempts', 'concurrency']) checkCount(name, options[name], refuse)
  checkBackoff(options['backoff'], refuse)
  if (!('run' in definition) && definition.reconcile) checkLook(definition.reconcile, refuse)
  checkBatch(options['batch'], refuse)
  checkOrder(options, refuse)
  checkCompensation(options['compensate'], 'run' in definition, refuse)
}

const ORDER_OPTIONS = new Set(['by', 'afterDeadLetter'])
const SUPERSEDE_OPTIONS = new Set(['by', 'version'])

function checkOrder(step: Readonly<Record<string, unknown>>, refuse: Refuse): void {
  const { order, supersede, compensate } = step
  if (order !== undefined && typeof order !== 'function') {
    const { by, afterDeadLetter, ...rest } = optionsOf('order', order, '{ by, afterDeadLetter }', refuse)
    checkNames(rest, ORDER_OPTIONS, refuse)
    checkFunction({ 'order.by': by }, 'order.by', refuse)
    if (afterDeadLetter !== undefined && afterDeadLetter !== 'continue' && afterDeadLetter !== 'hold') {
      refuse(`"order.afterDeadLetter" is ${JSON.stringify(afterDeadLetter)}`, 'Expected "continue" or "hold".')
    }
  }
  if (supersede === undefined) return
  const { by, version, ...rest } = optionsOf('supersede', supersede, '{ by, version }', refuse)
  checkNames(rest, SUPERSEDE_OPTIONS, refuse)
  checkFunction({ 'supersede.by': by }, 'supersede.by', refuse)
  if (version !== undefined) checkFunction({ 'supersede.version': version }, 'supersede.version', refuse)
  if (order !== undefined)
    refuse('it has both "order" and "supersede"', 'Leave out "order": superseding keeps it, too.')
  if (compensate !== undefined) {
    refuse(
      'it has both "supersede" and "compensate"',
      'Undoing an older value would overwrite the newer one that came after it: leave out one of them.',
    )
  }
}

function optionsOf(
  name: string,
  options: unknown,
  expected: string,
  refuse: Refuse,
): Readonly<Record<string, unknown>> {
  if (typeof options === 'object' && options !== null) return options as Readonly<Record<string, unknown>>
  return refuse(`"${name}" is ${JSON.stringify(options)}`, `Expected ${expected}.`)
}

type Refuse = (message: string, hint: string) => never

function checkNames(options: Readonly<Record<string, unknown>>, known: ReadonlySet<string>, refuse: Refuse): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name))
      refuse(`there is no option "${name}"${didYouMean(name, known)}`, `Options: ${[...known].join(', ')}.`)
  }
}

function checkRequest(request: unknown, refuse: Refuse): void {
  const { method, path } = (request ?? {}) as { method?: unknown; path?: unknown }
  if (typeof method !== 'string' || !METHODS.has(method)) {
    refuse(`"request.method" is ${JSON.stringify(method)}`, `Expected one of ${[...METHODS].join(', ')}.`)
  }
  if (typeof path !== 'string' || !path.startsWith('/')) {
    refuse(`"request.path" is ${JSON.stringify(path)}`, 'Expected a path below the base URL, such as "/contacts/{id}".')
  }
}

const LOOK_OPTIONS = new Set(['request', 'match', 'externalId', 'readOnly', 'looks', 'delay'])

/** A look must not have an effect of its own. */
function checkLook(look: NonNullable<AnyRequestStep['reconcile']>, refuse: Refuse): void {
  const options = look as unknown as Readonly<Record<string, unknown>>
  checkNames(options, LOOK_OPTIONS, refuse)
  checkFunction(options, 'match', refuse)
  checkRequest(look.request, refuse)
  checkCount('reconcile.looks', look.looks, refuse)
  checkDuration('reconcile.delay', look.delay, refuse)
  const { method } = look.request
  if (method === 'GET' || method === 'HEAD' || (method === 'POST' && look.readOnly === true)) return
  refuse(
    `"reconcile.request" is a ${method}: a look must change nothing`,
    'Look with GET; for a search that the API takes by POST only, say "readOnly: true".',
  )
}

function checkFunction(options: Readonly<Record<string, unknown>>, name: string, refuse: Refuse): void {
  if (typeof options[name] !== 'function')
    refuse(`"${name}" is not a function`, 'Expected the function that does the work.')
}

function checkDuration(name: string, value: unknown, refuse: Refuse): void {
  if (value === undefined) return
  try {
    durationMs(value as string)
  } catch (error) {
    refuse(`"${name}": ${messageOf(error)}`, 'Write a number with a unit, for example "500ms", "30s" or "15m".')
  }
}

function checkCount(name: string, value: unknown, refuse: Refuse): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) > 0)) return
  refuse(`"${name}" is ${JSON.stringify(value)}`, 'Expected a whole number above zero.')
}

function checkBackoff(backoff: unknown, refuse: Refuse): void {
  if (backoff === undefined) return
  if (typeof backoff !== 'object' || backoff === null) {
    refuse(`"backoff" is ${JSON.stringify(backoff)}`, 'Expected { base, cap, jitter }.')
  }
  const { base, cap, jitter } = backoff as Readonly<Record<string, unknown>>
  checkNames(backoff as Readonly<Record<string, unknown>>, BACKOFF_OPTIONS, refuse)
  checkDuration('backoff.base', base, refuse)
  checkDuration('backoff.cap', cap, refuse)
  if (jitter !== undefined && !JITTERS.has(jitter as string)) {
    refuse(`"backoff.jitter" is ${JSON.stringify(jitter)}`, `Expected one of ${[...JITTERS].join(', ')}.`)
  }
}

function checkBatch(batch: unknown, refuse: Refuse): void {
  if (batch === undefined) return
  if (typeof batch !== 'object' || batch === null) {
    refuse(`"batch" is ${JSON.stringify(batch)}`, 'Expected { size, bytes, linger, shape } or { size, build, split }.')
  }
  const options = batch as Readonly<Record<string, unknown>>
  checkNames(options, BATCH_OPTIONS, refuse)
  if (options['size'] === undefined) refuse('"batch.size" is missing', 'Say how many records one call takes at most.')
  checkCount('batch.size', options['size'], refuse)
  checkDuration('batch.linger', options['linger'], refuse)
  checkBytes(options['bytes'], refuse)
  for (const name of ['build', 'split']) {
    if (options[name] !== undefined && typeof options[name] !== 'function') {
      refuse(`"batch.${name}" is not a function`, 'Expected a function, or a shape instead.')
    }
  }
  checkShape(options['shape'], refuse)
}

function checkBytes(bytes: unknown, refuse: Refuse): void {
  if (typeof bytes !== 'string') {
    checkCount('batch.bytes', bytes, refuse)
    return
  }
  try {
    parseSize(bytes)
  } catch (error) {
    refuse(`"batch.bytes": ${messageOf(error)}`, 'Write a number of bytes, or a size such as "500KB".')
  }
}

function checkShape(shape: unknown, refuse: Refuse): void {
  if (shape === undefined || (typeof shape === 'object' && shape !== null)) return
  const known = Object.keys(BATCH_SHAPES)
  if (typeof shape === 'string' && known.includes(shape)) return
  const near = typeof shape === 'string' ? didYouMean(shape, known) : ''
  refuse(`there is no batch shape ${JSON.stringify(shape)}${near}`, `Shapes: ${known.join(', ')}, or one of your own.`)
}

function checkCompensation(compensate: unknown, isCode: boolean, refuse: Refuse): void {
  if (compensate === undefined) return
  if (typeof compensate !== 'object' || compensate === null) {
    const expected = isCode ? 'Expected { run, safe }.' : 'Expected { request, idempotency, reconcile }.'
    refuse(`"compensate" is ${typeof compensate === 'function' ? 'a function' : JSON.stringify(compensate)}`, expected)
  }
  const options = compensate as Readonly<Record<string, unknown>>
  checkNames(options, isCode ? CODE_COMPENSATION : REQUEST_COMPENSATION, refuse)
  if (isCode) checkFunction(options, 'run', refuse)
  else checkRequest(options['request'], refuse)
}
