/**
 * Webhooks in: verify, store, 200 (R154, R155, D25). What an event leads to happens later, from the store; so the answer is
 * quick, and whatever fails afterwards is ours to see and to mend (R160, R161).
 */
import type { WebhookSettings } from '../config/webhook-settings.ts'
import type { Clock } from '../core/clock.ts'
import { givenCorrelation, usableCorrelation } from '../core/correlation.ts'
import { messageOf } from '../core/errors.ts'
import type { EventBus } from '../core/events.ts'
import { toJson } from '../core/json.ts'
import { redactHeaders, redactText } from '../policy/redact.ts'
import { type ReadBody, readBody } from './body.ts'
import type { WebhookEvent } from './event.ts'
import { type PlainAnswer, problemAnswer, toResponse } from './problem.ts'
import { allHeaders, readRequest, type WebhookRequest } from './request.ts'
import type { Handshake } from './scheme.ts'
import { textOf } from './values.ts'
import { createVerifier } from './verify.ts'

export interface WebhookReceiver {
  /** The name in the configuration. */
  readonly source: string
  readonly maxBodyBytes: number
  /** A request that was read already, raw: for servers that have no use for `Request` objects. */
  receive(request: WebhookRequest): Promise<PlainAnswer>
  /** The same for one whose body was not read yet: it is, where its head does not refuse it already. Throws what `read` throws. */
  receiveFrom(head: Omit<WebhookRequest, 'body'>, read: (maxBytes: number) => Promise<ReadBody>): Promise<PlainAnswer>
  /** @throws HoldfastError `body_already_read` */
  handle(request: Request): Promise<Response>
}

export interface WebhookHandlerOptions {
  /**
   * A provider chose the secret and sent it (Notion): show it to the person who sets this up. Anybody can call the address
   * while there is no secret, so believe it only when you expect it.
   */
  readonly onSecret?: (secret: string) => void | Promise<void>
}

/** An event on its way into the store. */
export interface IncomingEvent {
  /** Names it among all events of all sources. */
  readonly key: string
  /** JSON text. */
  readonly json: string
  /** Of `json`. */
  readonly value: unknown
  readonly labels: Readonly<Record<string, string>>
  /** What its sender, or something on the way, calls the request by; else the provider's own id of the event, where it has one. */
  readonly correlationId: string | undefined
}

export interface AcceptedEvents {
  readonly accepted: number
  /** Known already: delivered before. */
  readonly duplicates: number
  /** Of the duplicates: with other content than the first time, which is the one that counts. */
  readonly changed: number
  /** Of the accepted: refused by the schema of the pipeline, and kept as dead letters (R144). */
  readonly unreadable: number
}

export interface ReceiverParts extends WebhookHandlerOptions {
  readonly settings: WebhookSettings
  readonly clock: Pick<Clock, 'wallMs'>
  readonly events: EventBus
  /** Resolves once all of them are on disk; else none of them is. */
  readonly accept: (events: readonly IncomingEvent[]) => Promise<AcceptedEvents>
}

/** A store that is away is mostly back soon; who sends has a schedule of its own anyway. */
const RETRY_AFTER_S = '10'

