/** `ANY /proxy/{integration}/{path}`: one resilient call, and its answer. Free of any server: see `node.ts`. */

import { DO_NOT_RETRY_HEADERS, WITHOUT_BODY } from '../../client/fetch/fetch-response.ts'
import type { Forwarded, Forwarder, ForwardRequest } from '../../client/fetch/forward.ts'
import type { Clock } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import { callProblem } from '../problems.ts'
import type { SubmitRequest } from './durable.ts'
import { correlationIdOf, type Preferences, preferencesOf } from './preferences.ts'
import { forwardedHeaders } from './request-headers.ts'
import { type AnswerHeaders, handedBack } from './response-headers.ts'
import { checkProxyPath, type ProxyTarget } from './target.ts'

/** Bodies up to this size can be sent again; longer ones are sent once, as they come. */
export const REPLAYABLE_BODY_BYTES = 1024 * 1024
const METHOD = /^[A-Z][A-Z-]{0,19}$/
/** They are about the way to the server, not about what is there; a TRACE would show the credential. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

export interface ProxyParts {
  /** @throws HoldfastError `unknown_integration` */
  readonly forwarder: (integration: string) => Forwarder
  readonly clock: Clock
  /** A fresh, unique id. */
  readonly newId: () => string
  /** Makes calls durable. Default: `Prefer: respond-async` is not followed. */
  readonly submitRequest?: SubmitRequest
  /** Where callers may bring a credential for the API in `X-Holdfast-Upstream-Authorization`. Default: nowhere. */
  readonly callersCredential?: (integration: string) => boolean
  /** What callers call the gateway by: `https://holdfast.internal`. Default: the address of each request. */
  readonly publicUrl?: string
  /** Told of what was not foreseen; the caller only gets `internal_error`. */
  readonly onTrouble?: (error: unknown, correlationId: string) => void
}

export interface ProxyRequest extends ProxyTarget {
  readonly method: string
  /** Whose request it is: each caller's idempotency keys are its own. Default: all are one. */
  readonly caller: string | undefined
  /** Where it has one already. Default: the caller's own, or a new one. */
  readonly correlationId: string | undefined
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Whole where it is short enough to be sent again; of a long one, the beginning is not held back. */
  readonly body: () => Promise<Uint8Array | ReadableStream<Uint8Array> | undefined>
  /** `http://127.0.0.1:4180` */
  readonly origin: string
  readonly signal: AbortSignal
}

export interface ProxyAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly body: Uint8Array | ReadableStream<Uint8Array> | string | undefined
}

export type Proxy = (request: ProxyRequest) => Promise<ProxyAnswer>

/** Never throws: what goes wrong is an answer of its own. */
export function createProxyCore(parts: ProxyParts): Proxy {
  const forwarders = new Map<string, Forwarder>()

  function forwarderOf(integration: string): Forwarder {
    let forwarder = forwarders.get(integration)
    if (!forwarder) {
      forwarder = parts.forwarder(integration)
      forwarders.set(integration, forwarder)
    }
    return forwarder
  }

  return async function answer(request) {
    const correlationId = request.correlationId ?? correlationIdOf(request.headers) ?? parts.newId()
    try {
      checkMethod(request.method)
      checkProxyPath(request.path)
      const preferences = preferencesOf(request.method, request.headers)
      const forwarder = forwarderOf(request.integration)
      return await answered(parts, forwarder, request, preferences, correlationId)
    } catch (error) {
      // A body that breaks off because its sender has left is no trouble of ours.
      const isForeseen = error instanceof HoldfastError || request.signal.aborted
      if (!isForeseen) parts.onTrouble?.(error, correlationId)
      return problemAnswer(parts, forwarders.get(request.integration), request, error, correlationId)
    }
  }
}

async function answered(
  parts: ProxyParts,
  forwarder: Forwarder,
  request: ProxyRequest,
  { respondAsync, waitMs, idempotencyKey }: Preferences,
  correlationId: string,
): Promise<ProxyAnswer> {
  const { method, path, integration, signal } = request
  const callersCredential = parts.callersCredential?.(integration) === true
  const { headers, isLoop } = forwardedHeaders(request.headers, forwarder.credentialHeader, callersCredential)
  if (isLoop) throw proxyLoop(integration)
  const body = await request.body()
  const key = idempotencyKey === undefined ? undefined : { idempotencyKey }
  if (respondAsync && parts.submitRequest) {
    return accepted(parts.submitRequest, request, { headers, body, correlationId, waitMs, ...key })
  }
  if (body instanceof ReadableStream) keepLength(headers, request.headers['content-length'])
  const forward: ForwardRequest = {
    ...{ method, path, headers, body, correlationId, signal },
    ...(waitMs !== undefined && { deadlineMs: waitMs }),
    ...key,
    ...(request.caller !== undefined && { keyScope: request.caller }),
  }
  const forwarded = await forwarder.send(forward)
  return answerOf(parts, forwarder, request, forwarded, correlationId)
}

