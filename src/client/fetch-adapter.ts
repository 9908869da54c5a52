import type { EndpointSettings, IdempotencySettings, IntegrationSettings } from '../config/settings.ts'
import { configurationError, HoldfastError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { classifyAnswer, classifyMalformed, classifyNetworkFault } from '../policy/classify.ts'
import { type AttemptParts, attemptWith, factsOf, type Judged, withoutEchoes } from './attempt.ts'
import { type Answer, type AttemptResult, DEFAULT_TENANT, laneName, type OutboundCall } from './call.ts'
import type { ClientOptions } from './client-types.ts'
import { headerOf } from './credentials/place.ts'
import { hidesFailure, isPageForJson, isShortJson } from './fetch-reading.ts'
import { redirected, redirectTarget } from './fetch-redirect.ts'
import { toResponse } from './fetch-response.ts'
import { readAnswer } from './incoming.ts'
import { nestedRetriesOf } from './nested-retries.ts'
import { type Address, addressOf, keyAsSent, traceIdOf, traceparent } from './outgoing.ts'
import { type InlineParts, persevere } from './persistence.ts'
import { prebuffer } from './prebuffer.ts'
import { resolveEndpoint } from './request.ts'
import type { TransportAnswer, TransportRequest } from './transport.ts'
import { eitherSignal } from './waiting.ts'

/** Request bodies up to this size can be sent again; larger ones, and streams, are sent once. */
const REPLAYABLE_BODY_BYTES = 8 * 1024 * 1024
/** As much of an answer is read to understand it, where it may be an error; the caller gets all of it. */
const READ_AHEAD_BYTES = 256 * 1024
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
  const watch = nestedRetriesOf(hop.call.integration)
  const ownKey = ownKeyOf(hop)
  const repeat = watch.recognise(hop.call, ownKey, parts)
  if (repeat?.refusal) throw fetchFailed(repeat.refusal)
  const call = repeat?.madeKey === undefined ? hop.call : withKey(hop.call, repeat.madeKey)
  const { answer, isFinal } = await send(parts, call, (error, answered) =>
    watch.gaveUp(call, ownKey, error, answered, parts),
  )
  const target = await redirectTarget(answer, hop)
  if (!target) return toResponse(call, answer, { url, redirected: redirects > 0, isFinal })
  const { integration, signal } = call
  const next = redirected(call, request, answer.status, target)
  const nextCall = callOf(parts, integration, options, next.request, target, next.body, signal)
  return exchange(parts, options, { call: nextCall, request: next.request, url: target, redirects: redirects + 1 })
}

type Ended = (error: HoldfastError, answered: boolean) => void

async function send(
  parts: InlineParts,
  call: OutboundCall,
  gaveUp: Ended,
): Promise<{ answer: Answer; isFinal: boolean }> {
  try {
    const end = await persevere(parts, call, call.endpoint.retry.inlineMs, attempt)
    if (end.kind === 'succeeded') return { answer: end.answer, isFinal: end.answer.status >= 400 }
    if (!end.answer) throw end.error
    gaveUp(end.error, true)
    return { answer: end.answer, isFinal: true }
  } catch (error) {
    if (call.body instanceof ReadableStream && !call.body.locked) await call.body.cancel(error)
    const isOurs = error instanceof HoldfastError
    if (isOurs) gaveUp(error, false)
    if (call.signal?.aborted) throw call.signal.reason
    if (!isOurs || error.class === 'configuration') throw error
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

function withKey(call: OutboundCall, key: string): OutboundCall {
  const { idempotency } = call.endpoint
  if (idempotency.kind !== 'key') return call
  return { ...call, idempotencyKey: key, headers: { ...call.headers, [idempotency.header.toLowerCase()]: key } }
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

/** Good answers are handed on as they come. Those that may be bad are read first, because their body says what to do. */
async function judgeStream(call: OutboundCall, parts: AttemptParts, raw: TransportAnswer): Promise<Judged> {
  const receivedAtMs = parts.clock.wallMs()
  const { status, headers, stream } = raw
  const isPage = isPageForJson(call, status, headers)
  const mayBeBad = status >= 400 || isPage || hidesFailure(call.integration, status, headers)
  if (!stream || !(mayBeBad || isShortJson(call, headers, READ_AHEAD_BYTES))) {
    return { answer: { status, headers, data: stream } }
  }
  let buffered: { bytes: Uint8Array; whole: ReadableStream<Uint8Array> }
  try {
    buffered = await prebuffer(stream, READ_AHEAD_BYTES)
  } catch (error) {
    const message = error instanceof Error ? error.message : 'the body of the answer broke off'
    const fault = { code: 'terminated', phase: 'reading_body' as const, status, message }
    const cancelledByCaller = call.signal?.aborted === true
    return { failure: classifyNetworkFault(factsOf(call), { ...fault, cancelledByCaller }) }
  }
  if (!mayBeBad) return { answer: { status, headers, data: buffered.whole } }
  // What is judged is logged and stored; what the caller gets is as it came.
  const clean = withoutEchoes(call, parts, { ...raw, body: buffered.bytes })
  const read = readAnswer(clean)
  const answer: Answer = { status, headers, data: buffered.whole }
  const facts = { status, headers: clean.headers, body: read.json, bodyText: read.text, receivedAtMs }
  const failure = classifyAnswer(factsOf(call), facts, call.integration)
  if (failure) return { failure, answer }
  if (!isPage) return { answer }
  // Thrown, not handed over: SDKs would take the page for their result (R027).
  await buffered.whole.cancel()
  const reason = 'the body is an HTML page where JSON was expected'
  return { failure: classifyMalformed(factsOf(call), { status, bodyText: read.text }, reason) }
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
