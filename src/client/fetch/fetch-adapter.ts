import type { EndpointSettings, IdempotencySettings, IntegrationSettings } from '../../config/settings.ts'
import { configurationError, HoldfastError } from '../../core/errors.ts'
import type { InlineParts } from '../attempt/persistence.ts'
import { eitherSignal } from '../attempt/waiting.ts'
import { DEFAULT_TENANT, laneName, type OutboundCall } from '../call/call.ts'
import { type Address, addressOf, keyAsSent, traceIdOf } from '../call/outgoing.ts'
import { resolveEndpoint } from '../call/request.ts'
import { headerOf } from '../credentials/place.ts'
import type { ClientOptions } from '../inline/client-types.ts'
import { redirected, redirectTarget } from './fetch-redirect.ts'
import { toResponse } from './fetch-response.ts'
import { prebuffer } from './prebuffer.ts'
import { type StreamedEnd, sendStreaming } from './streaming-attempt.ts'

/** Request bodies up to this size can be sent again; larger ones, and streams, are sent once. */
const REPLAYABLE_BODY_BYTES = 8 * 1024 * 1024
const IDEMPOTENCY_HEADER = 'idempotency-key'
const KEY_LIFETIME_MS = 24 * 3_600_000
/** Ours to say, or the connection's: a caller's copy of them would contradict what is sent. */
const NOT_FORWARDED = ['host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect', 'content-length']

/**
 * A drop-in `fetch` for SDKs that take one. Exactly the WHATWG signature; a real, streaming `Response`. Beneath it: breakers,
 * gates, limits, timeouts, and retries where they are safe (a safe method, or an idempotency key in the headers).
 *
 * As `fetch` does, it returns the last HTTP error as a Response, throws `TypeError('fetch failed')` with the HoldfastError as
 * `cause` for the network and for what holds the call, and the signal's reason on abort; a body that breaks off is
 * `TypeError('terminated')`. Unlike `fetch`, it hands redirects to another origin over instead of following them, and takes an
 * HTML page where only JSON was asked for as a failure. Error answers carry `x-should-retry: false` and
 * `stripe-should-retry: false`: SDKs that know them do not multiply the retries made here (see nested-retries.ts).
 * @throws HoldfastError `foreign_origin` for a URL that is not the integration's.
 */
export function createFetch(
  parts: InlineParts,
  integration: IntegrationSettings,
  options: ClientOptions = {},
): typeof globalThis.fetch {
  return async function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init)
    const url = new URL(request.url)
    const address = addressOf(integration)
    if (url.origin !== address.origin) throw foreignOrigin(integration, url.origin)
    const ownSignal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
    const signal = eitherSignal(options.signal, ownSignal ?? undefined)
    signal?.throwIfAborted()
    const body = await bodyOf(request, init?.body, signal)
    const call = callOf(parts, integration, options, request, url, body, signal)
    return exchange(parts, options, { call, request, url, redirects: 0 })
  }
}

/** What can be sent again is text or bytes; the rest is a stream. */
async function bodyOf(
  request: Request,
  given: RequestInit['body'],
  signal: AbortSignal | undefined,
): Promise<OutboundCall['body']> {
  if (typeof given === 'string') return given
  if (!request.body) return undefined
  if (typeof given === 'object' && given !== null && Symbol.asyncIterator in given) return request.body
  try {
    const { bytes, rest } = await prebuffer(request.body, REPLAYABLE_BODY_BYTES, signal)
    return rest ?? bytes
  } catch (cause) {
    signal?.throwIfAborted()
    throw new TypeError('fetch failed', { cause })
  }
}

