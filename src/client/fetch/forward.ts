/** One call handed through as it came, and its answer handed back: what the gateway's proxy stands on. */
import { hash } from 'node:crypto'
import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { BreakerPhase } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'
import { toJson } from '../../core/json.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import type { InlineParts } from '../attempt/persistence.ts'
import { eitherSignal } from '../attempt/waiting.ts'
import { DEFAULT_TENANT, laneName, type OutboundCall } from '../call/call.ts'
import { addressOf, checkHeader, traceIdOf } from '../call/outgoing.ts'
import { checkPath, resolveEndpoint } from '../call/request.ts'
import { headerOf } from '../credentials/place.ts'
import type { ClientOptions } from '../inline/client-types.ts'
import { KEPT_HEADERS, once } from '../inline/inline-effects.ts'
import { brokenOff } from './fetch-response.ts'
import { prebuffer } from './prebuffer.ts'
import { sendStreaming } from './streaming-attempt.ts'

/** An answer up to this size is kept with its operation. Of a longer one it is only known that it was given. */
const KEPT_ANSWER_BYTES = 1024 * 1024

export interface ForwardRequest {
  readonly method: string
  /** Below the base URL: empty, or beginning with `/`; encoded as it is to be sent, with its query string. */
  readonly path: string
  /** Names in lower case. A credential among them goes before the integration's. */
  readonly headers: Readonly<Record<string, string>>
  /** Bytes may be sent again; a stream is sent once. */
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined
  readonly correlationId: string
  readonly signal?: AbortSignal
  /** All tries together. Default: the endpoint's `retry.inlineMs`. */
  readonly deadlineMs?: number
  /** Names the operation: it is done once, and a repeat gets the stored answer. */
  readonly idempotencyKey?: string
  /** Keys of one scope are apart from those of another. Default: one for all. */
  readonly keyScope?: string
}

export interface Forwarded {
  readonly status: number
  /** As {@link TransportAnswer.headers}: `set-cookie` has one line for each. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined
  /** 0: nothing was sent, it is the stored answer. */
  readonly tries: number
  readonly replayed: boolean
  /** What an error answer means; it was given up on. */
  readonly failure: Failure | undefined
}

export interface Forwarder {
  readonly integration: IntegrationSettings
  /** Where it leads to: origin, and the path of the base URL without a slash at its end. */
  readonly origin: string
  readonly basePath: string
  /** The header that carries the integration's credential, in lower case, where one does. */
  readonly credentialHeader: string | undefined
  /** The strictest breaker that such a call meets. */
  breakerOf(method: string, path: string): BreakerPhase
  /**
   * Answers with an error status are answers. Redirects are not followed.
   * @throws HoldfastError where there is no answer; `invalid_path`, `invalid_header`, `body_not_replayable`,
   *   `idempotency_key_reused`, `idempotency_in_progress`, `unknown_outcome`, `answer_not_kept`.
   */
  send(request: ForwardRequest): Promise<Forwarded>
}

/** @throws HoldfastError `invalid_base_url`, `invalid_header` for an integration that cannot be called. */
export function createForwarder(
  parts: InlineParts,
  integration: IntegrationSettings,
  options: ClientOptions = {},
): Forwarder {
  const address = addressOf(integration)
  const tenant = options.tenant ?? DEFAULT_TENANT
  const lane = laneName(integration.name, integration.credential, tenant)
  const credentialHeader = headerOf(integration.auth)

  function callOf(request: ForwardRequest): OutboundCall {
    const question = request.path.indexOf('?')
    const path = checkPath((question < 0 ? request.path : request.path.slice(0, question)) || '/')
    const endpoint = resolveEndpoint(integration, request.method, path)
    const { correlationId } = request
    const { headers, ownCredential } = headersOf(parts, request, endpoint, address, credentialHeader)
    return {
      integration,
      endpoint,
      lane,
      tenant,
      method: request.method,
      path: checkQuery(address.basePath + request.path) || '/',
      headers,
      body: request.body,
      responseSchema: undefined,
      expects: 'any',
      idempotencyKey:
        endpoint.idempotency.kind === 'key' ? headers[endpoint.idempotency.header.toLowerCase()] : undefined,
      correlationId,
      traceId: traceIdOf(headers['traceparent']) ?? correlationId.replaceAll('-', ''),
      itemId: undefined,
      attempt: 1,
      signal: eitherSignal(options.signal, request.signal),
      ownCredential,
    }
  }

  async function pass(call: OutboundCall, request: ForwardRequest, deadlineMs: number): Promise<Forwarded> {
    const { answer, tries, error } = await sendStreaming(parts, call, request.idempotencyKey, deadlineMs)
    const { status, headers, data } = answer
    return { status, headers, body: data as Forwarded['body'], tries, replayed: false, failure: error?.failure }
  }

  return {
    integration,
    origin: address.origin,
    basePath: address.basePath,
    credentialHeader,
    breakerOf(method, path) {
      const { endpoint, breaker } = resolveEndpoint(integration, method, path)
      return parts.health.phaseOf({ integration, endpoint, breaker, lane, tenant })
    },
    async send(request) {
      const call = callOf(request)
      const deadlineMs = request.deadlineMs ?? call.endpoint.retry.inlineMs
      if (request.idempotencyKey === undefined) return pass(call, request, deadlineMs)
      const key = `forward:${integration.name}:${request.keyScope ?? ''}:${request.idempotencyKey}`
      return passOnce(parts, call, key, deadlineMs, (leftMs) => pass(call, request, leftMs))
    },
  }
}

