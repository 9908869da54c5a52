import type { IntegrationSettings } from '../../config/settings.ts'
import { HoldfastError } from '../../core/errors.ts'
import { makeAttempt } from '../attempt/attempt.ts'
import { type InlineParts, persevere } from '../attempt/persistence.ts'
import { eitherSignal } from '../attempt/waiting.ts'
import { DEFAULT_TENANT, laneName, type OutboundCall } from '../call/call.ts'
import { serialiseBody, traceIdOf } from '../call/outgoing.ts'
import { expandPath, resolveEndpoint, withQuery } from '../call/request.ts'
import type { CallAnswer, CallOptions, Client, ClientOptions } from './client-types.ts'
import { onceByKey } from './inline-effects.ts'

export type { InlineParts } from '../attempt/persistence.ts'

const METHOD = /^[A-Z]{1,16}$/
const NO_OPTIONS: CallOptions = {}

/**
 * Calls that retry while the caller waits: within a deadline, only where it is safe, then a typed error.
 * With `idempotencyKey`, the operation is recorded in the ledger: a repeat gets the stored result without a call.
 */
export function createInlineCaller(
  parts: InlineParts,
  integration: IntegrationSettings,
  clientOptions: ClientOptions = {},
): Client {
  const tenant = clientOptions.tenant ?? DEFAULT_TENANT
  const lane = laneName(integration.name, integration.credential, tenant)

  async function request<Data>(
    method: string,
    path: string,
    options: CallOptions = NO_OPTIONS,
  ): Promise<CallAnswer<Data>> {
    const call = prepare(method, path, options)
    const deadlineMs = options.deadlineMs ?? call.endpoint.retry.inlineMs
    const answer =
      options.idempotencyKey === undefined
        ? await callWithRetries(parts, call, deadlineMs)
        : await onceByKey(parts, call, options, deadlineMs, (leftMs) => callWithRetries(parts, call, leftMs))
    return answer as CallAnswer<Data>
  }

  function prepare(method: string, path: string, options: CallOptions): OutboundCall {
    if (!METHOD.test(method)) throw invalidMethod(method)
    const endpoint = resolveEndpoint(integration, method, path)
    const correlationId = options.correlationId ?? parts.newId()
    const body = serialiseBody(options.body)
    // Every write that the API can recognise carries a key, equal on all its tries (R080, R081).
    const idempotencyKey = options.idempotencyKey ?? (endpoint.idempotency.kind === 'key' ? parts.newId() : undefined)
    return {
      integration,
      endpoint,
      lane,
      tenant,
      method,
      path: withQuery(expandPath(path, options.params), options.query),
      headers: withContentType(options.headers, body.contentType),
      body: body.content,
      responseSchema: options.response,
      expects: options.response ? 'json' : 'any',
      idempotencyKey,
      correlationId,
      traceId: traceIdOf(options.traceparent) ?? correlationId.replaceAll('-', ''),
      itemId: undefined,
      attempt: 1,
      signal: eitherSignal(clientOptions.signal, options.signal),
    }
  }

  return {
    request,
    get: (path, options) => request('GET', path, options),
    post: (path, options) => request('POST', path, options),
    put: (path, options) => request('PUT', path, options),
    patch: (path, options) => request('PATCH', path, options),
    delete: (path, options) => request('DELETE', path, options),
  }
}

async function callWithRetries(parts: InlineParts, call: OutboundCall, deadlineMs: number): Promise<CallAnswer> {
  const end = await persevere(parts, call, deadlineMs, makeAttempt)
  if (end.kind === 'gave_up') throw end.error
  const { status, headers, data } = end.answer
  return { status, headers, data, attempts: end.tries, replayed: false }
}

function withContentType(
  headers: Readonly<Record<string, string>> | undefined,
  contentType: string | undefined,
): Readonly<Record<string, string>> {
  if (contentType === undefined) return headers ?? NO_HEADERS
  if (!headers) return { 'content-type': contentType }
  const named = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  return named ? headers : { ...headers, 'content-type': contentType }
}

const NO_HEADERS = {}

function invalidMethod(method: string): HoldfastError {
  return new HoldfastError({
    code: 'invalid_method',
    class: 'configuration',
    message: `${JSON.stringify(method.slice(0, 20))} is not an HTTP method`,
    hint: 'Methods are written in capitals: GET, POST, PUT, PATCH, DELETE.',
  })
}