function callOf(
  parts: InlineParts,
  integration: IntegrationSettings,
  options: ClientOptions,
  request: Request,
  url: URL,
  body: OutboundCall['body'],
  signal: AbortSignal | undefined,
): OutboundCall {
  const address = addressOf(integration)
  const tenant = options.tenant ?? DEFAULT_TENANT
  const { method } = request
  const endpoint = resolveEndpoint(integration, method, pathBelow(address, url.pathname))
  const { headers, idempotency, ownCredential } = outgoingHeaders(parts, integration, request, endpoint)
  const correlationId = headers['x-correlation-id'] ?? parts.newId()
  const traceId = traceIdOf(headers['traceparent']) ?? correlationId.replaceAll('-', '')
  return {
    integration,
    endpoint: { ...endpoint, idempotency },
    lane: laneName(integration.name, integration.credential, tenant),
    tenant,
    method,
    path: url.pathname + url.search,
    headers: { ...headers, 'x-correlation-id': correlationId },
    body,
    responseSchema: undefined,
    expects: 'any',
    idempotencyKey: idempotency.kind === 'key' ? headers[idempotency.header.toLowerCase()] : undefined,
    correlationId,
    traceId,
    itemId: undefined,
    attempt: 1,
    signal,
    ownCredential,
  }
}

/** The caller's headers win; ours fill in what is missing. Authentication only where the caller brings none. */
function outgoingHeaders(
  parts: InlineParts,
  integration: IntegrationSettings,
  request: Request,
  { idempotency }: EndpointSettings,
): { headers: Record<string, string>; idempotency: IdempotencySettings; ownCredential: boolean } {
  const own = Object.fromEntries(request.headers)
  for (const name of NOT_FORWARDED) delete own[name]
  const address = addressOf(integration)
  const ownCredential = own['authorization'] !== undefined || own[headerOf(integration.auth) ?? ''] !== undefined
  const ours = own['authorization'] === undefined ? address.allHeaders : address.headers
  const headers: Record<string, string> = { ...ours, accept: '*/*', ...own }
  const keyHeader = idempotency.kind === 'key' ? idempotency.header.toLowerCase() : IDEMPOTENCY_HEADER
  if (idempotency.kind === 'key') headers[keyHeader] ??= keyAsSent(idempotency, parts.newId())
  if (headers[keyHeader] === undefined) return { headers, idempotency, ownCredential }
  const byKey = { kind: 'key', header: keyHeader, lifetimeMs: KEY_LIFETIME_MS } as const
  return { headers, idempotency: byKey, ownCredential }
}

/** One request of a chain of redirects. */
interface Hop {
  readonly call: OutboundCall
  readonly request: Request
  readonly url: URL
  readonly redirects: number
}

async function exchange(parts: InlineParts, options: ClientOptions, hop: Hop): Promise<Response> {
  const { request, url, redirects } = hop
  const { call, answer, error } = await send(parts, hop.call, ownKeyOf(hop))
  const isFinal = error !== undefined || answer.status >= 400
  const target = await redirectTarget(answer, hop)
  if (!target) return toResponse(call, answer, { url, redirected: redirects > 0, isFinal })
  const { integration, signal } = call
  const next = redirected(call, request, answer.status, target)
  const nextCall = callOf(parts, integration, options, next.request, target, next.body, signal)
  return exchange(parts, options, { call: nextCall, request: next.request, url: target, redirects: redirects + 1 })
}

async function send(parts: InlineParts, call: OutboundCall, ownKey: string | undefined): Promise<StreamedEnd> {
  try {
    return await sendStreaming(parts, call, ownKey)
  } catch (error) {
    if (call.signal?.aborted) throw call.signal.reason
    if (!(error instanceof HoldfastError) || error.class === 'configuration') throw error
    throw fetchFailed(error)
  }
}

function fetchFailed(cause: HoldfastError): TypeError {
  return new TypeError('fetch failed', { cause })
}

/** The key that the caller brought, in the header that the endpoint or everybody uses. */
function ownKeyOf({ call, request }: Hop): string | undefined {
  const { idempotency } = call.endpoint
  return (idempotency.kind === 'key' && request.headers.get(idempotency.header)) || undefined
}

function pathBelow({ basePath }: Address, path: string): string {
  return path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : path
}

function foreignOrigin(integration: IntegrationSettings, origin: string): HoldfastError {
  return configurationError(
    'foreign_origin',
    `The fetch of integration "${integration.name}" was asked for ${origin}, which is not its baseUrl`,
    "Set the SDK's base URL to the integration's, or give that API an integration of its own.",
    { integration: integration.name, origin },
  )
}