/** The caller's headers win; ours fill in what is missing. Authentication only where the caller brings none. */
function headersOf(
  parts: InlineParts,
  { headers: own, correlationId, idempotencyKey }: ForwardRequest,
  { idempotency }: EndpointSettings,
  address: ReturnType<typeof addressOf>,
  credentialHeader: string | undefined,
): { headers: Record<string, string>; ownCredential: boolean } {
  const ownCredential =
    own['authorization'] !== undefined || (credentialHeader !== undefined && own[credentialHeader] !== undefined)
  const headers: Record<string, string> = { ...(ownCredential ? address.headers : address.allHeaders), accept: '*/*' }
  for (const name in own) headers[checkHeader(name, own[name] as string)] = own[name] as string
  headers['x-correlation-id'] = correlationId
  if (idempotency.kind === 'key') headers[idempotency.header.toLowerCase()] ??= idempotencyKey ?? parts.newId()
  return { headers, ownCredential }
}

/** Byte for byte as it came; only what would end the request line, or could not be written, is refused. */
function checkQuery(path: string): string {
  if (/^[\x21\x22\x24-\x7e]*$/.test(path)) return path
  throw new HoldfastError({
    code: 'invalid_path',
    class: 'validation',
    message: 'The path or its query string has a character that cannot stand in a request line',
    hint: 'Encode spaces, control characters, "#" and letters outside ASCII: "%20", "%23", ...',
  })
}

/** @throws HoldfastError see {@link once}; also `body_not_replayable`, `answer_not_kept` */
function passOnce(
  parts: InlineParts,
  call: OutboundCall,
  key: string,
  deadlineMs: number,
  run: (leftMs: number) => Promise<Forwarded>,
): Promise<Forwarded> {
  if (call.body instanceof ReadableStream) throw bodyNotReplayable()
  const body = hash('sha256', (call.body as Uint8Array | undefined) ?? '')
  const operation = {
    call,
    key,
    fingerprint: hash('sha256', `${call.method} ${call.path}\n${call.headers['content-type'] ?? ''}\n${body}`),
    deadlineMs,
    // The caller is told at once that it is under way (IETF draft "Idempotency-Key", section 2.6).
    patienceMs: 0,
    endOf: (answer: Forwarded) => endOf(call, answer),
    replayed: (output: string) => replayed(key, output),
  }
  return once(parts, operation, async (leftMs) => keepable(call, await run(leftMs)))
}

/** Read whole where that is possible, so that it is stored before it is handed over. A stream of events is not held up. */
async function keepable(call: OutboundCall, answer: Forwarded): Promise<Forwarded> {
  const { body, headers, status } = answer
  if (!(body instanceof ReadableStream) || answer.failure) return answer
  if (/^text\/event-stream\b/i.test(headers['content-type'] ?? '')) return answer
  try {
    const { bytes, rest } = await prebuffer(body, KEPT_ANSWER_BYTES, call.signal)
    return { ...answer, body: rest ?? bytes }
  } catch (error) {
    throw brokenOff(call, status, error)
  }
}

function endOf(call: OutboundCall, answer: Forwarded): { done: true; output: string } | { done: false } | undefined {
  const { status, headers, body, failure } = answer
  if (failure)
    return isRepeatable(call.endpoint.idempotency) || failure.certainty === 'not_sent' ? { done: false } : undefined
  const kept = Object.fromEntries(KEPT_HEADERS.flatMap((name) => (headers[name] ? [[name, headers[name]]] : [])))
  const whole = !(body instanceof ReadableStream)
  const content = whole && body ? Buffer.from(body).toString('base64') : undefined
  return { done: true, output: toJson({ status, headers: kept, whole, ...(content !== undefined && { content }) }) }
}

interface KeptAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly whole: boolean
  readonly content?: string
}

function replayed(key: string, output: string): Forwarded {
  const { status, headers, whole, content } = JSON.parse(output) as KeptAnswer
  if (!whole) throw answerNotKept(key, status)
  const body = content === undefined ? undefined : Buffer.from(content, 'base64')
  return { status, headers, body, tries: 0, replayed: true, failure: undefined }
}

function bodyNotReplayable(): HoldfastError {
  return new HoldfastError({
    code: 'body_not_replayable',
    class: 'too_large',
    message: 'The body is too long to be compared, so that the idempotency key cannot name the operation',
    hint: 'Send long bodies without an idempotency key: they are sent once.',
  })
}

function answerNotKept(key: string, status: number): HoldfastError {
  return new HoldfastError({
    code: 'answer_not_kept',
    class: 'conflict',
    certainty: 'applied',
    message: `Operation "${key}" was done and answered ${status}; the answer was too long, or a stream, and was not kept`,
    hint: 'It is not done again. Look the result up in the API.',
    details: { key, status },
  })
}
