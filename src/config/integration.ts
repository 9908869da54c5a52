/** From one written integration to its settings: built-in < preset < integration < endpoint, all in milliseconds and bytes. */
import { durationMs, formatDuration } from '../core/duration.ts'
import { BUILT_IN, PRESETS } from './presets.ts'
import type { Path, Problem } from './problems.ts'
import { parseRate, parseSize } from './quantities.ts'
import type { WrittenEndpoint, WrittenIdempotency, WrittenIntegration } from './schema.ts'
import type {
  BreakerSettings,
  EndpointSettings,
  ErrorRule,
  IdempotencySettings,
  IntegrationSettings,
  RetrySettings,
  TimeoutSettings,
} from './settings.ts'

type EndpointPolicies = Pick<WrittenEndpoint, 'timeouts' | 'retry' | 'breaker' | 'maxResponse' | 'eventuallyConsistent'>

/** Where error bodies usually say it, most telling first (facts.md, section 2). A dot goes down; numbers are list places. */
export const USUAL_ERROR_PATHS: IntegrationSettings['errorPaths'] = {
  code: ['error.code', 'error.type', 'errors.0.code', '0.errorCode', 'errorCode', 'code', 'error', 'category'],
  message: [
    'error.message',
    'errors.0.message',
    'errors.0.detail',
    '0.message',
    'message',
    'detail',
    'error_description',
    'title',
    'error',
  ],
  field: [
    'error.param',
    'error.field',
    'errors.0.field',
    'errors.0.source.pointer',
    'fields.0.field',
    '0.fields.0',
    'field',
    'param',
  ],
}

/** How long an API knows a key, where nothing is said (R086). */
const USUAL_KEY_LIFETIME_MS = 86_400_000

/** Methods whose repetition is safe by HTTP's own definition (R096; RFC 9110, section 9.2.2). */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Settings that contradict each other go into `problems`. */
export function integrationSettings(
  name: string,
  written: WrittenIntegration,
  problems: Problem[],
): IntegrationSettings {
  const path = ['integrations', name]
  const preset = PRESETS[written.preset ?? 'default']
  const limits = { ...BUILT_IN.limits, ...merged([preset.limits, written.limits]) }
  const retryBudget = { ...BUILT_IN.retryBudget, ...merged([preset.retryBudget, written.retryBudget]) }
  const layers = [BUILT_IN, preset, written]
  const endpoints = Object.entries(written.endpoints ?? {}).map(([endpoint, settings]): [string, EndpointSettings] => {
    const policies = endpointPolicies([...layers, settings], [...path, 'endpoints', endpoint], problems)
    const idempotency = settings.idempotency ?? usualIdempotency(endpoint)
    return [endpoint, { endpoint, ...policies, idempotency: idempotencySettings(idempotency) }]
  })
  return {
    name,
    baseUrl: written.baseUrl.replace(/\/+$/, ''),
    auth: written.auth ?? { type: 'none' },
    credential: written.credential ?? 'default',
    headers: written.headers ?? {},
    limits: {
      concurrency: limits.concurrency,
      ...(limits.rate && { rate: parseRate(limits.rate) }),
      ...(limits.quota && { quota: parseRate(limits.quota) }),
    },
    retryBudget,
    errorPaths: {
      code: pathList(written.errorPaths?.code) ?? USUAL_ERROR_PATHS.code,
      message: pathList(written.errorPaths?.message) ?? USUAL_ERROR_PATHS.message,
      field: pathList(written.errorPaths?.field) ?? USUAL_ERROR_PATHS.field,
    },
    errors: (written.errors ?? []) as readonly ErrorRule[],
    redact: written.redact ?? [],
    defaults: endpointPolicies(layers, path, problems),
    endpoints: Object.fromEntries(endpoints),
  }
}

export function idempotencySettings(written: WrittenIdempotency): IdempotencySettings {
  if (typeof written === 'string') return { kind: written }
  if ('natural' in written) return { kind: 'natural', field: written.natural }
  const lifetimeMs = written.lifetime === undefined ? USUAL_KEY_LIFETIME_MS : durationMs(written.lifetime)
  return { kind: 'key', header: written.key, lifetimeMs, ...(written.quoted && { quoted: true }) }
}

function usualIdempotency(endpoint: string): WrittenIdempotency {
  const [method = ''] = endpoint.split(' ')
  return SAFE_METHODS.has(method) ? 'safe' : 'unsafe'
}