/** @throws HoldfastError `webhook_secret_invalid`, `webhook_secret_missing`, `webhook_hmac_missing` */
export function createReceiver(parts: ReceiverParts): WebhookReceiver {
  const { settings, clock, events } = parts
  const { name: source, provider, maxBodyBytes } = settings
  const { scheme, verify } = createVerifier({
    provider,
    secrets: settings.secrets,
    ...(settings.toleranceMs !== undefined && { tolerance: settings.toleranceMs }),
    ...(settings.hmac && { hmac: settings.hmac }),
  })
  const acknowledged: PlainAnswer = scheme.acknowledgement
    ? {
        status: 200,
        headers: { 'content-type': scheme.acknowledgement.contentType },
        body: scheme.acknowledgement.body,
      }
    : { status: 200, headers: {}, body: '' }

  function refuse(reason: string, answer: PlainAnswer): PlainAnswer {
    events.emit('webhook.refused', clock.wallMs(), { source, provider, reason })
    return answer
  }

  async function receive(request: WebhookRequest): Promise<PlainAnswer> {
    if (request.method !== 'POST') return refuse('method', METHOD_NOT_ALLOWED)
    if (request.body.byteLength > maxBodyBytes) return refuse('too_large', TOO_LARGE)
    const nowMs = clock.wallMs()
    const verdict = verify({ ...request, url: publicUrl(settings, request.url) }, nowMs)
    if (!verdict.ok) return refuse(verdict.refused, NOT_BELIEVED)
    if (verdict.handshake) return greet(verdict.handshake)
    if (verdict.events.length === 0) return acknowledged
    const incomingEvents = verdict.events.map((event) =>
      incoming(parts, scheme.signatureHeaders, request, event, verdict.events.length, nowMs),
    )
    try {
      const counts = await parts.accept(incomingEvents)
      events.emit('webhook.received', clock.wallMs(), { source, provider, events: incomingEvents.length, ...counts })
      return acknowledged
    } catch (cause) {
      const message = `${incomingEvents.length} events of ${source} could not be stored: ${messageOf(cause)}`
      events.emit('engine.trouble', clock.wallMs(), { where: 'webhooks.accept', message, cause })
      return NOT_STORED
    }
  }

  async function greet(handshake: Handshake): Promise<PlainAnswer> {
    events.emit('webhook.handshake', clock.wallMs(), { source, provider, hasSecret: handshake.secret !== undefined })
    if (handshake.secret !== undefined) await parts.onSecret?.(handshake.secret)
    return { status: 200, headers: { 'content-type': handshake.contentType }, body: handshake.body }
  }

  const receiveFrom: WebhookReceiver['receiveFrom'] = async (head, read) => {
    if (head.method !== 'POST') return refuse('method', METHOD_NOT_ALLOWED)
    const body = await read(maxBodyBytes)
    if (!body.ok) return refuse(body.why, body.why === 'too_large' ? TOO_LARGE : INCOMPLETE)
    const { method, url, headers } = head
    return receive({ method, url, headers, body: body.bytes })
  }

  async function handle(request: Request): Promise<Response> {
    return toResponse(await receiveFrom(request, (maxBytes) => readBody(request, maxBytes)))
  }

  return { source, maxBodyBytes, receive, receiveFrom, handle }
}

function incoming(
  { settings }: ReceiverParts,
  signatureHeaders: readonly string[],
  request: WebhookRequest,
  event: WebhookEvent,
  ofHowMany: number,
  nowMs: number,
): IncomingEvent {
  const { name: source, input } = settings
  const key = `${source}:${event.id}`
  const correlationId = correlationOf(request, event)
  const labels = { webhook: source, ...(event.type !== undefined && { event: event.type }) }
  if (input === 'event') return { key, json: event.json, value: event.value, labels, correlationId }
  const headers = allHeaders(request.headers)
  for (const name of signatureHeaders) delete headers[name]
  const value = {
    source,
    id: event.id,
    type: event.type ?? null,
    receivedAtMs: nowMs,
    method: request.method,
    url: redactText(request.url),
    headers: redactHeaders(headers),
    event: event.value,
    // Of a batch, each run has its own event: all of them in each would be too much.
    ...(ofHowMany === 1 && rawBody(request.body)),
  }
  return { key, json: toJson(value), value, labels, correlationId }
}

function correlationOf(request: WebhookRequest, { id }: WebhookEvent): string | undefined {
  const { header } = readRequest(request)
  const given = givenCorrelation(header) ?? usableCorrelation(header('x-request-id'))
  // A digest is no name that anybody else knows.
  return given ?? (id.startsWith('sha256:') ? undefined : usableCorrelation(id))
}

function rawBody(body: Uint8Array): { body: string } | { bodyBase64: string } {
  const text = textOf(body)
  return text === undefined ? { bodyBase64: Buffer.from(body).toString('base64') } : { body: text }
}

/** What the provider called: the query is the request's own. */
function publicUrl({ publicUrl: known }: WebhookSettings, url: string): string {
  if (known === undefined) return url
  const query = url.indexOf('?')
  return query < 0 ? known : `${known.split('?', 1)[0]}${url.slice(query)}`
}

// What a sender is told is the same for every reason: whoever tries signatures learns nothing.
const NOT_BELIEVED = problemAnswer({
  status: 401,
  code: 'webhook_not_verified',
  title: 'The signature of this request could not be verified',
  headers: { 'www-authenticate': 'Signature' },
})
const METHOD_NOT_ALLOWED = problemAnswer({
  status: 405,
  code: 'method_not_allowed',
  title: 'Webhooks are sent with POST',
  headers: { allow: 'POST' },
})
const TOO_LARGE = problemAnswer({ status: 413, code: 'payload_too_large', title: 'The request is too large' })
const INCOMPLETE = problemAnswer({ status: 400, code: 'body_incomplete', title: 'The body did not arrive whole' })
const NOT_STORED = problemAnswer({
  status: 503,
  code: 'not_stored',
  title: 'The event could not be stored; send it again',
  headers: { 'retry-after': RETRY_AFTER_S },
})
