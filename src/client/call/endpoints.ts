/**
 * Which endpoint a call belongs to. Breakers, timeouts and statistics are kept per endpoint, so their number must stay
 * bounded whatever paths are called: values in a concrete path are replaced by `{id}`.
 */
import { byExactness, type EndpointTemplate, endpointTemplate } from '../../config/endpoint-template.ts'
import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import { defaultIdempotency } from '../../policy/classify/classify.ts'

/** Endpoints that nobody configured, per integration; all further ones share one per method. */
const MAX_UNNAMED_ENDPOINTS = 500
/** Concrete paths remembered with their endpoint, per integration: a memory of recent ones, not a limit. */
const MAX_KNOWN_PATHS = 2000

interface Template extends EndpointTemplate {
  readonly settings: EndpointSettings
}

interface Endpoints {
  readonly templates: readonly Template[]
  readonly unnamed: Map<string, EndpointSettings>
  readonly byPath: Map<string, EndpointSettings>
}

const endpointsOf = new WeakMap<IntegrationSettings, Endpoints>()

/**
 * The settings of the endpoint that `METHOD path` belongs to: the configured template it equals or matches, else the
 * integration's defaults under a normalised name. The same endpoint always gives the same object.
 */
export function resolveEndpoint(
  integration: IntegrationSettings,
  method: string,
  pathOrTemplate: string,
): EndpointSettings {
  let endpoints = endpointsOf.get(integration)
  if (!endpoints) {
    endpoints = { templates: compileTemplates(integration), unnamed: new Map(), byPath: new Map() }
    endpointsOf.set(integration, endpoints)
  }
  const key = `${method} ${pathOrTemplate}`
  const known = endpoints.byPath.get(key)
  if (known) return known
  const settings = findEndpoint(integration, endpoints, method, withoutQuery(pathOrTemplate))
  if (endpoints.byPath.size >= MAX_KNOWN_PATHS) endpoints.byPath.clear()
  endpoints.byPath.set(key, settings)
  return settings
}

function findEndpoint(
  integration: IntegrationSettings,
  endpoints: Endpoints,
  method: string,
  path: string,
): EndpointSettings {
  const name = `${method} ${path}`
  if (Object.hasOwn(integration.endpoints, name)) return integration.endpoints[name] as EndpointSettings
  const template = endpoints.templates.find((candidate) => candidate.method === method && candidate.pattern.test(path))
  // A template of the caller's own keeps its name, and what is known of the endpoints that it stands for.
  if (path.includes('{')) return unnamed(integration, endpoints, method, path, template?.settings)
  if (template?.isFamily) return unnamed(integration, endpoints, method, normalisePath(path), template.settings)
  return template?.settings ?? unnamed(integration, endpoints, method, normalisePath(path))
}

function unnamed(
  integration: IntegrationSettings,
  endpoints: Endpoints,
  method: string,
  path: string,
  known?: EndpointSettings,
): EndpointSettings {
  const full = endpoints.unnamed.size >= MAX_UNNAMED_ENDPOINTS
  const name = `${method} ${full && !endpoints.unnamed.has(`${method} ${path}`) ? '/*' : path}`
  let settings = endpoints.unnamed.get(name)
  if (!settings) {
    const like = known ?? { ...integration.defaults, idempotency: defaultIdempotency(method) }
    settings = { ...like, endpoint: name }
    endpoints.unnamed.set(name, settings)
  }
  return settings
}

function compileTemplates(integration: IntegrationSettings): Template[] {
  const templates = Object.entries(integration.endpoints).map(([name, settings]) => ({
    ...endpointTemplate(name),
    settings,
  }))
  return templates.sort(byExactness)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const NUMBER = /^-?\d+$/
const LONG_HEX = /^(?=.*\d)[0-9a-f]{8,}$/i
/** `cus_NffrFeUfNV2Hib`, `in-7fQ3...`: a short kind, then an id with a digit or a capital in it. */
const PREFIXED_ID = /^[a-z]{1,8}[_-](?=.*[A-Z0-9])[A-Za-z0-9]{6,}$/
/** `2024-01` and `v59.0` name a version of the API, not a record. */
const VERSION = /^(?:v\d{1,3}(?:\.\d{1,3})*|\d{4}-\d{2}(?:-\d{2})?)$/
const MAX_LITERAL_LENGTH = 48

/** A concrete path with everything that looks like a record's name replaced by `{id}`. */
export function normalisePath(path: string): string {
  return path
    .split('/')
    .map((part) => (looksLikeId(part) ? '{id}' : part))
    .join('/')
}

function looksLikeId(part: string): boolean {
  if (part === '' || VERSION.test(part)) return false
  if (NUMBER.test(part) || UUID.test(part) || LONG_HEX.test(part) || PREFIXED_ID.test(part)) return true
  if (part.includes('@') || part.includes('%') || part.length > MAX_LITERAL_LENGTH) return true
  return part.length >= 12 && /\d/.test(part) && !part.includes('-')
}

function withoutQuery(path: string): string {
  const question = path.indexOf('?')
  return question < 0 ? path : path.slice(0, question)
}