function endpointPolicies(
  layers: readonly EndpointPolicies[],
  path: Path,
  problems: Problem[],
): IntegrationSettings['defaults'] {
  const retry = retrySettings(layers)
  const breaker = breakerSettings(layers)
  problems.push(...contradictions(retry, breaker, path))
  const maxResponse = layers.findLast((layer) => layer.maxResponse !== undefined)?.maxResponse ?? BUILT_IN.maxResponse
  const late = merged(layers.map((layer) => layer.eventuallyConsistent))
  return {
    timeouts: timeoutSettings(layers),
    retry,
    breaker,
    maxResponseBytes: parseSize(maxResponse),
    ...(late && { eventuallyConsistent: { retries: late.retries ?? 3, delayMs: durationMs(late.delay ?? '2s') } }),
  }
}

function timeoutSettings(layers: readonly EndpointPolicies[]): TimeoutSettings {
  const timeouts = { ...BUILT_IN.timeouts, ...merged(layers.map((layer) => layer.timeouts)) }
  return {
    connectMs: durationMs(timeouts.connect),
    headersMs: durationMs(timeouts.headers),
    bodyMs: durationMs(timeouts.body),
    totalMs: durationMs(timeouts.total),
  }
}

function retrySettings(layers: readonly EndpointPolicies[]): RetrySettings {
  const retry = { ...BUILT_IN.retry, ...merged(layers.map((layer) => layer.retry)) }
  const slowLane = { ...BUILT_IN.retry.slowLane, ...merged(layers.map((layer) => layer.retry?.slowLane)) }
  return {
    baseMs: durationMs(retry.base),
    capMs: durationMs(retry.cap),
    jitter: retry.jitter,
    maxAttempts: retry.maxAttempts,
    maxAgeMs: durationMs(retry.maxAge),
    inlineMs: durationMs(retry.inline),
    slowLane: { maxTries: slowLane.maxTries, spanMs: durationMs(slowLane.span) },
  }
}

function breakerSettings(layers: readonly EndpointPolicies[]): BreakerSettings {
  const breaker = { ...BUILT_IN.breaker, ...merged(layers.map((layer) => layer.breaker)) }
  return {
    failureRate: breaker.failureRate,
    windowCalls: breaker.windowCalls,
    windowMs: durationMs(breaker.window),
    minimumCalls: breaker.minimumCalls,
    consecutiveFailures: breaker.consecutiveFailures,
    openMs: durationMs(breaker.open),
    maxOpenMs: durationMs(breaker.maxOpen),
    probes: breaker.probes,
    probeLeaseMs: durationMs(breaker.probeLease),
    rampShares: breaker.rampShares,
    rampStepMs: durationMs(breaker.rampStep),
  }
}

/** Values that are fine alone and make no sense together: a policy that could never act. */
function contradictions(retry: RetrySettings, breaker: BreakerSettings, path: Path): Problem[] {
  const found: Problem[] = []
  if (retry.baseMs > retry.capMs) {
    const message = `base (${formatDuration(retry.baseMs)}) is longer than cap (${formatDuration(retry.capMs)})`
    found.push({ path: [...path, 'retry'], message })
  }
  if (breaker.minimumCalls > breaker.windowCalls) {
    const message = `minimumCalls (${breaker.minimumCalls}) is more than windowCalls (${breaker.windowCalls}): the rate could never open it`
    found.push({ path: [...path, 'breaker'], message })
  }
  if (breaker.openMs > breaker.maxOpenMs) {
    const message = `open (${formatDuration(breaker.openMs)}) is longer than maxOpen (${formatDuration(breaker.maxOpenMs)})`
    found.push({ path: [...path, 'breaker'], message })
  }
  return found
}

/** Later layers win, key by key; `undefined` says nothing. */
function merged<Section extends object>(sections: readonly (Section | undefined)[]): Defined<Section> | undefined {
  const present = sections.filter((section) => section !== undefined)
  if (present.length === 0) return undefined
  return Object.assign({}, ...present.map(definedOnly)) as Defined<Section>
}

type Defined<Section> = { [Key in keyof Section]: Exclude<Section[Key], undefined> }

function definedOnly<Section extends object>(section: Section | undefined): Defined<Section> {
  const entries = Object.entries(section ?? {}).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Defined<Section>
}

function pathList(written: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof written === 'string' ? [written] : written
}
