import { STATUS_CODES } from 'node:http'
import type { EndpointSettings, IdempotencySettings, IntegrationSettings } from '../config/settings.ts'
import { configurationError, HoldfastError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { classifyAnswer, classifyNetworkFault } from '../policy/classify.ts'
import { type AttemptParts, attemptWith, factsOf, type Judged, withoutEchoes } from './attempt.ts'
import { type Answer, type AttemptResult, DEFAULT_TENANT, laneName, type OutboundCall } from './call.ts'
import type { ClientOptions } from './client-types.ts'
import { headerOf } from './credentials/place.ts'
import { readAnswer } from './incoming.ts'
import { type Address, addressOf, keyAsSent, traceIdOf, traceparent } from './outgoing.ts'
import { type InlineParts, persevere } from './persistence.ts'
import { prebuffer } from './prebuffer.ts'
import { resolveEndpoint } from './request.ts'
import type { TransportAnswer, TransportRequest } from './transport.ts'
import { eitherSignal } from './waiting.ts'

/** Request bodies up to this size can be sent again; larger ones, and streams, are sent once. */
const REPLAYABLE_BODY_BYTES = 8 * 1024 * 1024
/** As much of an error's body is read to understand it; the caller gets all of it. */
const ERROR_BODY_BYTES = 256 * 1024
const IDEMPOTENCY_HEADER = 'idempotency-key'
const KEY_LIFETIME_MS = 24 * 3_600_000
/** Ours to say, or the connection's: a caller's copy of them would contradict what is sent. */
const NOT_FORWARDED = ['host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect', 'content-length']

/**
 * A drop-in `fetch` for SDKs that take one. Exactly the WHATWG signature; a real, streaming `Response`. Beneath it: breakers,
 * gates, limits, timeouts, and retries where they are safe (a safe method, or an idempotency key in the headers).
 *
 * As `fetch` does, it returns the last HTTP error as a Response, throws `TypeError('fetch failed')` with the HoldfastError as
 * `cause` for the network and for what holds the call, and the signal's reason on abort. Unlike `fetch`, it does not follow
 * redirects. Error answers carry `x-should-retry: false`: SDKs that know it do not multiply the retries made here.
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
    const body = await bodyOf(request, init?.body instanceof ReadableStream)
    const call = callOf(parts, integration, options, request, url, body, signal)
    return send(parts, call, request)
  }
}

/** What can be sent again is bytes; the rest is a stream. */
async function bodyOf(
  request: Request,
  isStream: boolean,
): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  if (!request.body) return undefined
  if (isStream) return request.body
  const { bytes, rest } = await prebuffer(request.body, REPLAYABLE_BODY_BYTES)
  return rest ?? bytes
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
    idempotencyKey: idempotency.kind === 'key' ? headers[idempotency.header] : undefined,
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

async function send(parts: InlineParts, call: OutboundCall, request: Request): Promise<Response> {
  try {
    const end = await persevere(parts, call, call.endpoint.retry.inlineMs, attempt)
    if (end.kind === 'succeeded') return toResponse(end.answer, request, false)
    if (end.answer) return toResponse(end.answer, request, true)
    throw end.error
  } catch (error) {
    if (call.signal?.aborted) throw call.signal.reason
    if (!(error instanceof HoldfastError) || error.class === 'configuration') throw error
    throw new TypeError('fetch failed', { cause: error })
  }
}

function attempt(call: OutboundCall, parts: AttemptParts): Promise<AttemptResult> {
  return attemptWith(call, parts, streamingRequest, judgeStream)
}

/** The headers are whole already: the caller's own win over the integration's. */
function streamingRequest(call: OutboundCall, random: Random): TransportRequest {
  const { path, method, headers, signal } = call
  return {
    origin: addressOf(call.integration).origin,
    path,
    method,
    headers:
      headers['traceparent'] === undefined ? { ...headers, traceparent: traceparent(call.traceId, random) } : headers,
    body: call.body as TransportRequest['body'],
    timeouts: call.endpoint.timeouts,
    maxResponseBytes: call.endpoint.maxResponseBytes,
    signal,
    streamBody: true,
  }
}

/** Good answers are handed on as they come. Bad ones are read first, because their body says what to do. */
async function judgeStream(call: OutboundCall, parts: AttemptParts, raw: TransportAnswer): Promise<Judged> {
  const receivedAtMs = parts.clock.wallMs()
  const { status, headers, stream } = raw
  if (status < 400 || !stream) {
    return { answer: { status, headers, data: stream } }
  }
  let buffered: { bytes: Uint8Array; whole: ReadableStream<Uint8Array> }
  try {
    buffered = await prebuffer(stream, ERROR_BODY_BYTES)
  } catch (error) {
    const message = error instanceof Error ? error.message : 'the body of the answer broke off'
    const fault = { code: 'terminated', phase: 'reading_body' as const, status, message }
    const cancelledByCaller = call.signal?.aborted === true
    return { failure: classifyNetworkFault(factsOf(call), { ...fault, cancelledByCaller }) }
  }
  // What is judged is logged and stored; what the caller gets is as it came.
  const clean = withoutEchoes(call, parts, { ...raw, body: buffered.bytes })
  const read = readAnswer(clean)
  const answer: Answer = { status, headers, data: buffered.whole }
  const facts = { status, headers: clean.headers, body: read.json, bodyText: read.text, receivedAtMs }
  const failure = classifyAnswer(factsOf(call), facts, call.integration)
  return failure ? { failure, answer } : { answer }
}

const STATUSES_WITHOUT_BODY = [204, 205, 304]

function toResponse({ status, headers, data }: Answer, request: Request, gaveUp: boolean): Response {
  if (request.redirect === 'error' && status >= 300 && status < 400) {
    throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') })
  }
  const all = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    for (const one of name === 'set-cookie' ? value.split('\n') : [value]) all.append(name, one)
  }
  if (gaveUp) all.set('x-should-retry', 'false')
  const stream = data as ReadableStream<Uint8Array> | undefined
  const withoutBody = STATUSES_WITHOUT_BODY.includes(status)
  const response = new Response(withoutBody ? null : stream, {
    status,
    statusText: STATUS_CODES[status] ?? '',
    headers: all,
  })
  // A Response made by hand has no URL; SDKs log it.
  Object.defineProperty(response, 'url', { value: request.url })
  return response
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
