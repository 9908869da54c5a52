/**
 * From one written integration to its settings: built-in < preset of the profile < profile < preset <
 * integration < endpoint, all in milliseconds and bytes.
 */
import { durationMs, formatDuration } from '../core/duration.ts'
import { authSettings } from './auth.ts'
import { BATCH_SHAPES } from './batch-shapes.ts'
import { limitSettings } from './limits.ts'
import { BUILT_IN, PRESETS } from './presets.ts'
import type { Path, Problem } from './problems.ts'
import type { Profile } from './profile.ts'
import { endpointNames, errorRules, mergedHeaders, profileEndpoint, profileOf } from './profile-apply.ts'
import { parseSize } from './quantities.ts'
import type { WrittenEndpoint, WrittenIdempotency, WrittenIntegration } from './schema.ts'
import type {
  BreakerSettings,
  EndpointSettings,
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

/** Settings that contradict each other go into `problems`. `profiles`: those that `profile` may name. */
export function integrationSettings(
  name: string,
  written: WrittenIntegration,
  problems: Problem[],
  profiles: readonly Profile[] = [],
): IntegrationSettings {
  const path = ['integrations', name]
  const profile = profileOf(written, profiles, path, problems)
  const preset = PRESETS[written.preset ?? 'default']
  const vendorPreset = PRESETS[profile?.preset ?? 'default']
  const limits = {
    ...BUILT_IN.limits,
    ...merged([vendorPreset.limits, profile?.limits?.values, preset.limits, written.limits]),
  }
  const retryBudget = {
    ...BUILT_IN.retryBudget,
    ...merged([vendorPreset.retryBudget, preset.retryBudget, written.retryBudget]),
  }
  const layers: Layers = {
    vendor: [BUILT_IN, vendorPreset, { timeouts: profile?.timeouts }],
    own: [preset, written],
  }
  return {
    name,
    ...(profile && { profile: profile.name }),
    baseUrl: baseUrlOf(written, profile, path, problems),
    auth: authSettings(written.auth, [...path, 'auth'], problems),
    credential: written.credential ?? 'default',
    headers: mergedHeaders(profile?.headers, written.headers),
    limits: limitSettings(limits, [...path, 'limits'], problems),
    rateLimits: [...(written.rateLimits ?? []), ...(profile?.rateLimits ?? [])],
    retryBudget,
    errorPaths: {
      code: pathsOf('code', written, profile),
      message: pathsOf('message', written, profile),
      field: pathsOf('field', written, profile),
    },
    errors: errorRules(name, written.errors ?? [], profile, path, problems),
    redact: [...(profile?.redact ?? []), ...(written.redact ?? [])],
    defaults: endpointPolicies([...layers.vendor, ...layers.own], path, problems),
    endpoints: endpointsOf(written, profile, layers, [...path, 'endpoints'], problems),
  }
}

/** What a single endpoint of the profile says stands between the two: whatever the integration says goes before it. */
interface Layers {
  readonly vendor: readonly EndpointPolicies[]
  readonly own: readonly EndpointPolicies[]
}

function endpointsOf(
  written: WrittenIntegration,
  profile: Profile | undefined,
  { vendor, own }: Layers,
  path: Path,
  problems: Problem[],
): Record<string, EndpointSettings> {
  const endpoints = endpointNames(written, profile).map((endpoint): [string, EndpointSettings] => {
    const [settings = {}, known = {}] = [written.endpoints?.[endpoint], profileEndpoint(profile, endpoint)]
    const policies = endpointPolicies([...vendor, known, ...own, settings], [...path, endpoint], problems)
    const idempotency = idempotencySettings(settings.idempotency ?? known.idempotency ?? usualIdempotency(endpoint))
    const { batchShape: shape } = known
    const batchShape = typeof shape === 'string' ? BATCH_SHAPES[shape] : shape
    return [endpoint, { endpoint, ...policies, idempotency, ...(batchShape && { batchShape }) }]
  })
  return Object.fromEntries(endpoints)
}

function baseUrlOf(written: WrittenIntegration, profile: Profile | undefined, path: Path, problems: Problem[]): string {
  const baseUrl = written.baseUrl ?? profile?.baseUrl
  if (baseUrl === undefined) {
    const why = profile ? `: ${profile.title} has no one address for everybody` : ''
    const message = `is missing: expected the base URL of the API, such as "https://api.example.com"${why}`
    problems.push({ path: [...path, 'baseUrl'], message })
  }
  return (baseUrl ?? '').replace(/\/+$/, '')
}

/** Those of the integration are asked first, and the profile's rules still find their codes. */
function pathsOf(
  what: keyof IntegrationSettings['errorPaths'],
  written: WrittenIntegration,
  profile: Profile | undefined,
): readonly string[] {
  const paths = [...(pathList(written.errorPaths?.[what]) ?? []), ...(profile?.errorPaths?.[what] ?? [])]
  return paths.length > 0 ? paths : USUAL_ERROR_PATHS[what]
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