/** Some APIs take no upload whose length they are not told. It is checked against what is sent. */
function keepLength(headers: Record<string, string>, length: string | undefined): void {
  if (length !== undefined && /^\d{1,15}$/.test(length)) headers['content-length'] = length
}

function answerOf(
  parts: ProxyParts,
  forwarder: Forwarder,
  { method, path, base, origin }: ProxyRequest,
  { status, headers: answeredHeaders, body, tries, replayed, failure }: Forwarded,
  correlationId: string,
): ProxyAnswer {
  const publicBase = base === '' ? origin : (parts.publicUrl ?? origin) + base
  const headers = handedBack(answeredHeaders, { origin: forwarder.origin, basePath: forwarder.basePath, publicBase })
  headers['x-correlation-id'] = correlationId
  headers['x-holdfast-attempts'] = String(tries)
  headers['x-holdfast-breaker'] = forwarder.breakerOf(method, withoutQuery(path))
  if (replayed) headers['idempotency-replayed'] = 'true'
  if (failure) headers['x-holdfast-rule'] = oneLine(failure.rule)
  if (status >= 400) for (const name of DO_NOT_RETRY_HEADERS) headers[name] = 'false'
  if (method !== 'HEAD' && !WITHOUT_BODY.has(status)) return { status, headers, body }
  if (body instanceof ReadableStream) void body.cancel().catch(() => {})
  return { status, headers, body: undefined }
}

async function accepted(
  submit: SubmitRequest,
  { integration, method, path, caller }: ProxyRequest,
  facts: {
    readonly headers: Readonly<Record<string, string>>
    readonly body: ForwardRequest['body']
    readonly correlationId: string
    readonly waitMs: number | undefined
    readonly idempotencyKey?: string
  },
): Promise<ProxyAnswer> {
  const { headers, body, idempotencyKey, correlationId } = facts
  if (headers['authorization'] !== undefined) throw credentialNotDurable()
  if (body instanceof ReadableStream) {
    await body.cancel()
    throw tooLargeToKeep()
  }
  const receipt = await submit({ ...facts, integration, method, path, body, idempotencyKey, caller })
  return {
    status: 202,
    headers: {
      'content-type': 'application/json',
      location: receipt.location,
      'preference-applied': 'respond-async',
      'x-holdfast-item': receipt.itemId,
      'x-correlation-id': correlationId,
    },
    body: JSON.stringify({ runId: receipt.runId, itemId: receipt.itemId, duplicate: receipt.duplicate }),
  }
}

function problemAnswer(
  { clock }: ProxyParts,
  forwarder: Forwarder | undefined,
  { method, path }: ProxyRequest,
  error: unknown,
  correlationId: string,
): ProxyAnswer {
  const { status, body, retryAfter } = callProblem(error, correlationId, clock.wallMs())
  const headers: AnswerHeaders = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
    'x-correlation-id': correlationId,
    'x-holdfast-attempts': String(body['attempts'] ?? 0),
  }
  if (status === 405) headers['allow'] = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  const isCall = forwarder !== undefined && status !== 400 && status !== 405
  if (isCall) headers['x-holdfast-breaker'] = forwarder.breakerOf(method, withoutQuery(path))
  const rule = error instanceof HoldfastError ? error.failure?.rule : undefined
  if (rule !== undefined) headers['x-holdfast-rule'] = oneLine(rule)
  for (const name of DO_NOT_RETRY_HEADERS) headers[name] = 'false'
  return { status, headers, body: method === 'HEAD' ? undefined : JSON.stringify(body) }
}

function withoutQuery(path: string): string {
  const question = path.indexOf('?')
  return (question < 0 ? path : path.slice(0, question)) || '/'
}

/** The name of a rule is configured text: whatever of it cannot stand in a header is left out. */
function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}

function checkMethod(method: string): void {
  if (METHOD.test(method) && !REFUSED_METHODS.has(method)) return
  throw new HoldfastError({
    code: 'method_not_allowed',
    class: 'validation',
    message: `${JSON.stringify(method.slice(0, 20))} is not passed on`,
    hint: 'CONNECT, TRACE and TRACK are refused; other methods are written in capitals.',
  })
}

function proxyLoop(integration: string): HoldfastError {
  return new HoldfastError({
    code: 'proxy_loop',
    class: 'configuration',
    message: `A call to "${integration}" came back to the proxy several times`,
    hint: 'The baseUrl of the integration leads to the gateway itself: set it to the API.',
    details: { integration },
  })
}

/** It would be stored with the item; and doing without it would make the call as somebody else. */
function credentialNotDurable(): HoldfastError {
  return new HoldfastError({
    code: 'credential_not_durable',
    class: 'validation',
    message: 'A durable request is made with the credential of the integration, not with one of the caller',
    hint: 'Leave out X-Holdfast-Upstream-Authorization, or "Prefer: respond-async".',
  })
}

function tooLargeToKeep(): HoldfastError {
  return new HoldfastError({
    code: 'body_too_large',
    class: 'too_large',
    message: `A durable request may have a body of ${REPLAYABLE_BODY_BYTES} bytes`,
    hint: 'Send it without "Prefer: respond-async": long bodies are passed on as they come.',
  })
}
